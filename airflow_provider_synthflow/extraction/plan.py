# SPDX-License-Identifier: Apache-2.0
"""The plan of an extraction: one window, its query, and how to request it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.window.window import Window

__all__ = ["LEAST_SETTLE_MS", "MARGIN_MS", "STRAY_MS", "WindowPlan"]

MARGIN_MS = 1_000
"""Before the window: calls on its first millisecond come whichever way the server counts its bounds."""

LEAST_SETTLE_MS = 60_000
"""After the window, at least: the API's to_date may bound a call's end."""

STRAY_MS = 24 * 3_600_000
"""How far outside of what was asked for a call may lie before the window counts as ignored."""


@dataclass(frozen=True)
class WindowPlan:
    """One window, its query, and how to request it."""

    window: Window
    query: CallsQuery  # without bounds
    settle_ms: int  # how long after the window's end its calls may still change
    include_unplaced: bool = False  # final calls without a readable start; else an error
    include_mismatched: bool = False  # calls of another agent or status than asked for; else an error
    concurrency: int = 4
    max_walks: int = 5

    @property
    def settled_ms(self) -> int:
        """Return when the window's calls are settled."""
        return self.window.to_ms + self.settle_ms

    @property
    def asked(self) -> CallsQuery:
        """Return the query with the bounds that are sent, which are wider than the window."""
        return self.query.between(
            max(0, self.window.from_ms - MARGIN_MS), self.window.to_ms + max(self.settle_ms, LEAST_SETTLE_MS)
        )
