# SPDX-License-Identifier: Apache-2.0
"""Sort the calls of pages by their start while the pages come. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.client.call import CallRow
    from airflow_provider_synthflow.client.response import Page

    Started = tuple[int, str, CallRow]

__all__ = ["PageOrder", "newest_first", "with_starts"]

_MOST_HELD = 8 * 1024 * 1024

_NO_START = -(1 << 62)  # None cannot be compared


def newest_first(page: Page) -> bool:
    """Tell whether a page lists its newest call first."""
    starts = [row.started_ms for row in (page.rows[0], page.rows[-1]) if row.started_ms is not None]
    return bool(starts) and starts[0] > starts[-1]


def with_starts(rows: Sequence[CallRow]) -> list[Started]:
    """Return each call with its start and its id; a call without a start sorts first."""
    return [(_NO_START if row.started_ms is None else row.started_ms, row.call_id, row) for row in rows]


class PageOrder:
    """A sorter of the pages' calls by (start, id) that holds few of them."""

    # Of a list sorted by start, a page waits for the pages before it, and the calls of its newest millisecond for the
    # next page. Where more than 8 MiB would wait, or the list is not sorted, calls come in another order: nothing
    # relies on it. Of several readings of a call, the latest comes last.

    def __init__(self) -> None:
        self._backward = False
        self._edge: int | None = None  # up to where, or from where on, all pages have been handed on
        # where a page begins and ends, its calls, and their bytes
        self._waiting: list[tuple[int, int, dict[str, Started], int]] = []
        self._newest: dict[str, Started] = {}
        self._gave_up = False

    def take(self, page: Page, calls: list[Started], *, backward: bool) -> list[Started]:
        """Add a page, and return the calls that are due by now; the first page decides on the direction."""
        if self._gave_up:
            return calls
        begin = page.offset or 0
        if self._edge is None:
            self._backward = backward
            # No row is in common with the page that comes first.
            self._edge = (page.total or 0) - 1 if backward else begin + 1
        by_id = {call[1]: call for call in calls}
        for _, _, earlier, _ in self._waiting:
            for call_id in earlier.keys() & by_id.keys():
                del earlier[call_id]
        size = sum([len(row.raw) for row in page.rows])
        self._waiting.append((begin, begin + len(page.rows), by_id, size))
        due: list[Started] = []
        while (place := self._next_due()) is not None:
            due += self._hand_on(self._waiting.pop(place)[2])
        held = sum([len(row.raw) for _, _, row in self._newest.values()]) + sum([page[3] for page in self._waiting])
        if held > _MOST_HELD:
            self._gave_up = True
            due += self.rest()
        return due

    def rest(self) -> list[Started]:
        """Return the calls that still wait."""
        rest: list[Started] = []
        for _, _, calls, _ in sorted(self._waiting, key=lambda page: page[0], reverse=self._backward):
            rest += self._hand_on(calls)
        self._waiting.clear()
        rest += self._newest.values()
        self._newest = {}
        return rest

    def _next_due(self) -> int | None:
        """Return the index of a waiting page that continues what has been handed on."""
        edge = self._edge or 0
        for place, (begin, end, _, _) in enumerate(self._waiting):
            if end > edge if self._backward else begin < edge:
                self._edge = min(edge, begin) if self._backward else max(edge, end)
                return place
        return None

    def _hand_on(self, calls: dict[str, Started]) -> list[Started]:
        """Return a page's calls in order, without those that start in the same millisecond as its newest."""
        ranked = sorted((self._newest | calls if self._newest else calls).values())
        count = len(ranked)
        while count and ranked[count - 1][0] == ranked[-1][0]:
            count -= 1
        self._newest = {call[1]: call for call in ranked[count:]}
        del ranked[count:]
        return ranked
