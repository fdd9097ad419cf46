# SPDX-License-Identifier: Apache-2.0
"""A total is believed only after a look behind it, whatever the server shows there, and in whichever order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowRequestError
from airflow_provider_synthflow.pagination.walk import Walk
from tests.effort import count_examples
from tests.unit.pagination.walking import Listing, drive, page_of

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.response import Page

BEHIND = ["empty", "refusal", "last page", "last rows", "last row", "wraps round"]


@dataclass
class Telling(Listing):
    """
    Hold a list that declares some total, in an order that may change from request to request.

    :param told: the largest total that is declared; None: the true one
    :param chance: what the order is drawn by; None: it stays
    """

    told: int | None = None
    chance: random.Random | None = None

    def page(self, limit: int, offset: int) -> Page:
        """Return one page."""
        rows, ids = min(limit, self.cap), list(self.ids)
        if self.chance is not None:
            self.chance.shuffle(ids)
        start = offset
        if offset >= len(ids) > 0:
            if self.behind == "refusal":
                raise SynthflowRequestError("Offset is out of range.", status=400)
            starts = {
                "last page": (len(ids) - 1) // rows * rows,
                "last rows": max(0, len(ids) - rows),
                "last row": len(ids) - 1,
                "wraps round": offset % len(ids),
            }
            start = starts.get(self.behind, offset)
        total = len(ids) if self.told is None else min(self.told, len(ids))
        return page_of(ids[start : start + rows], total, limit=rows, offset=offset)


@pytest.mark.parametrize("count", [100, 199, 298])
@pytest.mark.parametrize("behind", BEHIND)
def test_costs_one_request_where_the_total_is_true_and_another_where_rows_come_all_the_same(behind, count):
    walk = Walk()
    listing = Telling.of(count, behind=behind)

    went = drive(walk, listing)

    assert went.offsets[-2:] == ([went.offsets[-2], count] if behind == "empty" else [count, count - 1])
    assert (walk.walks, walk.total) == (1, count)
    assert walk.ids == set(listing.ids)


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("behind", ["empty", "refusal", "last page"])
def test_believes_a_true_total_of_pages_of_one_row(behind, count):
    walk = Walk()
    listing = Telling.of(count, behind=behind, cap=1)

    went = drive(walk, listing)

    assert max(went.offsets) == count + (behind == "last page")
    assert (walk.total, walk.ids) == (count, set(listing.ids))


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize(("cap", "told"), [(7, 7), (7, 13), (3, 3), (2, 2), (2, 3), (100, 100), (100, 199)])
@pytest.mark.parametrize("more", [1, 2, 9])
def test_finds_out_a_capped_total_of_a_list_that_keeps_its_order(told, cap, behind, more):
    walk = Walk()
    listing = Telling.of(told + more, behind=behind, cap=cap, told=told)

    drive(walk, listing)

    assert (walk.total, walk.ids) == (None, set(listing.ids))


@pytest.mark.parametrize("behind", BEHIND)
@pytest.mark.parametrize(("cap", "told"), [(7, 7), (7, 8), (7, 13), (3, 3), (2, 2), (2, 3)])
def test_finds_out_a_capped_total_of_a_list_in_an_order_that_changes_or_refuses_it(told, cap, behind):
    """The rows that lie behind the total are known, mostly, from a page that was drawn anew."""
    for seed in range(count_examples(300)):
        walk = Walk(look_ahead=1 + 3 * (seed % 2))
        chance = random.Random(seed)  # noqa: S311 - guards nothing
        listing = Telling.of(told + 1 + seed % 3, behind=behind, cap=cap, told=told, chance=chance)
        try:
            drive(walk, listing)
        except SynthflowError:
            continue

        assert walk.ids == set(listing.ids), seed


@settings(max_examples=count_examples(1500), deadline=None, derandomize=True, database=None)
@given(
    listing=st.builds(
        Telling,
        st.integers(0, 20).map(lambda count: [f"c{number:05}" for number in range(count)]),
        cap=st.integers(2, 8),
        behind=st.sampled_from(BEHIND),
        told=st.none() | st.integers(0, 21),
        chance=st.none() | st.integers(0, 10**6).map(random.Random),
    ),
    look_ahead=st.integers(1, 4),
    from_the_end=st.booleans(),
)
def test_loses_no_call_whatever_is_declared(listing, look_ahead, from_the_end):
    walk = Walk(look_ahead=look_ahead, from_the_end=lambda _: from_the_end)

    try:
        drive(walk, listing)
    except SynthflowError:
        assert listing.chance or listing.told is not None  # a list that stands still and declares its rows is read
    else:
        assert walk.ids == set(listing.ids)
