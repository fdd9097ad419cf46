# SPDX-License-Identifier: Apache-2.0
"""Calls come out of the pages by their start, whichever page comes first, and none is lost where they cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.client.call import CallRow
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.extraction import start_order as page_order
from airflow_provider_synthflow.extraction.start_order import PageOrder, newest_first, with_starts
from tests.unit.making import FROM_MS


def row(number: int, start: int | None, reading: int = 0) -> CallRow:
    """Make a call that tells which reading of it this is."""
    return CallRow(f"c{number:03}", b"%d" % reading, None if start is None else FROM_MS + start, final=True)


def orders_of(rows):
    """Return what the calls are to be sorted by, for those that have a start."""
    return [(start, call_id) for start, call_id, row in rows if row.started_ms is not None]


@st.composite
def readings(draw):
    """Draw the pages of a sorted list with rows in common, in the order in which they come."""
    backward = draw(st.booleans())
    starts = draw(st.lists(st.integers(0, 12), max_size=40))
    numbers = list(enumerate(sorted(starts, reverse=backward)))
    size = draw(st.integers(2, 9))
    offsets = list(range(0, max(1, len(numbers) - 1), size - 1))
    first, *others = offsets
    if backward:
        others.reverse()
    for _ in range(draw(st.integers(0, 6))):  # two that were in flight together come in the other order
        if len(others) > 1:
            at = draw(st.integers(0, len(others) - 2))
            others[at : at + 2] = reversed(others[at : at + 2])
    pages = [
        Page([row(*call, reading) for call in numbers[offset : offset + size]], len(numbers), None, offset)
        for reading, offset in enumerate([first, *others])
    ]
    return backward, pages


def through(order, backward, pages):
    """Return all that comes out."""
    return [call for page in pages for call in taken(order, page, backward=backward)] + order.rest()


def taken(order, page, *, backward=False):
    """Return what is due after a page."""
    return order.take(page, with_starts(page.rows), backward=backward)


def latest(pages):
    """Return the latest reading of each call."""
    return {call.call_id: call.raw for page in pages for call in page.rows}


@given(readings())
def test_a_sorted_list_comes_in_order_each_call_once_in_its_latest_reading(drawn):
    backward, pages = drawn

    out = through(PageOrder(), backward, pages)

    assert orders_of(out) == sorted(orders_of(out))
    assert len(out) == len(latest(pages))
    assert {call.call_id: call.raw for _, _, call in out} == latest(pages)


@given(readings(), st.integers(0, 12))
def test_where_too_much_would_wait_none_is_lost_and_the_latest_reading_comes_last(drawn, most):
    backward, pages = drawn
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_order, "_MOST_HELD", most)

        out = through(PageOrder(), backward, pages)

    assert {call.call_id: call.raw for _, _, call in out} == latest(pages)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30),
            st.dictionaries(st.integers(0, 30), st.none() | st.integers(0, 20), max_size=6),
        ),
        max_size=12,
    )
)
def test_of_any_pages_at_all_none_is_lost_and_the_latest_reading_comes_last(drawn):
    """A page may be read twice, and what is on it another time may be something else."""
    pages = [
        Page([row(number, start, reading) for number, start in page.items()], 30, None, offset)
        for reading, (offset, page) in enumerate(drawn)
    ]

    for backward in (True, False):
        out = through(PageOrder(), backward, pages)

        assert {call.call_id: call.raw for _, _, call in out} == latest(pages)


def test_what_is_due_does_not_wait_for_the_end():
    order = PageOrder()
    pages = [Page([row(number, number) for number in range(at, at + 4)], 10, None, at) for at in (0, 3, 6)]

    came = [[call_id for _, call_id, _ in taken(order, page)] for page in pages]

    assert came == [["c000", "c001", "c002"], ["c003", "c004", "c005"], ["c006", "c007", "c008"]]
    assert [call_id for _, call_id, _ in order.rest()] == ["c009"]


def test_no_more_than_the_limit_waits(monkeypatch):
    monkeypatch.setattr(page_order, "_MOST_HELD", 3)
    order = PageOrder()
    last = Page([row(number, number) for number in range(3)], 100, None, 50)
    more = Page([row(9, 9)], 100, None, 60)

    assert taken(order, last, backward=True) == []
    assert len(taken(order, more, backward=True)) == 4


def test_calls_that_all_start_together_do_not_wait_without_end(monkeypatch):
    monkeypatch.setattr(page_order, "_MOST_HELD", 5)
    order = PageOrder()
    pages = [Page([row(number, 1)], 10, None, number) for number in range(10)]

    came = [len(taken(order, page)) for page in pages]

    assert came == [0, 0, 0, 0, 0, 6, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("starts", "told"),
    [([3, 2, 1], True), ([1, 2, 3], False), ([2, 2], False), ([5], False), ([None, 1], False), ([3, None], False)],
)
def test_which_end_of_a_list_is_the_newest_is_told_by_the_first_page(starts, told):
    assert newest_first(Page([row(number, start) for number, start in enumerate(starts)])) is told


@given(st.booleans(), st.lists(st.tuples(st.integers(0, 4), st.sets(st.integers(0, 9), min_size=1)), min_size=1))
def test_no_call_is_lost_where_pages_are_read_again_while_others_wait(backward, pages):
    """A page that comes again may lack a call that it had, and that another page has as well."""
    order = PageOrder()
    read = [
        Page([row(number, number, reading) for number in numbers], 50, None, 10 * at)
        for reading, (at, numbers) in enumerate(pages)
    ]

    out = through(order, backward, read)

    assert {call.call_id: call.raw for _, _, call in out} == latest(read)
