# SPDX-License-Identifier: Apache-2.0
"""What the tests of one version came to, the tables of all, and the document that shows them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dev.matrix.versions import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["DOCUMENT", "Outcome", "tables"]

DOCUMENT = ROOT / "docs" / "compatibility.md"


@dataclass
class Outcome:
    """
    Hold what the tests of one version came to.

    :param minor: the minor version of Airflow, such as ``"3.0"``
    :param airflow: the whole version of Airflow
    :param python: the whole version of Python
    :param wheel: the SHA-256 of the wheel that was tested
    :param seconds: how long the tests ran
    :param passed: how many tests passed
    :param skipped: how many tests were skipped, by their reason
    :param failed: the tests that failed
    :param again: the tests among those that passed which did so only when they ran once more, alone
    """

    minor: str
    airflow: str
    python: str
    wheel: str
    seconds: float = 0.0
    passed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)

    def read(self, report: Path) -> None:
        """Count the cases of pytest's JUnit report."""
        for name, kind, message in _read_cases(report):
            if kind == "failed":
                self.failed.append(name)
            elif kind == "skipped":
                self.skipped[message or "without a reason"] += 1
            else:
                self.passed += 1

    def read_again(self, report: Path) -> None:
        """Take in the report of the files of the failed tests, which ran once more."""
        passed = {name for name, kind, _ in _read_cases(report) if kind == "passed"}
        self.again = [name for name in self.failed if name in passed]
        self.failed = [name for name in self.failed if name not in passed]
        self.passed += len(self.again)

    def failed_files(self, tree: Path) -> list[str]:
        """Return the files of the tests that failed, below the folder from which they ran."""
        found = set()
        for name in self.failed:
            path = tree.joinpath(*name.partition("::")[0].split("."))
            while path != tree and not path.with_suffix(".py").is_file():
                path = path.parent  # of a class
            if path != tree:
                found.add(str(path.with_suffix(".py").relative_to(tree)))
        return sorted(found)

    def save(self, file: Path) -> None:
        """Keep what all tests of this version came to, for a table that is made when others have run."""
        file.write_text(json.dumps(vars(self)), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Outcome:
        """Return what was kept."""
        kept = json.loads(file.read_text(encoding="utf-8"))
        return cls(**kept | {"skipped": Counter(kept["skipped"])})


def _read_cases(report: Path) -> Iterator[tuple[str, str, str]]:
    """Yield the name of each test, what it came to, and the reason where it was skipped; once, however it failed."""
    failed = set()
    for case in ET.parse(report).getroot().iter("testcase"):  # noqa: S314 - pytest wrote it just now
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag: child for child in case}
        if "failure" in kinds or "error" in kinds:
            if name not in failed:  # one that fails may also fail to clean up
                failed.add(name)
                yield name, "failed", ""
        elif "skipped" in kinds:
            yield name, "skipped", kinds["skipped"].get("message") or ""
        else:
            yield name, "passed", ""


def tables(outcomes: Iterable[Outcome]) -> str:
    """Return a table of the versions, and one of the reasons for which tests were skipped, as Markdown."""
    outcomes = list(outcomes)
    lines = ["| Airflow | Python | passed | skipped | failed |", "| --- | --- | ---: | ---: | ---: |"]
    lines += [
        f"| {each.airflow} | {each.python} | {each.passed:,} | {each.skipped.total()} | {len(each.failed)} |"
        for each in outcomes
    ]
    lines += ["", f"| reason of skipped tests | {' | '.join(each.minor for each in outcomes)} |"]
    lines += [f"| --- |{' ---: |' * len(outcomes)}"]
    lines += [
        f"| {reason} | {' | '.join(str(each.skipped[reason] or '') for each in outcomes)} |"
        for reason in sorted({reason for each in outcomes for reason in each.skipped}, key=_by_version)
    ]
    if again := [f"| {each.minor} | {_count_by_file(each.again)} |" for each in outcomes if each.again]:
        lines += ["", "| Airflow | tests that failed beside others, and passed when their files ran alone |"]
        lines += ["| --- | --- |", *again]
    return "\n".join(lines) + "\n"


def _count_by_file(names: list[str]) -> str:
    modules = (name.partition("::")[0].split(".") for name in names)
    counts = Counter(next((part for part in parts if part.startswith("test_")), parts[-1]) for parts in modules)
    return ", ".join(f"{count} of `{file}`" for file, count in sorted(counts.items()))


def _by_version(reason: str) -> tuple[bool, str]:
    """Put what is new in a version first, in the order of these."""
    return not reason.startswith("new in Airflow"), reason
