# SPDX-License-Identifier: Apache-2.0
"""The parts of a list that are still to be read, and the page to ask for next in one of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PageAsk", "PageLayout", "RowRange"]


@dataclass(frozen=True)
class PageAsk:
    """
    A page to ask for.

    :param start: the index of the first row
    :param limit: how many rows
    :param serial: the number of the request within the walk, in the order of sending
    :param stop: up to which index rows are missing that no other page is asked for; None: to the end
    :param behind: whether it is to show that nothing follows the rows that are there
    :param closing: whether it is to show that nothing lies behind the declared total
    :param shift: how many rows before its offset a page begins
    :param pause: how many seconds to wait before it is sent
    """

    start: int
    limit: int
    serial: int
    stop: int | None = None
    behind: bool = False
    closing: bool = False
    shift: int = 0
    pause: float = 0.0

    @property
    def offset(self) -> int:
        """Return the offset that is sent."""
        return self.start + (self.shift if self.start else 0)


@dataclass(frozen=True)
class RowRange:
    """
    A part of the list that is still to be read.

    :param reach: the index up to which rows are there already
    :param stop: the index up to which rows are missing; None: to the end
    :param behind: whether to begin behind the last row and not with it, to see that nothing follows
    """

    reach: int
    stop: int | None = None
    behind: bool = False


@dataclass(frozen=True)
class PageLayout:
    """
    How pages lie on the list.

    :param offset: the index of the first row of interest
    :param size: how many rows a page can be expected to hold
    :param overlap: how many rows a page has in common with the one before it
    :param end: the index at which the list ends; None: nobody knows
    """

    offset: int
    size: int
    overlap: int
    end: int | None

    def first(self, part: RowRange) -> tuple[RowRange, list[RowRange]]:
        """Return the first page of a part, from its first row to where it is to stop, and what then is left."""
        start = self._start(part)
        expected = start + self.size
        if self.end is None or (part.stop is not None and expected >= part.stop):
            return RowRange(start, part.stop, part.behind), []
        return RowRange(start, expected, part.behind), [RowRange(expected, part.stop)]

    def last(self, part: RowRange) -> tuple[RowRange, list[RowRange]]:
        """Return the last page of a part, as :meth:`first` does the first one."""
        start = self._start(part)
        if self.end is None or part.behind:
            return self.first(part)
        end = self.end if part.stop is None else part.stop
        if start + self.size >= end:
            return self.first(part)
        step = self.size - self.overlap
        start += -(-(end - start - self.size) // step) * step
        stop = start + self.size if part.stop is None else part.stop
        return RowRange(start, stop), [RowRange(part.reach, start + self.overlap)]

    def _start(self, part: RowRange) -> int:
        """Return where a part's first page begins: with the row before it, unless there is none to share."""
        alone = part.behind or part.reach == self.offset
        return part.reach if alone else part.reach - self.overlap
