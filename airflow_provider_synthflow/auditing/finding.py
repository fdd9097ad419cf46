# SPDX-License-Identifier: Apache-2.0
"""What an audit finds: where in whose time, what is wrong, and the command that mends it."""

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
    """
    One thing that is wrong with a lake.

    :param finding: its kind, one of :data:`~airflow_provider_synthflow.auditing.FINDINGS`
    :param model_id: the agent
    :param from_ms: from when on, UTC milliseconds since 1970 (inclusive)
    :param to_ms: until when, UTC milliseconds since 1970 (exclusive)
    :param detail: what is wrong, in one or two sentences without anything of a call's content
    :param cure: the command that mends it
    """

    finding: str
    model_id: str
    from_ms: int
    to_ms: int
    detail: str
    cure: str

    def as_dict(self) -> dict[str, str]:
        """Return the finding as XCom, JSON and the error have it."""
        return {
            "finding": self.finding,
            "model_id": self.model_id,
            "from_date": format_instant(self.from_ms),
            "to_date": format_instant(self.to_ms),
            "detail": self.detail,
            "cure": self.cure,
        }


def count_findings(findings: Iterable[Finding]) -> dict[str, int]:
    """Count findings by their kind; each kind is there."""
    counts = dict.fromkeys(FINDINGS, 0)
    for each in findings:
        counts[each.finding] += 1
    return counts


def plain(text: str) -> str:
    """Make a text fit for a terminal, a log or a page: what controls or turns around what follows is shown as �."""
    return _UNSHOWN.sub("\N{REPLACEMENT CHARACTER}", text)
