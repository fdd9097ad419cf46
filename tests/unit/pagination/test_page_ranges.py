# SPDX-License-Identifier: Apache-2.0
"""Pages asked for from either end of a stretch cover it, with a row in common, and are as many."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.pagination.page_ranges import PageLayout, RowRange


@st.composite
def stretches(draw):
    """Draw a grid, and a stretch of its list."""
    size = draw(st.integers(1, 12))
    offset = draw(st.integers(0, 5))
    reach = draw(st.integers(offset, 60))
    end = draw(st.integers(reach + 1, 90))
    stop = draw(st.none() | st.integers(reach + 1, end))
    return PageLayout(offset, size, min(1, size - 1), end), RowRange(reach, stop)


def pages_of(grid, stretch, choose):
    """Return the pages of a stretch, each taken from the end that is chosen; all that is left is read."""
    pages, left = [], [stretch]
    while left:
        each = left.pop()
        if each.reach >= grid.end:
            continue
        page, rest = (grid.last if choose(len(pages)) else grid.first)(each)
        pages.append(page)
        left += rest
        assert len(pages) < 200
    return pages


@given(stretches(), st.lists(st.booleans(), min_size=100, max_size=100))
def test_pages_cover_a_stretch_whichever_end_each_comes_from(drawn, choices):
    grid, stretch = drawn
    end = grid.end if stretch.stop is None else stretch.stop

    pages = sorted(pages_of(grid, stretch, lambda number: choices[number % 100]), key=lambda page: page.reach)

    reach = stretch.reach
    for page in pages:
        shared = grid.overlap if reach > grid.offset else 0
        assert page.reach <= reach - shared
        assert page.reach >= grid.offset
        reach = max(reach, page.reach + grid.size)
    assert reach >= end
    assert all(page.stop is None or page.stop <= page.reach + grid.size for page in pages)


@given(stretches())
def test_pages_from_the_end_are_as_many_and_begin_where_those_from_the_front_do(drawn):
    grid, stretch = drawn
    from_the_front = pages_of(grid, stretch, lambda _: False)
    from_the_end = pages_of(grid, stretch, lambda _: True)

    assert [page.reach for page in reversed(from_the_end)] == [page.reach for page in from_the_front]
    assert from_the_end == sorted(from_the_end, key=lambda page: -page.reach)


@pytest.mark.parametrize("stretch", [RowRange(7), RowRange(7, 40), RowRange(7, behind=True)])
def test_without_an_end_a_stretch_is_read_from_its_front(stretch):
    grid = PageLayout(0, 10, 1, None)

    assert grid.last(stretch) == grid.first(stretch)


def test_what_is_to_show_that_nothing_follows_begins_behind_the_last_row():
    assert PageLayout(0, 10, 1, 50).last(RowRange(7, behind=True)) == (RowRange(7, 17, behind=True), [RowRange(17)])
