# SPDX-License-Identifier: Apache-2.0
"""How many calls of a list count is known from few of its pages, and never said to be more than there are."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.client.call import CallRow
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.exceptions import SynthflowRequestError
from airflow_provider_synthflow.pagination.fetch import read_pages
from airflow_provider_synthflow.polling.poll import Counting
from tests.effort import count_examples

FROM_MS, TO_MS = 1_700_000_000_000, 1_700_086_400_000


def rows_of(before: int, inside: int, behind: int, nowhere: int = 0) -> list[CallRow]:
    """Make calls in the order of their starts, those without one as the last."""
    starts = [
        *(FROM_MS - before + number for number in range(before)),
        *(FROM_MS + number for number in range(inside)),
        *(TO_MS + number for number in range(behind)),
        *[None] * nowhere,
    ]
    return [CallRow(call_id=str(number), raw=b"{}", started_ms=start) for number, start in enumerate(starts)]


def count(rows: list[CallRow], wanted: int, *, total: int | None = -1, most: int = 100, refused_from: int = 10**9):
    """Ask for pages of a list as a server with these ways would tell it, until the answer is known."""
    counting = Counting(CallsQuery("agent-1"), FROM_MS, TO_MS, wanted)
    declared = len(rows) if total == -1 else total

    def fetch(limit: int, offset: int) -> Page:
        if offset >= refused_from:
            raise SynthflowRequestError("Offset is out of range.", status=400)
        return Page(rows[offset : offset + min(limit, most)], declared, limit, offset)

    assert list(read_pages(counting, fetch, concurrency=1, sleep=time.sleep)) == []
    return counting


LISTS = st.tuples(st.integers(0, 50), st.integers(0, 3000), st.integers(0, 3000), st.integers(0, 300))


@settings(max_examples=count_examples(200), deadline=None)
@given(LISTS, st.integers(1, 3000), st.booleans())
def test_a_sorted_list_is_counted_exactly_where_there_are_enough(numbers, wanted, is_newest_first):
    before, inside, behind, nowhere = numbers
    rows = rows_of(before, inside, behind, nowhere)

    counting = count(rows[::-1] if is_newest_first else rows, wanted)

    assert (counting.count >= wanted) is (inside >= wanted)
    if inside >= wanted:
        assert counting.count == inside
        newest = max(start for start in (row.started_ms for row in rows) if start is not None and start < TO_MS)
        assert max(counting.starts.values()) == newest
    assert counting.pages <= 20


@settings(max_examples=count_examples(200), deadline=None)
@given(
    LISTS,
    st.integers(1, 300),
    st.randoms(use_true_random=False),
    st.sampled_from(["newest", "oldest", "shuffled"]),
    st.sampled_from([-1, None, 10**6, 7]),
    st.sampled_from([100, 30]),
    st.sampled_from([10**9, 1, 150, 1000]),
)
def test_no_list_is_said_to_hold_more_than_it_does(numbers, wanted, chance, order, total, most, refused_from):  # noqa: PLR0917 - what is drawn
    before, inside, behind, nowhere = numbers
    rows = rows_of(before, inside, behind, nowhere)
    if order != "oldest":
        rows.reverse()
    if order == "shuffled":
        chance.shuffle(rows)

    counting = count(rows, wanted, total=total, most=most, refused_from=refused_from)

    assert len(counting.starts) <= inside
    assert counting.pages <= 20
    if order != "shuffled":
        assert counting.count <= inside


@pytest.mark.parametrize("order", [1, -1])
def test_one_page_is_enough_where_the_total_says_that_there_are_too_few(order):
    assert count(rows_of(0, 30, 0)[::order], 31).pages == 1
    assert count(rows_of(0, 0, 0), 1).pages == 1


def test_two_pages_are_enough_for_a_list_in_which_all_count():
    counting = count(rows_of(0, 90_000, 0), 1)

    assert (counting.count, counting.pages) == (90_000, 2)


def test_a_list_in_no_order_is_read_through_as_far_as_ten_pages():
    rows = rows_of(0, 400, 400)
    random.Random(3).shuffle(rows)  # noqa: S311 - places calls, guards nothing

    counting = count(rows, 1)

    assert counting.count == 400
    assert counting.pages <= 10


@pytest.mark.parametrize("declared", [301, 330, 1000])
def test_a_total_that_is_too_high_counts_no_call_that_is_not_there(declared):
    for refused_from in (300, 10**9):
        assert count(rows_of(0, 300, 0), 1, total=declared, refused_from=refused_from).count <= 300
    assert count(rows_of(0, 300, 0), 1, total=301).count == 300
