# SPDX-License-Identifier: Apache-2.0
"""A finding: the agent, the time, what is wrong, and the command that mends it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_synthflow.auditing import FINDINGS
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Finding", "count_findings", "plain"]

_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class Finding(msgspec.Struct, frozen=True, gc=False):
    """One thing that is wrong with a lake."""

    finding: str  # one of FINDINGS
    model_id: str
    from_ms: int
    to_ms: int
    detail: str  # for a person, without any call's content
    cure: str  # a command

    def as_dict(self) -> dict[str, str]:
        """Return the finding as it stands in XCom, JSON and errors."""
        return {
            "finding": self.finding,
            "model_id": self.model_id,
            "from_date": format_instant(self.from_ms),
            "to_date": format_instant(self.to_ms),
            "detail": self.detail,
            "cure": self.cure,
        }


def count_findings(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by kind, those that were not found as 0."""
    counts = dict.fromkeys(FINDINGS, 0)
    for each in findings:
        counts[each.finding] += 1
    return counts


def plain(text: str) -> str:
    """Replace control and bidi characters, so that a text is safe in a terminal, a log or a page."""
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)
