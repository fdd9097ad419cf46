# SPDX-License-Identifier: Apache-2.0
"""
What the pages of one walk prove together. Pure.

Offsets into a list that changes repeat rows when rows come and skip rows when rows go, and the API has no cursor.
So neighbouring pages are asked for with one row in common, the *seam*. A row that stays in the list cannot be missed
while the seams hold: were it neither on page k nor on page k+1, it stood after page k's last row at the one
reading and before page k+1's first row at the other; these two are the same row, and rows that stay do not
overtake each other. On top of that, the number of different ids must equal the declared total, which must be the
same on all pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_synthflow.pagination.packed_ids import distinct_count, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.pagination.page_ranges import PageAsk

__all__ = ["PageDefect", "PageIds", "Verdict", "find_defect", "verify_pages"]


class PageDefect(Enum):
    """Say why a page cannot be used."""

    OTHER_OFFSET = "the page of another offset"
    OTHER_ROWS = "the rows of another page"
    TOO_MANY = "more rows than the limit"
    TWICE = "one call twice on the page"
    EMPTY = "an empty page before the end"
    NO_PROGRESS = "no new rows before the end"
    REFUSED = "a refusal"

    @property
    def systematic(self) -> bool:
        """Tell whether this, time after time, is the server's way of paging and not an accident."""
        return self in {PageDefect.OTHER_OFFSET, PageDefect.OTHER_ROWS, PageDefect.TOO_MANY}

    @property
    def barren(self) -> bool:
        """Tell whether the page brought nothing, so that nothing can be expected behind it."""
        return self in {PageDefect.EMPTY, PageDefect.NO_PROGRESS, PageDefect.REFUSED}


class PageIds:
    """
    Hold what one page brought, its ids packed.

    :param start: the index of its first row
    :param serial: the number of the request within the walk: a later reading has a higher one
    :param ids: the call ids in order
    :param total: the declared total, None where there was none
    """

    __slots__ = ("count", "packed", "serial", "start", "total")

    def __init__(self, start: int, serial: int, ids: Sequence[str], total: int | None) -> None:
        self.start = start
        self.serial = serial
        self.packed = pack(ids)
        self.count = len(ids)
        self.total = total

    def __lt__(self, other: PageIds) -> bool:
        """Tell whether it comes before another: by where it begins, then by its age."""
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
    """
    Return how a page is, in itself, not what was asked for; None where it may be that.

    :param ask: what was asked for
    :param page: what came
    :param ids: its call ids in order
    """
    if page.offset is not None and page.offset != ask.offset:
        return PageDefect.OTHER_OFFSET
    if len(ids) > (ask.limit if page.limit is None else page.limit):
        return PageDefect.TOO_MANY
    if len(set(ids)) != len(ids):
        return PageDefect.TWICE
    return None


@dataclass(frozen=True)
class Verdict:
    """
    Hold what a set of readings proves.

    :param distinct: how many different ids there are
    :param steady: whether all pages declare the same total
    :param seamless: whether each page continues the one before it
    :param counted: whether the number of different ids equals the declared total, or else the rows read
    :param bad: the serials of the readings to read again
    """

    distinct: int
    steady: bool
    seamless: bool
    counted: bool
    bad: frozenset[int]


def verify_pages(readings: Sequence[PageIds], *, offset: int, total: int | None, overlap: int) -> Verdict:
    """
    Judge the readings of one walk.

    :param readings: in the order of their starts
    :param offset: the index of the first row of interest
    :param total: the total declared last, None where there is none: then as many different ids as rows are expected,
        since a row that is missed in an unstable order is made up for by one that comes twice
    :param overlap: how many rows neighbouring pages share at least
    """
    end = max((reading.end for reading in readings), default=offset) if total is None else total
    stale = {reading.serial for reading in readings if reading.total is not None and reading.total != total}
    torn, seamless = _torn_seams(readings, overlap)
    distinct = distinct_count([reading.packed for reading in readings], sum(reading.count for reading in readings))
    return Verdict(
        distinct=distinct,
        steady=not stale,
        seamless=seamless,
        counted=distinct == max(0, end - offset),
        bad=frozenset(stale | torn),
    )


def _torn_seams(readings: Sequence[PageIds], overlap: int) -> tuple[set[int], bool]:
    """Compare each reading with the one it continues, row by row where they overlap."""
    torn: set[int] = set()
    seamless = True
    reach: PageIds | None = None
    for reading in readings:
        if reach is not None:
            shared = min(reach.end, reading.end) - reading.start
            if shared < overlap:
                seamless = False  # a page between the two is missing; neither is to blame
            elif reading.ids[:shared] != reach.ids[reading.start - reach.start :][:shared]:
                seamless = False
                torn |= {reach.serial, reading.serial}
        if reach is None or reading.end > reach.end:
            reach = reading
    return torn, seamless
