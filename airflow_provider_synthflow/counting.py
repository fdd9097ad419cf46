# SPDX-License-Identifier: Apache-2.0
"""How many calls of a list started between two instants, found by looking at few of its pages. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.placement import started_at

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.answer import Page

__all__ = ["Counting"]

_LARGEST_PAGE = 100
_MOST_PAGES = 10
_MOST_PROBES = 20


class Counting:
    """
    Count the calls of a list that started between two instants.

    A list that is sorted by the start, whichever way, holds the calls that count in one piece. So its first and its
    last page are read, and where one of them shows calls outside, the end of the piece is looked for by halving, as a
    word is in a dictionary: twenty pages at the most, which is enough for some hundred thousand calls. A list that
    turns out not to be sorted, or declares no total, is read from its begin, ten pages at the most, and only the calls
    that were seen count.

    Ask for what :meth:`next_page` returns and give the answer to :meth:`receive`, until it returns None.

    :param from_ms: UTC milliseconds since 1970, inclusive
    :param to_ms: UTC milliseconds since 1970, exclusive
    :param wanted: how many there are to be; it need not be known how many fewer there are
    """

    def __init__(self, from_ms: int, to_ms: int, wanted: int) -> None:
        self.starts: dict[str, int] = {}
        """When each call started that was seen and counts."""
        self.total: int | None = None
        self.pages = 0
        self._from_ms = from_ms
        self._to_ms = to_ms
        self._wanted = max(wanted, 1)
        self._others: set[str] = set()
        self._sides: dict[int, int | None] = {}
        """By the place in the list: before the instants (-1), between (0), behind (1), or not known."""
        self._reach = 0  # all rows before it were read
        self._length: int | None = None  # where no row came, or none is told, whatever is declared
        self._is_sorted = True
        self._ended = False

    def next_page(self) -> tuple[int, int] | None:
        """Return the limit and the offset of the next page to ask for, or None where the answer is known."""
        if self._ended:
            return None
        if self.pages == 0:
            return min(self._wanted, _LARGEST_PAGE), 0
        if self.pages >= (_MOST_PROBES if self._can_be_halved else _MOST_PAGES):
            return None
        if self.total is None or not self._is_sorted:
            return _LARGEST_PAGE, self._reach
        gaps = self._gaps()
        if not gaps or self.count + sum(end - begin for begin, end in gaps) < self._wanted:
            return None
        begin, end = gaps[-1]
        if end == self._end:
            return _LARGEST_PAGE, max(begin, end - _LARGEST_PAGE)
        return _LARGEST_PAGE, max(begin, (begin + end - _LARGEST_PAGE) // 2)

    def receive(self, offset: int, page: Page) -> None:
        """
        Take in a page.

        :param offset: what it was asked for by
        :param page: what came
        """
        self.pages += 1
        if page.total is not None:
            self.total = page.total
        known = len(self.starts) + len(self._others)
        for place, row in enumerate(page.rows, offset):
            start = started_at(row)
            side = None if start is None else (start >= self._to_ms) - (start < self._from_ms)
            self._sides[place] = side
            if start is not None and side == 0:
                self.starts[row.call_id] = start
            else:
                self._others.add(row.call_id)
        is_new = len(self.starts) + len(self._others) > known
        if offset == self._reach:
            self._reach += len(page.rows)
            self._ended = not is_new or (self.total is not None and self._reach >= self.total)
        elif not page.rows:
            self._shorten(offset)
        elif not is_new or page.offset not in {None, offset}:
            self._is_sorted = False  # it is not the page that was asked for
        sides = [side for _, side in sorted(self._sides.items()) if side is not None]
        if sides != sorted(sides) and sides != sorted(sides, reverse=True):
            self._is_sorted = False

    def refuse(self, offset: int) -> None:
        """
        Note that the API refused a page behind the first one: its list ends before, or is not told so far.

        :param offset: what it was asked for by
        """
        self.pages += 1
        if self.total is None or not self._is_sorted:
            self._ended = True
        else:
            self._shorten((offset + max((place + 1 for place in self._sides if place < offset), default=0)) // 2)

    @property
    def count(self) -> int:
        """Return how many calls count, as far as it is known: at least so many."""
        if self._ended or self.total is None or not self._is_sorted:
            return len(self.starts)
        return len(self.starts) + sum(end - begin for begin, end, left, right in self._unseen() if left == right == 0)

    @property
    def _can_be_halved(self) -> bool:
        """Tell whether the rows that were seen show where others are."""
        return self.total is not None and self._is_sorted and any(side is not None for side in self._sides.values())

    def _shorten(self, length: int) -> None:
        self._length = length if self._length is None else min(self._length, length)

    @property
    def _end(self) -> int:
        return min(end for end in (self.total, self._length) if end is not None)

    def _unseen(self) -> list[tuple[int, int, int | None, int | None]]:
        """Return the stretches that were not seen, and on which side the nearest rows before and behind each are."""
        stretches: list[tuple[int, int, int | None]] = []
        after, side = 0, None
        for place, here in sorted(self._sides.items()):
            if place > after:
                stretches.append((after, place, side))
            after, side = place + 1, side if here is None else here
        if self._end > after:
            stretches.append((after, self._end, side))
        behind = {}
        side = None
        for place, here in sorted(self._sides.items(), reverse=True):
            side = side if here is None else here
            behind[place] = side
        return [(begin, end, left, behind.get(end)) for begin, end, left in stretches]

    def _gaps(self) -> list[tuple[int, int]]:
        """Return the stretches of which it is not known how many calls in them count; the last is to be looked at."""
        return [(begin, end) for begin, end, left, right in self._unseen() if left is None or left != right]
