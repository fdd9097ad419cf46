# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

import pytest

from airflow_provider_synthflow.client.rate_limit import RateLimiter
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
