# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import heapq
import itertools
import random
import statistics
import threading

import pytest

from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.retry import retry_after_seconds, tries
from airflow_provider_synthflow.exceptions import SynthflowTransientError
from tests.synthflow_server import Behaviour
from tests.synthflow_server.answer import ApiError
from tests.synthflow_server.rates import RateLimit
from tests.unit.client.making import FakeClock


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def pace(clock):
    return RateLimiter(clock)


def reach_limit(pace, clock):
    """Refuse one request after another one has come through."""
    pace.succeed(pace.now())
    clock.now += 1
    pace.refuse(pace.now())


def slow(pace, clock, interval):
    """Reach limits, one after the other, until the interval is at least this."""
    while pace.interval < interval:
        reach_limit(pace, clock)


def test_at_first_there_is_no_interval_and_nobody_waits(pace):
    assert pace.interval == 0.0
    assert [pace.reserve() for _ in range(100)] == [0.0] * 100


def test_a_refusal_lets_requests_start_one_after_the_other(pace, clock):
    pace.refuse(pace.now(), 0.0)
    assert pace.interval == 0.05
    assert [pace.reserve() for _ in range(4)] == pytest.approx([0.0, 0.05, 0.10, 0.15])
    clock.now += 0.12
    assert pace.reserve() == pytest.approx(0.08)


def test_time_that_passes_unused_is_not_saved_up(pace, clock):
    pace.refuse(pace.now(), 0.0)
    clock.now += 60
    assert [pace.reserve() for _ in range(3)] == pytest.approx([0.0, 0.05, 0.10])


def test_refusals_of_requests_that_were_in_flight_together_slow_down_once(pace, clock):
    sent = [pace.now() for _ in range(8)]
    clock.now += 0.5
    for sent_at in sent:
        pace.refuse(sent_at, 0.0)
        clock.now += 0.01
    assert pace.interval == 0.05


def test_a_limit_that_is_reached_again_slows_down_again(pace, clock):
    for doubled in (0.05, 0.09, 0.162):  # less the tenth of the success between
        reach_limit(pace, clock)
        assert pace.interval == pytest.approx(doubled)


def test_refusals_one_after_the_other_are_one_limit_until_a_request_comes_through(pace, clock):
    for _ in range(20):
        clock.now += 10
        pace.refuse(pace.now())
    assert pace.interval == 0.05


def test_what_was_reserved_before_the_limit_neither_lowers_the_pace_again_nor_ends_the_limit(pace, clock):
    before = pace.now()
    clock.now += 1
    pace.refuse(pace.now())
    clock.now += 1
    pace.succeed(before)
    pace.refuse(before)
    pace.refuse(pace.now())
    assert pace.interval == pytest.approx(0.05 * 0.9)


def test_the_interval_has_an_upper_bound(pace, clock):
    for _ in range(100):
        reach_limit(pace, clock)
    assert pace.interval == 10.0


def test_a_wait_that_the_server_asks_for_halts_all_requests(pace, clock):
    pace.refuse(pace.now(), 7.0)
    assert [pace.reserve() for _ in range(3)] == pytest.approx([7.0, 7.05, 7.10])
    clock.now += 7.5
    assert pace.reserve() == 0.0


def test_a_shorter_wait_does_not_cut_a_longer_halt(pace, clock):
    sent_at = pace.now()
    pace.refuse(sent_at, 7.0)
    pace.refuse(sent_at, 1.0)
    assert pace.reserve() == 7.0


def test_a_refusal_of_the_same_flight_still_lengthens_the_halt(pace, clock):
    sent_at = pace.now()
    clock.now += 0.5
    pace.refuse(sent_at, 1.0)
    pace.refuse(sent_at, 7.0)
    assert pace.reserve() == 7.0
    assert pace.interval == 0.05


def test_each_success_takes_a_tenth_off_until_the_full_speed_is_back(pace, clock):
    slow(pace, clock, 0.4)
    before = pace.interval
    pace.succeed(pace.now())
    assert pace.interval == pytest.approx(before * 0.9)
    for _ in range(100):
        pace.succeed(pace.now())
    assert pace.interval == 0.0
    clock.now += 60
    assert [pace.reserve() for _ in range(3)] == [0.0] * 3


def test_it_recovers_from_the_slowest_pace_within_a_hundred_successes(pace, clock):
    slow(pace, clock, 10.0)
    for _ in range(100):
        pace.succeed(pace.now())
    assert pace.interval == 0.0


