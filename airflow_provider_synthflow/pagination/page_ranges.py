# SPDX-License-Identifier: Apache-2.0
"""The parts of a list that are still to be read, and the next page to ask for. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PageAsk", "PageLayout", "RowRange"]


@dataclass(frozen=True)
class PageAsk:
    """A page to ask for."""

    start: int  # the index of the first row
    limit: int
    serial: int  # in the order of sending
    stop: int | None = None  # rows are missing up to this index; None: to the end
    behind: bool = False  # to show that nothing follows the known rows
    closing: bool = False  # to show that nothing lies behind the declared total
    shift: int = 0  # how many rows before its offset a page begins
    pause: float = 0.0  # seconds to wait before it is sent

    @property
    def offset(self) -> int:
        """Return the offset that is sent."""
        return self.start + (self.shift if self.start else 0)


@dataclass(frozen=True)
class RowRange:
    """A part of the list that is still to be read."""

    reach: int  # rows are known up to this index
    stop: int | None = None  # and missing up to this one; None: to the end
    behind: bool = False  # begin behind the last row and not with it, to see that nothing follows


@dataclass(frozen=True)
class PageLayout:
    """The layout of pages on the list."""

    offset: int  # of the first row of interest
    size: int  # how many rows a page is expected to hold
    overlap: int  # how many rows neighbouring pages share
    end: int | None  # of the list; None: unknown

    def first(self, part: RowRange) -> tuple[RowRange, list[RowRange]]:
        """Return the first page of a part, and what then is left of the part."""
        start = self._start(part)
        expected = start + self.size
        if self.end is None or (part.stop is not None and expected >= part.stop):
            return RowRange(start, part.stop, part.behind), []
        return RowRange(start, expected, part.behind), [RowRange(expected, part.stop)]

    def last(self, part: RowRange) -> tuple[RowRange, list[RowRange]]:
        """Return the last page of a part, and what then is left of the part."""
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
        """Return the start of a part's first page, with the row before it where there is one."""
        alone = part.behind or part.reach == self.offset
        return part.reach if alone else part.reach - self.overlap
