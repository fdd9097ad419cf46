# SPDX-License-Identifier: Apache-2.0
"""Bring the calls of pages into the order of their starts while the pages come. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.placement import started_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_synthflow.client.answer import Page
    from airflow_provider_synthflow.client.rows import CallRow

    Calls = dict[str, tuple[CallRow, int | None]]

__all__ = ["PageOrder", "newest_first"]

_MOST_HELD = 8 * 1024 * 1024
_NOWHERE = -1


def newest_first(page: Page) -> bool:
    """
    Tell whether a page lists its newest call first.

    :param page: a page with calls
    """
    starts = [start for start in (started_at(page.rows[0]), started_at(page.rows[-1])) if start is not None]
    return bool(starts) and starts[0] > starts[-1]


class PageOrder:
    """
    Hand on the calls of pages by (start, id), whichever page comes first, as long as little is to be held for that.

    Pages of a list that is sorted by the start need no sorting but within a page: what comes early waits for the pages
    before it, and calls that start in the same millisecond as a page's newest wait for the next page. Where more than
    8 MiB would wait, or the list is not sorted, calls come in another order, and none is lost: the order is a help, and
    nothing relies on it. Of several readings of a call, the latest comes last.

    :param place: says when a call started, None where nothing tells; it may raise
    """

    def __init__(self, place: Callable[[CallRow], int | None] = started_at) -> None:
        self._place = place
        self._backward = False
        self._edge: int | None = None  # up to where, or from where on, all pages have been handed on
        self._waiting: dict[int, tuple[int, Calls]] = {}  # by its offset: where a page ends, and its calls
        self._newest: Calls = {}
        self._held = 0  # bytes in both
        self._gave_up = False

    def take(self, page: Page, *, backward: bool) -> Iterator[tuple[CallRow, int | None]]:
        """
        Take in a page, and yield the calls that are due by now, each with its start.

        :param page: the page, with its offset
        :param backward: whether pages are read from the list's end to its begin; the first page decides
        """
        begin = page.offset or 0
        calls = {row.call_id: (row, self._place(row)) for row in page.rows}
        if self._gave_up:
            yield from calls.values()
            return
        if self._edge is None:
            self._backward = backward
            # No row is in common with the page that comes first.
            self._edge = (page.total or 0) - 1 if backward else begin + 1
        for _, earlier in (*self._waiting.values(), (0, self._newest)):
            for call_id in earlier.keys() & calls.keys():
                self._held -= len(earlier.pop(call_id)[0].raw)
        self._waiting[begin] = (begin + len(calls), calls)
        self._held += sum(len(row.raw) for row in page.rows)
        while (due := self._next_due()) is not None:
            yield from self._hand_on(due)
        if self._held > _MOST_HELD:
            self._gave_up = True
            yield from self.rest()

    def rest(self) -> Iterator[tuple[CallRow, int | None]]:
        """Yield the calls that still wait."""
        for begin in sorted(self._waiting, reverse=self._backward):
            yield from self._hand_on(begin)
        yield from self._newest.values()
        self._newest = {}
        self._held = 0

    def _next_due(self) -> int | None:
        """Return the offset of a page that has a row in common with what has been handed on."""
        edge = self._edge or 0
        for begin, (end, _) in self._waiting.items():
            if end > edge if self._backward else begin < edge:
                self._edge = min(edge, begin) if self._backward else max(edge, end)
                return begin
        return None

    def _hand_on(self, begin: int) -> Iterator[tuple[CallRow, int | None]]:
        """Yield a page's calls, but for those that start with its newest."""
        calls = self._newest | self._waiting.pop(begin)[1]
        ranked = sorted(calls.values(), key=_rank)
        newest = ranked[-1][1] if ranked else None
        self._newest = {}
        for row, start in ranked:
            if start == newest:
                self._newest[row.call_id] = (row, start)
            else:
                self._held -= len(row.raw)
                yield row, start


def _rank(call: tuple[CallRow, int | None]) -> tuple[int, str]:
    row, start = call
    return (_NOWHERE if start is None else start, row.call_id)
