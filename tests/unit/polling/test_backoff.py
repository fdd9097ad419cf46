# SPDX-License-Identifier: Apache-2.0
"""Looks keep to their rhythm, come apart from each other, and are rare where there is trouble."""

from __future__ import annotations

from itertools import pairwise

import pytest

from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.polling.backoff import Backoff, PollSchedule


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_polls_keep_to_their_rhythm_however_long_they_take():
    clock = Clock()
    schedule = PollSchedule(60, clock=clock)
    clock.now += schedule.after_poll()
    due = []
    for took in (0.2, 5.0, 20.0, 0.0):
        clock.now += took
        pause = schedule.after_poll()
        due.append(clock.now + pause)
        clock.now += pause

    assert [round(later - sooner, 6) for sooner, later in pairwise(due)] == [60, 60, 60]


def test_polls_in_between_do_not_put_off_those_that_are_due():
    clock = Clock()
    schedule = PollSchedule(60, clock=clock)
    clock.now += schedule.after_poll()
    due = clock.now + schedule.after_poll()
    for _ in range(48):
        clock.now += 5
        at = clock.now + schedule.after_poll()
        assert at - due in {0, 60}
        due = at


def test_the_second_poll_comes_sooner_so_that_those_that_started_together_come_apart():
    pauses = [PollSchedule(60, clock=Clock()).after_poll() for _ in range(200)]

    assert min(pauses) >= 30
    assert max(pauses) <= 60
    assert max(pauses) - min(pauses) > 20


def test_many_that_start_at_once_spread_their_first_poll():
    assert max(PollSchedule(60).at_first(1) for _ in range(100)) <= 0.02
    assert max(PollSchedule(60).at_first(1000) for _ in range(100)) > 10
    assert max(PollSchedule(5).at_first(10_000) for _ in range(100)) <= 5


@pytest.mark.parametrize("interval", [0, 0.001, 1])
def test_no_interval_is_so_short_that_polls_run_hot(interval):
    assert all(PollSchedule(interval).after_poll() >= 0.5 for _ in range(50))


def test_trouble_makes_the_wait_grow_to_a_minute_and_no_further():
    schedule = PollSchedule(5)
    pauses = [schedule.after_error(SynthflowTransientError("x", status=500)) for _ in range(20)]

    assert 0.37 <= pauses[0] <= 0.63
    assert pauses[4] > 5
    assert 45 <= pauses[-1] <= 75


@pytest.mark.parametrize(("asked", "least"), [(90, 90), (0, 0.37), (0.01, 0.37)])
def test_what_the_server_asks_for_is_the_least(asked, least):
    assert PollSchedule(5).after_error(SynthflowTransientError("x", status=429, retry_after=asked)) >= least


def test_a_server_that_asks_for_no_wait_at_all_still_gets_fewer_and_fewer_requests():
    schedule = PollSchedule(5)
    pauses = [schedule.after_error(SynthflowTransientError("x", status=429, retry_after=0)) for _ in range(10)]

    assert sum(pauses) > 100


def test_a_growing_interval_grows_to_its_cap():
    schedule = PollSchedule(60, exponential=True, longest=600)
    pauses = [schedule.after_poll() for _ in range(10)]

    assert 30 <= pauses[0] <= 60
    assert 60 <= pauses[1] <= 120
    assert pauses[-1] == 600


def test_what_fails_again_and_again_is_held_off_for_longer_and_longer_up_to_ten_minutes():
    clock = Clock()
    hold_off = Backoff(clock=clock)
    assert hold_off.left == 0
    pauses = []
    for _ in range(6):
        hold_off.failed(60)
        pauses.append(hold_off.left)
        clock.now += hold_off.left
        assert hold_off.left == 0
    assert pauses == [60, 120, 240, 480, 600, 600]

    hold_off.failed(60)
    clock.now += 100
    assert hold_off.left == 500
    hold_off.succeeded()
    hold_off.failed(60)
    assert hold_off.left == 60
