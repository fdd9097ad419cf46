# SPDX-License-Identifier: Apache-2.0
"""What one round proves by itself, and what only two rounds that agree prove. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_synthflow.pagination.page_readings import PageReadings
    from airflow_provider_synthflow.pagination.proof import Verdict

__all__ = ["Agreement"]


class Agreement:
    """The digest of the round before, and how repeated rows are read."""

    def __init__(self) -> None:
        self.found: bytes | None = None  # tells what the round before brought, where two must agree
        self.drops_repeats = False  # pages are taken without the rows that come twice on them
        self.shift = 0  # how many rows before its offset a page begins

    @property
    def expects_repeats(self) -> bool:
        """Tell whether repeated rows are expected."""
        return self.drops_repeats or self.shift > 0

    def is_doubled(self, readings: PageReadings) -> bool:
        """Tell whether repeated rows count as rows."""
        return readings.has_repeats and not self.drops_repeats

    def adds_up(self, verdict: Verdict, readings: PageReadings) -> bool:
        """Tell whether as many calls came as were declared, or as many rows where rows are repeated."""
        if verdict.exceeded or not verdict.steady:
            return False
        if self.is_doubled(readings):
            return verdict.seamless and (verdict.counted or verdict.filled)
        return verdict.counted

    def is_proven(self, verdict: Verdict, readings: PageReadings, *, declared: bool, overlap: int) -> bool:
        """Tell whether a round that adds up is complete, by itself or because the round before agrees."""
        # A page of one row has no seam, unless it is the only one.
        seamless = verdict.seamless and (overlap > 0 or len(readings) <= 1)
        repeats = readings.has_repeats or self.shift > 0
        if seamless and declared and not repeats:
            return True
        found = readings.set_digest() if verdict.counted else readings.row_digest()
        before, self.found = self.found, found
        # Rows that come twice may leave one different row a page: nothing to share, but to be counted each round.
        return found == before and (seamless or not repeats or (verdict.seamless and verdict.counted and not overlap))

    def changes(self, *, doubles: bool, early: bool) -> bool:
        """Switch to another reading of repeated rows, and tell whether there is one."""
        if self.expects_repeats:
            self.drops_repeats, self.shift = False, 0
            return True
        self.shift = int(early)
        self.drops_repeats = doubles and not early
        return self.expects_repeats
