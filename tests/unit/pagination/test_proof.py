# SPDX-License-Identifier: Apache-2.0
"""What pages prove: each continues the one before it, all declare one total, and as many calls came."""

from __future__ import annotations

import random

import pytest

from airflow_provider_synthflow.pagination.proof import PageDefect, PageIds, verify_pages


def readings(*pages, total=None):
    """Make readings of (start, ids) or (start, ids, its own total), numbered as they come."""
    return [
        PageIds(page[0], serial, tuple(page[1]), page[2] if len(page) > 2 else total)
        for serial, page in enumerate(pages)
    ]


def verdict(*pages, total=None, offset=0, overlap=1):
    return verify_pages(readings(*pages, total=total), offset=offset, total=total, overlap=overlap)


@pytest.mark.parametrize(
    ("pages", "seamless", "bad"),
    [
        ([], True, set()),
        ([(0, "abc")], True, set()),
        ([(0, "abc"), (2, "cde")], True, set()),
        ([(0, "abc"), (2, "cde"), (4, "efg")], True, set()),
        ([(0, "abc"), (1, "bcd")], True, set()),
        ([(0, "abcde"), (1, "bc"), (4, "ef")], True, set()),
        ([(0, "abc"), (0, "abc")], True, set()),
        ([(0, "abc"), (2, "de")], False, {0, 1}),
        ([(0, "abc"), (2, "xde")], False, {0, 1}),
        ([(0, "abc"), (1, "bxd")], False, {0, 1}),
        ([(0, "abc"), (1, "cbd")], False, {0, 1}),
        ([(0, "abcde"), (1, "bx"), (4, "ef")], False, {0, 1}),
        ([(0, "abc"), (2, "cde"), (4, "xfg")], False, {1, 2}),
        ([(0, "abc"), (2, "xde"), (4, "efg")], False, {0, 1}),
        ([(0, "abc"), (3, "def")], False, set()),
        ([(0, "abc"), (5, "fgh")], False, set()),
    ],
)  # fmt: skip
def test_pages_are_seamless_where_each_row_they_share_is_the_same(pages, seamless, bad):
    found = verdict(*pages)

    assert found.seamless is seamless
    assert found.bad == bad


def test_a_gap_is_nobodys_fault_and_no_proof_either():
    found = verdict((0, "ab"), (2, "cd"), total=4)

    assert (found.counted, found.steady, found.seamless) == (True, True, False)
    assert found.bad == frozenset()


def test_pages_of_one_row_need_not_share_any():
    assert verdict((0, "a"), (1, "b"), (2, "c"), overlap=0).seamless
    assert not verdict((0, "a"), (2, "c"), overlap=0).seamless


@pytest.mark.parametrize(
    ("pages", "offset", "total", "counted"),
    [
        ([], 0, 0, True),
        ([], 0, 1, False),
        ([], 0, None, True),
        ([], 10, 5, True),
        ([], 10, 11, False),
        ([(0, "abc")], 0, 3, True),
        ([(0, "abc")], 0, 2, False),
        ([(0, "abc")], 0, 4, False),
        ([(0, "abc")], 0, None, True),
        ([(0, "abc"), (2, "cd")], 0, 4, True),
        ([(0, "abc"), (2, "ab")], 0, 4, False),
        ([(0, "abc"), (2, "ab")], 0, None, False),
        ([(0, "abc"), (2, "cb")], 0, None, False),
        ([(10, "abc")], 10, 13, True),
        ([(10, "abc")], 10, 3, False),
        ([(10, "abc")], 10, None, True),
    ],
)
def test_as_many_different_calls_are_due_as_were_declared_or_else_read(pages, offset, total, counted):
    assert verdict(*pages, offset=offset, total=total).counted is counted


@pytest.mark.parametrize(
    ("totals", "total", "steady", "bad"),
    [
        ((5, 5), 5, True, set()),
        ((4, 5), 5, False, {0}),
        ((5, 4), 5, False, {1}),
        ((4, 4), 5, False, {0, 1}),
        ((None, 5), 5, True, set()),
        ((None, None), None, True, set()),
    ],
)
def test_pages_that_declare_another_total_than_the_last_are_to_blame(totals, total, steady, bad):
    found = verify_pages(readings((0, "abc", totals[0]), (2, "cde", totals[1])), offset=0, total=total, overlap=1)

    assert found.steady is steady
    assert found.bad == bad


def test_the_different_ids_are_counted_over_all_pages():
    assert verdict((0, "abc"), (2, "cde")).distinct == 5
    assert verdict().distinct == 0


def test_readings_sort_by_where_they_begin_and_then_by_their_age():
    made = [PageIds(5, 1, ("x",), None), PageIds(0, 9, ("z",), 4), PageIds(0, 2, ("y",), None)]

    assert [reading.serial for reading in sorted(made)] == [2, 9, 1]
    assert made[0].end == 6


@pytest.mark.parametrize("trouble", PageDefect)
def test_a_trouble_is_the_servers_way_of_paging_where_it_answers_another_question(trouble):
    expected = trouble in {PageDefect.OTHER_OFFSET, PageDefect.OTHER_ROWS, PageDefect.ONE_MORE, PageDefect.TOO_MANY}

    assert trouble.systematic is expected
    assert trouble.value


@pytest.mark.parametrize("seed", range(300))
def test_no_row_that_stays_is_missed_while_the_seams_hold_whatever_else_moves(seed):
    """The argument of the seam itself: pages read at any moments of a list that changes in between."""
    chance = random.Random(seed)  # noqa: S311 - guards nothing
    rows = [f"r{number}" for number in range(9)]
    stayed = set(rows)
    size, pages = 3, {}
    for start in chance.sample(range(0, 8, size - 1), 4):
        for _ in range(chance.choice([0, 0, 0, 1])):
            if chance.random() < 0.5:
                rows.insert(chance.randrange(len(rows) + 1), f"new{len(pages)}")
            else:
                stayed.discard(rows.pop(chance.randrange(len(rows))))
        pages[start] = (start, rows[start : start + size], len(rows))
    read = [PageIds(start, serial, tuple(ids), total) for serial, (start, ids, total) in sorted(pages.items())]

    found = verify_pages(read, offset=0, total=read[-1].total, overlap=1)

    if found.seamless and found.steady and found.counted:
        assert stayed <= {each for reading in read for each in reading.ids}
