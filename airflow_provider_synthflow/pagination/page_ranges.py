# SPDX-License-Identifier: Apache-2.0
"""The parts of a list that are still to be read, and the page to ask for next in one of them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PageAsk", "PageLayout", "RowRange"]


@dataclass(frozen=True)
class PageAsk:
    """
    Ask for one page.

    :param offset: the index of the first row
    :param limit: how many rows
    :param serial: the number of the request within the walk
    :param stop: up to which index rows are missing that no other page is asked for; None: to the end
    :param behind: whether it is to show that nothing follows the rows that are there
    """

    offset: int
    limit: int
    serial: int
    stop: int | None
    behind: bool = False


@dataclass(frozen=True)
class RowRange:
    """
    Be a part of the list that is still to be read.

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
    Say how pages lie on the list.

    :param offset: the index of the first row of interest
    :param size: how many rows a page can be expected to hold
    :param overlap: how many rows a page has in common with the one before it
    :param end: the index at which the list ends; None: nobody knows
    """

    offset: int
    size: int
    overlap: int
    end: int | None

    def first(self, stretch: RowRange) -> tuple[RowRange, list[RowRange]]:
        """
        Return the first page of a stretch, from its first row to where it is to stop, and what then is left.

        :param stretch: what is to be read
        """
        start = self._start(stretch)
        expected = start + self.size
        if self.end is None or (stretch.stop is not None and expected >= stretch.stop):
            return RowRange(start, stretch.stop, stretch.behind), []
        return RowRange(start, expected, stretch.behind), [RowRange(expected, stretch.stop)]

    def last(self, stretch: RowRange) -> tuple[RowRange, list[RowRange]]:
        """
        Return the last page of a stretch, as :meth:`first` does the first one.

        :param stretch: what is to be read
        """
        start = self._start(stretch)
        if self.end is None or stretch.behind:
            return self.first(stretch)
        end = self.end if stretch.stop is None else stretch.stop
        if start + self.size >= end:
            return self.first(stretch)
        step = self.size - self.overlap
        start += -(-(end - start - self.size) // step) * step
        stop = start + self.size if stretch.stop is None else stretch.stop
        return RowRange(start, stop), [RowRange(stretch.reach, start + self.overlap)]

    def _start(self, stretch: RowRange) -> int:
        """Return where a stretch's first page begins: with the row before it, unless there is none to share."""
        alone = stretch.behind or stretch.reach == self.offset
        return stretch.reach if alone else stretch.reach - self.overlap
