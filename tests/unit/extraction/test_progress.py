# SPDX-License-Identifier: Apache-2.0
"""A line about the walk comes every few seconds, with numbers that a person can follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.extraction.progress import Progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_a_line_has_the_page_the_calls_the_rate_and_the_time_that_is_left(clock):
    progress = Progress(clock)
    for _ in range(19):
        assert progress.line(1, 100, 10_000) is None
    clock.now += 5.0

    assert progress.line(1, 100, 10_000) == (
        "Page 20: 2,000 of about 10,000 calls read, 400 a second, about 20 s left."
    )


def test_without_a_declared_total_a_line_says_nothing_of_what_is_left(clock):
    progress = Progress(clock)
    clock.now += 5.0

    assert progress.line(1, 50, None) == "Page 1: 50 calls read, 10 a second."


def test_a_further_walk_is_named_and_counted_from_its_own_begin(clock):
    progress = Progress(clock)
    progress.line(1, 100, 200)
    clock.now += 4.0
    progress.line(2, 100, 200)
    clock.now += 1.0

    assert progress.line(2, 50, 200) == ("Walk 2, page 2: 150 of about 200 calls read, 150 a second, about 0 s left.")


def test_calls_that_an_earlier_try_has_read_are_there_and_say_nothing_of_the_rate(clock):
    progress = Progress(clock)
    clock.now += 5.0

    assert progress.line(1, 100, 10_000, there=9_000) == (
        "Page 1: 9,100 of about 10,000 calls read, 20 a second, about 45 s left."
    )


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(0, 100)), max_size=60))
def test_lines_lie_five_seconds_apart_whatever_comes_when(pages):
    clock = Clock()
    progress = Progress(clock)
    lines = [clock.now]
    for seconds, rows in pages:
        clock.now += seconds
        line = progress.line(1, rows, 1_000)
        assert (line is not None) == (clock.now - lines[-1] >= 5.0)
        if line is not None:
            lines.append(clock.now)


def test_more_rows_than_the_total_are_no_more_than_all_of_them():
    clock = Clock()
    progress = Progress(clock)
    clock.now += 10

    assert progress.line(1, 2461, 2437).startswith("Page 1: 2,461 of about 2,461 calls read")
