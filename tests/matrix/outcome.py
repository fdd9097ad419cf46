# SPDX-License-Identifier: Apache-2.0
"""What the tests of one version came to, and the table of all."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.matrix.versions import Version

__all__ = ["Outcome", "table"]


@dataclass
class Outcome:
    """
    Hold what the tests of one version came to.

    :param version: the line of the matrix
    :param airflow: the whole version of Airflow
    :param python: the whole version of Python
    :param seconds: how long the tests ran
    :param passed: how many tests passed
    :param skipped: how many tests were skipped, by their reason
    :param failed: the tests that failed
    """

    version: Version
    airflow: str
    python: str
    seconds: float
    passed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)

    def read(self, report: Path) -> None:
        """Count the cases of pytest's JUnit report."""
        for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it just now
            kinds = {child.tag: child for child in case}
            if "failure" in kinds or "error" in kinds:
                self.failed.append(f"{case.get('classname')}::{case.get('name')}")
            elif "skipped" in kinds:
                self.skipped[kinds["skipped"].get("message") or "without a reason"] += 1
            else:
                self.passed += 1


def table(outcomes: Iterable[Outcome]) -> str:
    """Return a table of the versions, then each reason for which tests were skipped, and the versions it holds for."""
    outcomes = list(outcomes)
    rows = [("Airflow", "Python", "passed", "skipped", "failed", "seconds")]
    rows += [
        (each.airflow, each.python, str(each.passed), str(each.skipped.total()), str(len(each.failed)),
         f"{each.seconds:.0f}")
        for each in outcomes
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    for reason in sorted({reason for each in outcomes for reason in each.skipped}):
        counts = ", ".join(f"{each.version.minor}: {each.skipped[reason]}" for each in outcomes if each.skipped[reason])
        lines.append(f"skipped ({counts}): {reason}")
    lines += [f"failed on {each.version.minor}: {name}" for each in outcomes for name in each.failed]
    return "\n".join(lines)