def test_after_a_recovery_a_refusal_begins_anew(pace, clock):
    slow(pace, clock, 0.4)
    for _ in range(100):
        pace.succeed(pace.now())
    clock.now += 1
    pace.refuse(pace.now(), 0.0)
    assert pace.interval == 0.05


def test_success_at_full_speed_changes_nothing(pace):
    pace.succeed(pace.now())
    assert pace.interval == 0.0
    assert pace.reserve() == 0.0


def test_a_limit_halts_all_requests_for_the_backoff_of_its_round(pace, clock):
    rounds = []
    for _ in range(3):
        clock.now += 100
        assert pace.close(pace.now(), lambda number: rounds.append(number) or 2.0**number) == 2.0 ** len(rounds)
        assert pace.reserve() == 2.0 ** len(rounds)
    assert rounds == [1, 2, 3]
    assert pace.interval == 0.05


def test_what_was_refused_together_waits_together_and_is_one_round(pace, clock):
    sent = [pace.now() for _ in range(4)]
    waits = []
    for sent_at in sent:
        clock.now += 0.1
        waits.append(pace.close(sent_at, lambda number: 2.0 * number))
    assert waits == pytest.approx([2.0, 1.9, 1.8, 1.7])


def test_a_limit_that_is_reached_after_a_request_came_through_begins_with_the_first_round(pace, clock):
    for _ in range(3):
        clock.now += 100
        pace.close(pace.now(), lambda number: 2.0**number)
    clock.now += 100
    pace.succeed(pace.now())
    clock.now += 1
    assert pace.close(pace.now(), lambda number: 2.0**number) == 2.0


def test_threads_that_reserve_at_once_get_different_starts(pace):
    pace.refuse(pace.now(), 0.0)
    starts = []

    def reserve():
        starts.extend(pace.reserve() for _ in range(50))

    threads = [threading.Thread(target=reserve) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(starts) == pytest.approx([number * 0.05 for number in range(400)])


def test_the_system_clock_is_the_default():
    pace = RateLimiter()
    assert pace.now() <= pace.now()
    assert pace.reserve() == 0.0


def run(concurrency, pages, seed, *, limit, window, retry_after="absent"):
    """Let workers ask a server with a limit for pages, in simulated time, and return when the last one came."""
    random.seed(seed)
    clock = FakeClock(0.0)
    pace, server = RateLimiter(clock), RateLimit()
    behaviour = Behaviour(rate_limit_per_minute=limit, rate_window_s=window, rate_clock="api", retry_after=retry_after)
    left, waiting, order = list(range(pages)), [], itertools.count()

    def worker():
        while left:
            left.pop()
            steps = tries(6, pace, lambda: None)
            step = next(steps)
            while True:
                if step is not None:
                    yield step
                    step = next(steps)
                    continue
                yield 0.05
                try:
                    server.take(behaviour, int(clock.now * 1000))
                except ApiError as refusal:
                    asked = retry_after_seconds(refusal.headers.get("Retry-After"))
                    step = steps.throw(SynthflowTransientError("x", status=429, retry_after=asked))
                else:
                    next(steps, None)
                    break

    for _ in range(concurrency):
        heapq.heappush(waiting, (0.0, next(order), worker()))
    while waiting:
        clock.now, _, each = heapq.heappop(waiting)
        for step in each:
            heapq.heappush(waiting, (clock.now + step, next(order), each))
            break
    return clock.now


@pytest.mark.parametrize("retry_after", ["absent", "2", "0"])
@pytest.mark.parametrize(
    ("pages", "limit", "window"), [(25, 10, 10.0), (200, 60, 60.0), (100, 20, 5.0)], ids=["10 s", "minute", "5 s"]
)
def test_more_concurrency_is_never_slower_under_a_limit(pages, limit, window, retry_after):
    """Seeds make the draws of chance the same each time, and no request is given up."""
    alone = [run(1, pages, seed, limit=limit, window=window, retry_after=retry_after) for seed in range(20)]
    for concurrency in (2, 4, 8):
        together = [
            run(concurrency, pages, seed, limit=limit, window=window, retry_after=retry_after) for seed in range(20)
        ]
        assert statistics.mean(together) <= statistics.mean(alone)
        assert max(together) <= max(alone)
