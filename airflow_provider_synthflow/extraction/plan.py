# SPDX-License-Identifier: Apache-2.0
"""What is to be done for one window: which calls, asked for how, and when they are settled."""

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
    """
    How a window is extracted: which calls, and asked for how.

    :param window: the window
    :param query: the agent and the filters; its bounds are set by the plan
    :param settle_ms: milliseconds after the window's end during which a call of the window may change or end
    :param include_unplaced: whether a final call without any readable start is included, or an error
    :param include_mismatched: whether a row of another agent or status than asked for is included, or an error
    :param concurrency: pages in flight
    :param max_walks: how often the pages are walked before giving up
    """

    window: Window
    query: CallsQuery
    settle_ms: int
    include_unplaced: bool = False
    include_mismatched: bool = False
    concurrency: int = 4
    max_walks: int = 5

    @property
    def settled_ms(self) -> int:
        """Return the instant from which on the window's calls are settled, in UTC milliseconds since 1970."""
        return self.window.to_ms + self.settle_ms

    @property
    def asked(self) -> CallsQuery:
        """Return the query with the bounds that are sent: more than the window, on both sides."""
        return self.query.between(
            max(0, self.window.from_ms - MARGIN_MS), self.window.to_ms + max(self.settle_ms, LEAST_SETTLE_MS)
        )
