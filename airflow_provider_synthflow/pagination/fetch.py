# SPDX-License-Identifier: Apache-2.0
"""Read the pages of a walk: one after the other, several at a time in threads, or on an event loop."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from airflow_provider_synthflow.exceptions import SynthflowRequestError
from airflow_provider_synthflow.pagination.filter_check import FilterCheck
from airflow_provider_synthflow.pagination.page_threads import PageThreads
from airflow_provider_synthflow.pagination.sending_order import SendingOrder
from airflow_provider_synthflow.pagination.walk import Walk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from airflow_provider_synthflow.client.call import CallRow
    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Answer, Page
    from airflow_provider_synthflow.pagination.page_ranges import PageAsk

__all__ = ["PageReader", "aread_pages", "look_ahead", "read_client_pages", "read_pages", "read_rows"]

_READY = 2


class PageReader(Protocol):
    """What knows which page to ask for next, as a walk does; it has no more to ask for once all answers are there."""

    def asks(self) -> Sequence[PageAsk]:
        """Return the pages to ask for now."""

    def receive(self, ask: PageAsk, page: Page) -> bool:
        """Take in a page, and return whether its rows are to be used."""

    def refuse(self, ask: PageAsk, error: SynthflowRequestError) -> None:
        """Take in that the API refused a page, or raise."""


def look_ahead(concurrency: int) -> int:
    """
    Return how far a walk that is read to its end is to look ahead, so that no connection waits for what to ask next.

    :param concurrency: how many requests may be in flight
    """
    return concurrency + _READY if concurrency > 1 else 1


def read_pages(
    walk: PageReader, fetch: Callable[[int, int], Answer], *, concurrency: int, sleep: Callable[[float], None]
) -> Iterator[Page]:
    """
    Return an iterator that sends what a walk asks for until it is done: of the pages to be used, each with its offset.

    :param walk: the walk, or what asks for pages as one does
    :param fetch: sends one request, of a limit and an offset, and returns its answer
    :param concurrency: how many requests may be in flight
    :param sleep: how to wait between two rounds, in seconds
    :raises SynthflowError: what ``fetch`` and the walk raise
    """
    if concurrency <= 1:
        return _one_by_one(walk, fetch, sleep)
    return _side_by_side(walk, fetch, concurrency, sleep)


def _one_by_one(
    walk: PageReader, fetch: Callable[[int, int], Answer], sleep: Callable[[float], None]
) -> Iterator[Page]:
    while asks := walk.asks():
        for ask in asks:
            if ask.pause:
                sleep(ask.pause)
            try:
                page = fetch(ask.limit, ask.offset).read()
            except SynthflowRequestError as error:
                walk.refuse(ask, error)
            else:
                if walk.receive(ask, page):
                    yield replace(page, offset=ask.start)


async def aread_pages(
    walk: PageReader, fetch: Callable[[int, int], Awaitable[Page]], *, sleep: Callable[[float], Awaitable[None]]
) -> AsyncIterator[Page]:
    """Do as :func:`read_pages` does, one request after the other, on an event loop."""
    while asks := walk.asks():
        for ask in asks:
            if ask.pause:
                await sleep(ask.pause)
            try:
                page = await fetch(ask.limit, ask.offset)
            except SynthflowRequestError as error:
                walk.refuse(ask, error)
            else:
                if walk.receive(ask, page):
                    yield replace(page, offset=ask.start)


def _side_by_side(
    walk: PageReader, fetch: Callable[[int, int], Answer], concurrency: int, sleep: Callable[[float], None]
) -> Iterator[Page]:
    threads = PageThreads(fetch, concurrency)
    sending_order = SendingOrder()

    def send() -> None:
        for ask in walk.asks():
            if ask.pause:
                sleep(ask.pause)
            threads.send(ask)

    try:
        send()
        while threads.in_flight:
            ask, answer = threads.receive()
            usable = None
            try:
                page = _read(answer)
            except SynthflowRequestError as error:
                walk.refuse(ask, error)
            else:
                if walk.receive(ask, page):
                    stale = sending_order.find_stale(page, ask.serial, threads.in_flight)
                    usable = replace(page, offset=ask.start, stale=frozenset(stale))
            del answer  # as large as its page
            sending_order.land(ask.serial)
            send()  # before the page's rows are used, so that the next one is on its way meanwhile
            if usable is not None:
                yield usable
    finally:
        threads.close()


def _read(answer: Answer | BaseException) -> Page:
    if isinstance(answer, BaseException):
        raise answer
    return answer.read()


def read_client_pages(
    walk: Walk,
    client: SynthflowClient,
    fetch: Callable[[int, int], Answer],
    *,
    concurrency: int,
    sleep: Callable[[float], None] | None = None,
) -> Iterator[Page]:
    """
    Read pages as :func:`read_pages` does; errors, also the walk's own, name the client's connection.

    :param walk: the walk to drive
    :param client: what sends the requests
    :param fetch: sends one of them
    :param concurrency: how many requests may be in flight
    :param sleep: how to wait between two rounds, in seconds; default: as the client waits
    """
    with client.settings.named_in_errors():
        yield from read_pages(walk, fetch, concurrency=concurrency, sleep=sleep or client.wait)


def read_rows(
    client: SynthflowClient,
    query: CallsQuery,
    *,
    limit: int = 100,
    offset: int = 0,
    concurrency: int = 1,
    include_mismatched: bool = False,
) -> Iterator[CallRow]:
    """
    Yield all calls of a query, each once, as they come; complete, or an error at the end.

    :param client: where to ask
    :param query: which calls, with bounds as they are to be sent
    :param limit: the page size
    :param offset: the index of the first call
    :param concurrency: pages in flight
    :param include_mismatched: whether rows of another agent or status than asked for are yielded; else an error
    :raises SynthflowError: typed
    """
    check = FilterCheck(query, include=include_mismatched)
    walk = Walk(limit=limit, offset=offset, look_ahead=concurrency)
    seen: set[str] = set()
    for page in read_client_pages(walk, client, functools.partial(client.answer, query), concurrency=concurrency):
        with client.settings.named_in_errors():
            check.find_others(page.rows)
        for row in page.rows:
            if row.call_id not in seen:
                seen.add(row.call_id)
                yield row
