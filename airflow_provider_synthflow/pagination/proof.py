# SPDX-License-Identifier: Apache-2.0
"""
What the pages of one walk prove together. Pure.

Offsets into a list that changes repeat rows when rows come and skip rows when rows go, and the API has no cursor.
So neighbouring pages are asked for with one row in common, the *seam*. A row that stays in the list cannot be missed
while the seams hold: were it neither on page k nor on page k+1, it stood after page k's last row at the one
reading and before page k+1's first row at the other; these two are the same row, and rows that stay do not
overtake each other. On top of that, the number of different ids must equal the declared total, which must be the
same on all pages.

Some lists send rows twice. Where the repeats count as rows (a join), the pages are slices of a longer list: its seams
hold, and its rows with their repeats are as many as declared. Where they do not, a page is taken without them. Either
is believed only where two walks agree. Where each page begins with the last row of the page before, pages are asked
for by the offset behind their first row: all else is as ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_synthflow.pagination.packed_ids import distinct_count, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.pagination.page_ranges import PageAsk

__all__ = ["PageDefect", "PageIds", "Verdict", "find_defect", "rows_in_order", "verify_pages"]


class PageDefect(Enum):
    """A reason why a page cannot be used."""

    OTHER_OFFSET = "the page of another offset"
    OTHER_ROWS = "the rows of another page"
    TOO_MANY = "more rows than the limit"
    ONE_MORE = "one row more than the limit"
    TWICE = "one call twice on the page"
    EMPTY = "an empty page before the end"
    NO_PROGRESS = "no new rows before the end"
    REFUSED = "a refusal"

    @property
    def systematic(self) -> bool:
        """Tell whether a defect that lasts is the server's way of paging, and no accident."""
        return self in {PageDefect.OTHER_OFFSET, PageDefect.OTHER_ROWS, PageDefect.ONE_MORE, PageDefect.TOO_MANY}

    @property
    def barren(self) -> bool:
        """Tell whether the page brought nothing, so that nothing is expected behind it."""
        return self in {PageDefect.EMPTY, PageDefect.NO_PROGRESS, PageDefect.REFUSED}


class PageIds:
    """The ids of one page, packed."""

    __slots__ = ("count", "dropped", "first", "has_repeats", "last", "packed", "serial", "start", "total")

    def __init__(self, start: int, serial: int, ids: Sequence[str], total: int | None, dropped: int = 0) -> None:
        self.start = start
        self.serial = serial  # a later reading has a higher one
        self.packed = pack(ids)
        self.first, self.last = (ids[0], ids[-1]) if ids else ("", "")
        self.count = len(ids)
        self.total = total
        self.dropped = dropped  # rows left out, since they are on the page already
        self.has_repeats = dropped > 0 or len(set(ids)) < len(ids)

    def __lt__(self, other: PageIds) -> bool:
        """Compare by start, then by age."""
        return (self.start, self.serial) < (other.start, other.serial)

    @property
    def ids(self) -> tuple[str, ...]:
        """Return the call ids in order."""
        return unpack(self.packed)

    @property
    def end(self) -> int:
        """Return the index after its last row."""
        return self.start + self.count


def find_defect(ask: PageAsk, page: Page, ids: Sequence[str]) -> PageDefect | None:
    """Return the defect that a page shows by itself, if any."""
    if page.offset is not None and page.offset != ask.offset:
        return PageDefect.OTHER_OFFSET
    different = len(set(ids))
    excess = different - (ask.limit if page.limit is None else page.limit)
    if excess > 0:
        return PageDefect.ONE_MORE if excess == 1 else PageDefect.TOO_MANY
    return PageDefect.TWICE if different < len(ids) else None


@dataclass(frozen=True)
class Verdict:
    """The findings about a set of pages."""

    distinct: int  # different ids
    steady: bool  # all pages declare the same total
    seamless: bool  # each page continues the one before it
    counted: bool  # the different ids are as many as declared, or, without a total, as the rows
    filled: bool  # the rows, repeats included, are as many as declared
    exceeded: bool  # a page reaches beyond the declared total
    bad: frozenset[int]  # the serials of the pages to read again


def verify_pages(readings: Sequence[PageIds], *, offset: int, total: int | None, overlap: int) -> Verdict:
    """Verify the pages of one walk, sorted by their starts."""
    stale = {reading.serial for reading in readings if reading.total is not None and reading.total != total}
    torn: set[int] = set()
    seamless = True
    reach: PageIds | None = None  # the page that reaches the furthest
    for reading in readings:
        if reach is not None:
            shared = min(reach.end, reading.end) - reading.start
            if shared < overlap:
                seamless = False  # a page between the two is missing; neither is to blame
            elif not _agree(reach, reading, shared):
                seamless = False
                torn |= {reach.serial, reading.serial}
        if reach is None or reading.end > reach.end:
            reach = reading
    distinct = distinct_count([reading.packed for reading in readings], sum(reading.count for reading in readings))
    end = offset if reach is None else reach.end
    return Verdict(
        distinct=distinct,
        steady=not stale,
        seamless=seamless,
        # Without a total: a row that is missed in an unstable order is made up for by one that comes twice.
        counted=distinct == max(0, (end if total is None else total) - offset),
        filled=end == total,
        exceeded=total is not None and (end > max(total, offset) or distinct > max(0, total - offset)),
        bad=frozenset(stale | torn),
    )


def _agree(one: PageIds, next_one: PageIds, shared: int) -> bool:
    """Tell whether two pages have the same ids in the rows that they share."""
    if shared == 1 and one.end == next_one.start + 1:  # nearly always; the others' ids are to be unpacked
        return one.last == next_one.first
    return next_one.ids[:shared] == one.ids[next_one.start - one.start :][:shared]


def rows_in_order(readings: Sequence[PageIds]) -> Iterator[Sequence[str]]:
    """Yield the ids of seamless pages, shared rows once."""
    reach = None
    for reading in readings:
        ids = reading.ids
        yield ids if reach is None else ids[max(0, reach - reading.start) :]
        reach = reading.end if reach is None else max(reach, reading.end)
