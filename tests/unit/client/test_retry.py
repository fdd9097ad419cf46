# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time

import pytest
import requests

from airflow_provider_synthflow.client import retry
from airflow_provider_synthflow.client.retry import (
    LONGEST_WAIT,
    give_up,
    is_retriable,
    retry_after_seconds,
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
    monkeypatch.setattr(retry.random, "uniform", lambda low, high: low + (high - low) * request.param)
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


@pytest.mark.parametrize(
    ("status", "waits"),
    [
        (None, [0.5, 1, 2, 4, 8, 16, 32, 60, 60]),
        (500, [0.5, 1, 2, 4, 8, 16, 32, 60, 60]),
        (503, [0.5, 1, 2, 4, 8, 16, 32, 60, 60]),
        (429, [2, 4, 8, 16, 32, 60, 60, 60, 60]),
    ],
)
def test_the_wait_doubles_to_a_minute_give_or_take_a_quarter(chance, status, waits):
    error = SynthflowTransientError("x", status=status)
    for attempt, wait in enumerate(waits, start=1):
        assert wait_seconds(attempt, error) == pytest.approx(wait * (0.75 + 0.5 * chance))


@pytest.mark.parametrize("error", [None, SynthflowProtocolError("x", retriable=True)])
def test_an_error_that_asks_for_nothing_waits_like_any_other(chance, error):
    assert wait_seconds(1, error) == pytest.approx(0.5 * (0.75 + 0.5 * chance))


def test_the_wait_stays_bounded_however_many_tries_there_were(chance):
    assert wait_seconds(10**6, None) <= 75


@pytest.mark.parametrize("attempt", [1, 5, 50])
@pytest.mark.parametrize("asked", [0.0, 7.0, 299.5, 300.0])
def test_what_the_server_asks_governs_with_some_jitter_and_never_over_five_minutes(chance, attempt, asked):
    error = SynthflowTransientError("x", status=429, retry_after=asked)
    assert asked <= wait_seconds(attempt, error) <= min(asked + 1, LONGEST_WAIT) == min(asked + 1, 300)


def test_two_waits_are_not_the_same_so_that_tasks_do_not_return_in_step():
    error = SynthflowTransientError("x", status=429, retry_after=7.0)
    assert len({wait_seconds(3, None) for _ in range(20)}) > 1
    assert len({wait_seconds(3, error) for _ in range(20)}) > 1


@pytest.mark.parametrize(
    ("status", "attempts", "ending"),
    [
        (429, 6, "Gave up after 6 tries. Lower the concurrency, or run fewer tasks with this key"),
        (503, 6, "Gave up after 6 tries. The API is in trouble: run the task again later."),
        (None, 6, "Gave up after 6 tries. Check the network between this worker and the API."),
        (503, 1, "Gave up after 1 try. The API"),
    ],
)
def test_the_last_error_tells_the_number_of_tries_and_the_cure(status, attempts, ending):
    error = SynthflowTransientError("It failed.", status=status, request_id="req-1")
    found = give_up(error, attempts)
    assert found is error
    assert str(found).startswith(f"It failed. {ending}")
    assert (found.attempts, found.status, found.request_id) == (attempts, status, "req-1")


def test_a_broken_answer_tells_its_tries_too_and_keeps_its_text():
    found = give_up(SynthflowProtocolError("It is not JSON.", retriable=True), 6)
    assert (str(found), found.attempts) == ("It is not JSON.", 6)


def test_a_final_error_is_left_as_it_is():
    error = SynthflowRequestError("Refused.", status=400)
    assert give_up(error, 1) is error
    assert str(error) == "Refused."
