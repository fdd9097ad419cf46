# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
import requests

from airflow_provider_synthflow.client import retry
from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.retry import (
    LONGEST_WAIT,
    is_retriable,
    retry_after_seconds,
    tries,
    wait_seconds,
)
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowOutputConflictError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
    SynthflowWindowError,
)
from tests.unit.client.making import FakeClock

NOW = 784_111_777.0  # Sun, 06 Nov 1994 08:49:37 GMT


@pytest.fixture(params=["UTC", "America/New_York"])
def zone(request, monkeypatch):
    """Run as on a machine in each of some time zones."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(params=[0.0, 0.5, 1.0 - 2**-53], ids=["least", "middle", "most"])
def chance(request, monkeypatch):
    """Let chance draw the least, a middling and the largest number."""
    monkeypatch.setattr(retry.random, "random", lambda: request.param)
    return request.param


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0.5", 0.5),
        ("300", 300.0),
        ("301", 300.0),
        ("99999999", 300.0),
        ("1" * 400, 300.0),
        ("inf", 300.0),
        ("-1", None),
        ("-inf", None),
        ("nan", None),
        (None, None),
        ("", None),
        ("  ", None),
        ("soon", None),
        ("7 seconds", None),
        ("1,5", None),
        ("Fri, 99 Foo 2026 00:00:00 GMT", None),
        ("Mon, 23 Nov 99999999 00:00:00 GMT", None),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_retry_after_in_seconds_is_honoured_up_to_five_minutes_and_nonsense_is_not(value, seconds):
    assert retry_after_seconds(value) == seconds


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:44 GMT", 7.0),
        ("Sunday, 06-Nov-94 08:49:44 GMT", 7.0),
        ("Sun Nov  6 08:49:44 1994", 7.0),
        ("Sun, 06 Nov 1994 08:49:44 -0000", 7.0),
        ("Sun, 06 Nov 1994 09:49:44 +0100", 7.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sat, 05 Nov 1994 08:49:37 GMT", 0.0),
        ("Mon, 07 Nov 1994 08:49:37 GMT", 300.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 300.0),
    ],
)
def test_retry_after_as_a_date_counts_from_now_in_every_time_zone(zone, value, seconds):
    assert retry_after_seconds(value, now=NOW) == seconds


def test_a_date_counts_from_the_present_unless_told_otherwise(monkeypatch):
    monkeypatch.setattr(retry.time, "time", lambda: NOW)
    assert retry_after_seconds("Sun, 06 Nov 1994 08:49:44 GMT") == 7.0


@pytest.mark.parametrize(
    ("error", "retriable"),
    [
        (SynthflowTransientError("x"), True),
        (SynthflowTransientError("x", status=429), True),
        (SynthflowProtocolError("x", retriable=True), True),
        (SynthflowProtocolError("x"), False),
        (SynthflowRequestError("x", status=400), False),
        (SynthflowAuthError("x", status=401), False),
        (SynthflowConfigError("x"), False),
        (SynthflowWindowError("x"), False),
        (SynthflowIncompleteError("x"), False),
        (SynthflowOutputConflictError("x"), False),
        (SynthflowError("x"), False),
        (requests.ConnectionError("x"), False),
        (ValueError("x"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=repr,
)
def test_only_what_may_pass_by_itself_is_tried_again(error, retriable):
    assert is_retriable(error) is retriable


@pytest.mark.parametrize("status", [None, 500, 503])
def test_the_wait_doubles_to_a_minute_give_or_take_a_quarter(chance, status):
    error = SynthflowTransientError("x", status=status)
    for attempt, wait in enumerate([0.5, 1, 2, 4, 8, 16, 32, 60, 60], start=1):
        assert wait_seconds(attempt, error) == pytest.approx(wait * (0.75 + 0.5 * chance))


def test_under_a_rate_limit_the_wait_doubles_from_two_seconds_and_less_of_it_is_chance(chance):
    error = SynthflowTransientError("x", status=429)
    for attempt, wait in enumerate([2, 4, 8, 16, 32, 60, 60], start=1):
        assert wait_seconds(attempt, error) == pytest.approx(wait * (0.98 + 0.08 * chance))
        assert wait_seconds(attempt, error, 0.5) == pytest.approx(wait * 1.02)


@pytest.mark.parametrize("error", [None, SynthflowProtocolError("x", retriable=True)])
def test_an_error_that_asks_for_nothing_waits_like_any_other(chance, error):
    assert wait_seconds(1, error) == pytest.approx(0.5 * (0.75 + 0.5 * chance))


def test_the_wait_stays_bounded_however_many_tries_there_were(chance):
    assert wait_seconds(10**6, None) <= 75


@pytest.mark.parametrize("asked", [7.0, 299.5, 300.0])
def test_what_the_server_asks_for_is_waited_with_some_jitter_and_never_over_five_minutes(chance, asked):
    error = SynthflowTransientError("x", status=429, retry_after=asked)
    assert asked <= wait_seconds(1, error) <= min(asked + 1, LONGEST_WAIT) == min(asked + 1, 300)


@pytest.mark.parametrize("attempt", [1, 2, 5, 50])
@pytest.mark.parametrize("status", [None, 429, 503])
@pytest.mark.parametrize("header", ["0", "0.001", "Sun, 06 Nov 1994 08:49:37 GMT", "soon", "-5", ""])
def test_no_hint_of_the_server_makes_the_wait_shorter_than_without_one(chance, header, status, attempt):
    without = wait_seconds(attempt, SynthflowTransientError("x", status=status))
    error = SynthflowTransientError("x", status=status, retry_after=retry_after_seconds(header))
    assert wait_seconds(attempt, error) >= without


def test_two_waits_are_not_the_same_so_that_tasks_do_not_return_in_step():
    error = SynthflowTransientError("x", status=429, retry_after=7.0)
    assert len({wait_seconds(3, None) for _ in range(20)}) > 1
    assert len({wait_seconds(3, error) for _ in range(20)}) > 1


def drive(clock, max_attempts, *outcomes):
    """Let one request have these outcomes, and return how long each wait was and what it ended with."""
    steps = tries(max_attempts, RateLimiter(clock), lambda: None)
    waits, outcomes = [], list(outcomes)
    try:
        step = next(steps)
        while True:
            if step is not None:
                waits.append(step)
                clock.now += step
                step = next(steps)
            elif (outcome := outcomes.pop(0)) is None:
                next(steps, None)
                return waits, None
            else:
                step = steps.throw(outcome)
    except SynthflowError as error:
        return waits, error


@pytest.mark.parametrize("draw", [0.0, 0.3, 0.999])
@pytest.mark.parametrize("attempts", range(2, 11))
@pytest.mark.parametrize("others", [0, 1, 3])
@pytest.mark.parametrize("asked", [None, 0.0])
def test_the_tries_of_one_request_outlast_a_minute_of_a_rate_limit(monkeypatch, draw, attempts, others, asked):
    """However many tries there are, whatever chance draws, and whatever else goes wrong before or between."""
    monkeypatch.setattr(retry.random, "random", lambda: draw)
    clock = FakeClock()
    others = min(others, attempts - 2)
    failures = [SynthflowTransientError("x", status=503) for _ in range(others)]
    failures += [SynthflowTransientError("x", status=429, retry_after=asked) for _ in range(attempts - others)]
    waits, error = drive(clock, attempts, *failures)
    assert error.attempts == attempts
    assert sum(waits[others:]) > 60


def test_ten_seconds_of_an_outage_are_outlasted_whatever_is_drawn(monkeypatch):
    monkeypatch.setattr(retry.random, "random", lambda: 0.0)
    waits, _ = drive(FakeClock(), 6, *[SynthflowTransientError("x", status=503, retry_after=0.0) for _ in range(6)])
    assert sum(waits) > 10


def test_a_request_that_waits_for_its_start_heeds_a_halt_that_begins_meanwhile():
    clock = FakeClock()
    pace = RateLimiter(clock)
    pace.refuse(pace.now())
    pace.reserve()
    steps = tries(6, pace, lambda: None)
    assert next(steps) == pytest.approx(0.05)
    pace.refuse(pace.now(), 7.0)
    clock.now += 0.05
    assert next(steps) == pytest.approx(6.95)
    clock.now += 6.95
    assert next(steps) is None


@pytest.mark.parametrize(
    ("status", "attempts", "ending"),
    [
        (429, 6, "Gave up after 6 tries. Lower the concurrency, or run fewer tasks with this key"),
        (503, 6, "Gave up after 6 tries. The API has a problem: run the task again later."),
        (None, 6, "Gave up after 6 tries. Check the network between this worker and the API."),
        (503, 1, "Gave up after 1 try. The API"),
    ],
)
def test_the_last_error_tells_the_number_of_tries_and_the_cure(status, attempts, ending):
    failures = [SynthflowTransientError("It failed.", status=status, request_id="req-1") for _ in range(attempts)]
    _, found = drive(FakeClock(), attempts, *failures)
    assert found is failures[-1]
    assert str(found).startswith(f"It failed. {ending}")
    assert (found.attempts, found.status, found.request_id) == (attempts, status, "req-1")


def test_a_broken_answer_tells_its_tries_too_and_keeps_its_text():
    _, found = drive(FakeClock(), 6, *[SynthflowProtocolError("It is not JSON.", retriable=True) for _ in range(6)])
    assert (str(found), found.attempts) == ("It is not JSON.", 6)


def test_a_final_error_ends_a_request_as_it_is():
    error = SynthflowRequestError("Refused.", status=400)
    assert drive(FakeClock(), 6, error) == ([], error)
    assert str(error) == "Refused."


def test_a_success_ends_a_request():
    waits, error = drive(FakeClock(), 6, SynthflowTransientError("x", status=503), None)
    assert (len(waits), error) == (1, None)
