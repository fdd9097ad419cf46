# SPDX-License-Identifier: Apache-2.0
"""A walk takes up pages that were read earlier where its own proof bears them out, and else reads everything anew."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_synthflow.pagination.recalled_pages import RecalledPages
from airflow_provider_synthflow.pagination.walk import Walk
from tests.unit.pagination.walking import Listing, drive

PAGES = 10
STEP = 9  # rows a page brings beyond its seam


def listing(count: int = 90) -> Listing:
    return Listing.of(count, cap=10)


def recalling(rows: list[str], offsets: list[int], **options: Any) -> tuple[Walk, RecalledPages]:
    """Return a walk that was given pages of ten rows of a list, and what holds them."""
    earlier = RecalledPages()
    for offset in offsets:
        earlier.add(offset, rows[offset : offset + 10], len(rows))
    return Walk(limit=10, look_ahead=4, earlier=earlier, **options), earlier


ALL = [number * STEP for number in range(PAGES)]


def test_only_the_first_page_is_asked_for_where_all_the_others_are_there():
    there = listing()
    walk, _earlier = recalling(there.ids, ALL)

    log = drive(walk, there)

    assert log.offsets == [0]
    assert walk.ids == set(there.ids)
    assert (walk.recalled, walk.walks, walk.pages) == (PAGES - 1, 1, PAGES)


@pytest.mark.parametrize("lacking", [[9], [18, 27], [81], [9, 45, 81], ALL[1:]])
def test_only_what_is_missing_is_asked_for(lacking):
    there = listing()
    walk, _earlier = recalling(there.ids, [offset for offset in ALL if offset not in lacking])

    log = drive(walk, there)

    assert sorted(log.offsets) == [0, *lacking]
    assert walk.ids == set(there.ids)
    assert walk.walks == 1


def test_what_is_missing_is_asked_for_from_the_end_where_the_walk_goes_that_way():
    there = listing()
    lacking = (9, 36, 45, 72)
    walk, _ = recalling(there.ids, [offset for offset in ALL if offset not in lacking], from_the_end=lambda _: True)

    log = drive(walk, there)

    assert log.offsets == [0, 72, 45, 36, 9]
    assert walk.ids == set(there.ids)


def test_the_first_page_is_read_anew_and_what_it_had_at_first_is_not_in_the_list():
    there = listing()
    before = ["gone", *there.ids[1:]]
    walk, _earlier = recalling(before, ALL)

    drive(walk, there)

    assert walk.recalled == PAGES - 1
    assert walk.ids == set(there.ids)
    assert set(walk.gone()) == {"gone"}


@pytest.mark.parametrize(
    "changed",
    [
        lambda ids: ids[1:],  # one has left
        lambda ids: ["new", *ids],  # one has come
        lambda ids: ["new", *ids[:40], *ids[41:]],  # one has come, and another has left
        lambda ids: ids[:1],
        lambda ids: [],  # noqa: ARG005 - all have left
    ],
)
def test_a_list_that_has_changed_is_read_anew_in_one_walk(changed):
    before = listing()
    after = Listing(changed(before.ids), cap=10)
    walk, _earlier = recalling(before.ids, ALL)

    drive(walk, after)

    assert walk.recalled == 0
    assert walk.walks == 1
    assert walk.ids == set(after.ids)
    assert set(walk.gone()) == set(before.ids) - set(after.ids)


def test_pages_whose_seam_does_not_hold_are_read_anew_though_the_totals_agree():
    there = listing()
    walk, earlier = recalling(there.ids, ALL[:5])
    earlier.add(45, ["other", *there.ids[46:55]], 90)

    log = drive(walk, there)

    assert walk.recalled == 0
    assert sorted(log.offsets) == ALL
    assert walk.ids == set(there.ids)
    assert set(walk.gone()) == {"other"}


def test_of_two_pages_at_one_offset_the_later_counts():
    there = listing()
    walk, earlier = recalling([*there.ids[:50], "old", *there.ids[51:]], ALL)
    for offset in ALL:
        earlier.add(offset, there.ids[offset : offset + 10], 90)

    log = drive(walk, there)

    assert log.offsets == [0]
    assert walk.ids == set(there.ids)
    assert set(walk.gone()) == {"old"}


def test_a_server_that_declares_no_total_any_more_is_walked_as_ever():
    there = Listing.of(90, cap=10, declares=False)
    walk, _earlier = recalling(there.ids, ALL)

    drive(walk, there)

    assert walk.recalled == 0
    assert walk.walks == 2
    assert walk.ids == set(there.ids)


def test_pages_that_were_dropped_are_asked_for():
    there = listing()
    walk, earlier = recalling([*there.ids[:50], "gone", *there.ids[51:]], ALL)
    earlier.drop()

    log = drive(walk, there)

    assert sorted(log.offsets) == ALL
    assert (walk.recalled, list(walk.gone())) == (0, ["gone"])


def test_a_change_after_the_first_page_is_repaired_as_in_any_walk():
    there = listing()
    walk, _earlier = recalling(there.ids, [offset for offset in ALL if offset not in (36, 72)])

    def before(answered: int) -> None:
        if answered == 2:
            there.ids.remove("c00050")

    drive(walk, there, before=before)

    assert walk.walks > 1
    assert walk.ids == set(there.ids)
    assert set(walk.gone()) == {"c00050"}
