# SPDX-License-Identifier: Apache-2.0
"""Pages are read one by one or several at a time, and nothing goes on behind the reader's back."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import (
    SynthflowIncompleteError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.pagination.fetch import aread_pages, look_ahead, read_pages, read_rows
from airflow_provider_synthflow.pagination.walk import Walk
from tests.loopback import LoopbackSender
from tests.synthflow_server import Behaviour, Change, SynthflowApi
from tests.unit.making import AGENT, many_calls
from tests.unit.pagination.walking import Listing, ids_of, page_of

PATIENCE = 10.0


class Fetch:
    """Answer from a list, each request as slow as it is told, and count those in flight."""

    def __init__(self, listing, *, seconds=0.0, fail_at=(), error=None):
        self.listing = listing
        self.seconds = seconds
        self.fail_at = fail_at
        self.error = error
        self.offsets = []
        self.threads = set()
        self.in_flight = self.most = 0
        self.lock = threading.Lock()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, limit, offset):
        with self.lock:
            self.offsets.append(offset)
            self.threads.add(threading.current_thread().name)
            number = len(self.offsets)
            self.in_flight += 1
            self.most = max(self.most, self.in_flight)
        try:
            if number in self.fail_at:
                raise self.error
            if number > 1:
                assert self.gate.wait(PATIENCE)
                time.sleep(self.seconds)
            return self.listing.page(limit, offset)
        finally:
            with self.lock:
                self.in_flight -= 1


def read(fetch, *, concurrency=4, limit=10, pauses=None):
    walk = Walk(limit=limit, look_ahead=concurrency)
    pauses = [] if pauses is None else pauses
    return walk, read_pages(walk, fetch, concurrency=concurrency, sleep=pauses.append)


def page_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("synthflow-page")]


@contextmanager
def no_threads_left():
    """Fail where a thread that reads pages is left behind."""
    yield
    end = time.monotonic() + PATIENCE
    while page_threads() and time.monotonic() < end:
        time.sleep(0.005)
    assert page_threads() == []


@pytest.mark.parametrize("concurrency", [0, 1, 2, 4, 8])
def test_all_rows_come_with_any_number_of_requests_in_flight(concurrency):
    listing = Listing.of(205)
    walk, pages = read(Fetch(listing), concurrency=concurrency)

    with no_threads_left():
        rows = [call_id for page in pages for call_id in ids_of(page)]

    assert walk.ids == set(rows) == set(listing.ids)
    assert walk.distinct == len(walk.ids)


@pytest.mark.parametrize("concurrency", [2, 3, 8])
def test_at_most_so_many_requests_are_in_flight(concurrency):
    fetch = Fetch(Listing.of(400), seconds=0.003)
    _, pages = read(fetch, concurrency=concurrency)

    list(pages)

    assert 1 < fetch.most <= concurrency


class Unread(NamedTuple):
    """An answer that tells which thread reads it, and that the first time cannot be read where it is one of some."""

    page: Any
    readers: set
    error: Exception | None

    def read(self):
        self.readers.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        return self.page


def test_whoever_uses_the_pages_reads_them_and_not_the_threads_that_wait_for_answers():
    listing, readers = Listing.of(205), set()
    fetch = Fetch(listing)
    _, pages = read(lambda *ask: Unread(fetch(*ask), readers, None))

    assert {call_id for page in pages for call_id in ids_of(page)} == set(listing.ids)
    assert readers == {threading.current_thread().name}
    assert readers.isdisjoint(fetch.threads)


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_refusal_that_is_met_on_reading_is_met_as_one_on_sending(concurrency):
    listing, refused = Listing.of(205), []
    fetch = Fetch(listing)

    def once_refused(limit, offset):
        page, error = fetch(limit, offset), None
        if offset > 100 and not refused:
            refused.append(offset)
            error = SynthflowRequestError("refused", status=400)
        return Unread(page, set(), error)

    walk, pages = read(once_refused, concurrency=concurrency)

    assert {call_id for page in pages for call_id in ids_of(page)} == walk.ids == set(listing.ids)
    assert fetch.offsets.count(refused[0]) == 2


def test_a_walk_that_looks_further_ahead_has_no_more_in_flight():
    fetch = Fetch(Listing.of(400), seconds=0.003)
    walk = Walk(limit=10, look_ahead=20)

    list(read_pages(walk, fetch, concurrency=3, sleep=time.sleep))

    assert fetch.most <= 3


def test_a_consumer_that_takes_its_time_holds_back_the_reading():
    fetch = Fetch(Listing.of(1000))
    ahead = look_ahead(4)
    pages = read_pages(Walk(limit=10, look_ahead=ahead), fetch, concurrency=4, sleep=time.sleep)

    for taken in range(1, 10):
        next(pages)
        end = time.monotonic() + PATIENCE
        while (len(fetch.offsets) < taken + ahead or fetch.in_flight) and time.monotonic() < end:
            time.sleep(0.001)  # the next pages come while the rows of this one are used
        time.sleep(0.005)
        assert len(fetch.offsets) == taken + ahead  # and no more than these: what waits in memory is bounded

    pages.close()


def test_one_at_a_time_needs_no_thread():
    fetch = Fetch(Listing.of(50))

    list(read(fetch, concurrency=1)[1])

    assert fetch.threads == {threading.current_thread().name}


@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_error_ends_it_and_no_further_request_is_sent(concurrency):
    error = SynthflowTransientError("The API failed.", status=503)
    fetch = Fetch(Listing.of(1000), seconds=0.01, fail_at=(3,), error=error)

    with no_threads_left(), pytest.raises(SynthflowTransientError) as caught:
        list(read(fetch, concurrency=concurrency)[1])

    assert caught.value is error
    sent = len(fetch.offsets)
    assert sent <= 2 * concurrency + 2
    time.sleep(0.05)
    assert len(fetch.offsets) == sent


def test_an_error_cancels_what_waits_for_a_thread():
    error = SynthflowTransientError("The API failed.", status=503)
    fetch = Fetch(Listing.of(1000), seconds=0.01, fail_at=(3,), error=error)
    walk = Walk(limit=10, look_ahead=40)

    with no_threads_left(), pytest.raises(SynthflowTransientError):
        list(read_pages(walk, fetch, concurrency=2, sleep=time.sleep))

    assert len(fetch.offsets) <= 6


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_page_that_is_not_to_be_used_is_not_given_out(concurrency):
    listing = Listing.of(100)
    fetch = Fetch(listing)
    answers = iter([page_of(["strange"], 100, offset=3)])
    walk = Walk(limit=10, look_ahead=concurrency)

    def once_strange(limit, offset):
        return (next(answers, None) if offset else None) or fetch(limit, offset)

    pages = list(read_pages(walk, once_strange, concurrency=concurrency, sleep=lambda _: None))

    assert {call_id for page in pages for call_id in ids_of(page)} == set(listing.ids)
    assert next(answers, None) is None


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_refused_page_is_left_to_the_walk(concurrency):
    error = SynthflowRequestError("Offset is out of range.", status=400)
    listing = Listing.of(100)
    fetch = Fetch(listing, fail_at=(3,), error=error)
    walk, pages = read(fetch, concurrency=concurrency)

    list(pages)

    assert walk.ids == set(listing.ids)
    assert len(fetch.offsets) > len(set(fetch.offsets))


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_refused_first_page_is_the_error(concurrency):
    fetch = Fetch(Listing.of(5), fail_at=(1,), error=SynthflowRequestError("Unknown model_id.", status=404))

    with no_threads_left(), pytest.raises(SynthflowRequestError, match="Unknown model_id"):
        list(read(fetch, concurrency=concurrency)[1])

    assert len(fetch.offsets) == 1


def test_closing_it_early_leaves_no_thread_waiting_for_a_page():
    fetch = Fetch(Listing.of(1000))
    _, pages = read(fetch, concurrency=4)
    next(pages)
    next(pages)
    fetch.gate.clear()
    sent = len(fetch.offsets)

    with no_threads_left():
        pages.close()
        fetch.gate.set()

    assert len(fetch.offsets) <= sent + 4


def test_closing_it_early_does_not_wait_for_the_requests_in_flight():
    fetch = Fetch(Listing.of(1000))
    fetch.gate.clear()
    _, pages = read(fetch, concurrency=4)
    next(pages)
    reader = threading.Thread(target=lambda: next(pages, None))
    reader.start()
    while fetch.in_flight < 4:
        time.sleep(0.001)
    waiting = len(fetch.offsets)
    with no_threads_left():
        fetch.gate.set()
        reader.join(PATIENCE)
        begun = time.monotonic()
        pages.close()
        assert time.monotonic() - begun < PATIENCE / 2

    assert len(fetch.offsets) <= waiting + 4


@pytest.mark.parametrize("concurrency", [1, 3])
def test_it_waits_before_each_further_round_and_only_then(concurrency):
    pauses = []
    short = Listing.of(30)
    fetch = Fetch(short)

    class TooMany(Listing):
        def page(self, limit, offset):
            page = short.page(limit, offset)
            return type(page)(page.rows, 31)

    fetch.listing = TooMany([])
    with pytest.raises(SynthflowIncompleteError):
        list(read(fetch, concurrency=concurrency, pauses=pauses)[1])

    assert pauses == [0.5, 1.0, 2.0, 4.0]


class TestOnAnEventLoop:
    @staticmethod
    def read(fetch, *, limit=10):
        """Return the walk, the ids that came, and the pauses."""
        walk, pauses = Walk(limit=limit), []

        async def answer(limit, offset):
            await asyncio.sleep(0)
            return fetch(limit, offset)

        async def sleep(seconds):
            await asyncio.sleep(0)
            pauses.append(seconds)

        async def rows():
            return [call_id async for page in aread_pages(walk, answer, sleep=sleep) for call_id in ids_of(page)]

        return walk, asyncio.run(rows()), pauses

    def test_the_same_is_asked_for_in_the_same_order_as_without_one(self):
        listing = Listing.of(205)
        fetch, plain = Fetch(listing), Fetch(listing)

        walk, rows, pauses = self.read(fetch)
        expected = [call_id for page in read(plain, concurrency=1)[1] for call_id in ids_of(page)]

        assert (rows, fetch.offsets, pauses) == (expected, plain.offsets, [])
        assert walk.ids == set(listing.ids)

    def test_a_refused_page_is_left_to_the_walk_and_a_refused_first_page_is_the_error(self):
        listing, error = Listing.of(100), SynthflowRequestError("Unknown model_id.", status=404)

        assert self.read(Fetch(listing, fail_at=(3,), error=error))[0].ids == set(listing.ids)
        with pytest.raises(SynthflowRequestError, match="Unknown model_id"):
            self.read(Fetch(listing, fail_at=(1,), error=error))

    def test_it_waits_before_a_further_round_and_hands_on_no_page_that_is_not_to_be_used(self):
        listing = Listing.of(30)
        fetch = Fetch(listing)
        answers = iter([page_of(["strange"], 30, offset=3)] * 2)

        walk, rows, pauses = self.read(
            lambda limit, offset: (next(answers, None) if offset else None) or fetch(limit, offset)
        )

        assert set(rows) == walk.ids == set(listing.ids)
        assert pauses == [0.5]


@pytest.mark.parametrize("concurrency", [1, 4])
class TestRows:
    def test_come_once_each_also_from_pages_that_overlap_or_are_read_again(self, concurrency):
        calls = many_calls(60)
        new = many_calls(61)[-1]
        api = SynthflowApi(calls, behaviour=Behaviour(max_rows=7), changes=[Change(at=(4,), add=(new,))])

        ids = [row.call_id for row in read_rows(LoopbackSender(api), CallsQuery(AGENT), concurrency=concurrency)]

        assert sorted(ids) == sorted([*(call.call_id for call in calls), new.call_id])
        assert len(api.requests) > 10

    def test_begin_at_an_offset_and_have_the_limit_that_was_asked_for(self, concurrency):
        api = SynthflowApi(many_calls(60), behaviour=Behaviour(order="oldest"))

        rows = read_rows(LoopbackSender(api), CallsQuery(AGENT), limit=20, offset=50, concurrency=concurrency)

        assert [row.call_id for row in rows] == [f"call-{number:04}" for number in range(50, 60)]
        assert {received.query["limit"] for received in api.requests} == {"20"}

    def test_are_read_no_further_than_they_are_taken(self, concurrency):
        api = SynthflowApi(many_calls(900))
        rows = read_rows(LoopbackSender(api), CallsQuery(AGENT), limit=10, concurrency=concurrency)

        with no_threads_left():
            next(rows)
            rows.close()

        assert len(api.requests) <= 1 + concurrency
