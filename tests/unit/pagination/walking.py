# SPDX-License-Identifier: Apache-2.0
"""A list that a walk reads, without a server: what it asks for, and the pages that answer it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.call import CallRow
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.exceptions import SynthflowRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_synthflow.pagination.page_ranges import PageAsk
    from airflow_provider_synthflow.pagination.walk import Walk

__all__ = ["Drive", "Listing", "drive", "ids_of", "page_of"]


def page_of(ids: Iterable[str], total: int | None = None, **echo: Any) -> Page:
    """Make a page of calls that have nothing but an id."""
    return Page([CallRow(call_id, b"{}") for call_id in ids], total, **echo)


def ids_of(page: Page) -> list[str]:
    """Return the ids on a page."""
    return [row.call_id for row in page.rows]


@dataclass
class Listing:
    """
    Hold a list that is read in pages.

    :param ids: its rows
    :param cap: the most rows on a page
    :param declares: whether pages declare the total
    :param behind: what an offset behind the end brings: nothing, the last page, or a refusal
    """

    ids: list[str]
    cap: int = 100
    declares: bool = True
    behind: str = "empty"

    @classmethod
    def of(cls, count: int, **options: Any) -> Listing:
        """Make a list of so many rows."""
        return cls([f"c{number:05}" for number in range(count)], **options)

    def page(self, limit: int, offset: int) -> Page:
        """Return one page."""
        total = len(self.ids) if self.declares else None
        rows = min(limit, self.cap)
        if offset >= len(self.ids) and self.ids and offset:
            if self.behind == "refusal":
                raise SynthflowRequestError("Offset is out of range.", status=400)
            if self.behind == "last page":
                offset = (len(self.ids) - 1) // rows * rows
        return page_of(self.ids[offset : offset + rows], total)


@dataclass
class Drive:
    """
    Tell how a walk went.

    :param asks: what it asked for, in order
    :param used: the ids on the pages that were to be used
    :param pauses: how long it waited before each further round
    :param most_in_flight: how many requests were in flight at most
    """

    asks: list[PageAsk] = field(default_factory=list)
    used: list[str] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    most_in_flight: int = 0

    @property
    def offsets(self) -> list[int]:
        """Return the offsets that were asked for."""
        return [ask.offset for ask in self.asks]


def drive(
    walk: Walk,
    listing: Listing,
    *,
    spoil: Callable[[int, PageAsk, Page], Page] | None = None,
    before: Callable[[int], None] | None = None,
    pick: Callable[[int], int] = lambda _: 0,
    log: Drive | None = None,
) -> Drive:
    """
    Answer what a walk asks for until it is done.

    :param walk: the walk
    :param listing: what it reads
    :param spoil: changes the page that answers the n-th request, from 1
    :param before: happens before the n-th answer
    :param pick: chooses which of so many requests in flight is answered next
    :param log: where to tell how it went, also when it fails
    """
    log = log or Drive()
    flying: list[PageAsk] = []
    answered = 0
    while not walk.done:
        asks = walk.asks()
        log.asks += asks
        log.pauses += [ask.pause for ask in asks if ask.pause]
        flying += asks
        log.most_in_flight = max(log.most_in_flight, len(flying))
        ask = flying.pop(pick(len(flying)))
        answered += 1
        if before is not None:
            before(answered)
        try:
            page = listing.page(ask.limit, ask.offset)
            if spoil is not None:
                page = spoil(answered, ask, page)
        except SynthflowRequestError as error:
            walk.refuse(ask, error)
        else:
            if walk.receive(ask, page):
                log.used += ids_of(page)
    return log
