# SPDX-License-Identifier: Apache-2.0
"""A walk asks for what is missing, no more, and is done only once what came is proven to be all."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import (
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
)
from airflow_provider_synthflow.pagination.walk import Walk
from tests.effort import count_examples
from tests.unit.pagination.walking import Drive, Listing, drive, ids_of, page_of

REFUSAL = SynthflowRequestError("Offset is out of range.", status=400)


def refuse(*_):
    raise REFUSAL


class TestWhatIsAskedFor:
    @pytest.mark.parametrize(
        ("count", "cap", "offsets"),
        [
            (0, 100, [0, 0]),
            (1, 100, [0]),
            (99, 100, [0]),
            (100, 100, [0, 100]),
            (101, 100, [0, 99]),
            (199, 100, [0, 99, 199]),
            (200, 100, [0, 99, 198]),
            (250, 100, [0, 99, 198]),
            (100, 40, [0, 39, 78]),
            (80, 40, [0, 39, 78]),
            (4, 2, [0, 1, 2, 4]),
            (1, 1, [0]),
        ],
    )
    def test_is_each_page_from_the_last_row_of_one_before_and_behind_a_full_one(self, count, cap, offsets):
        listing = Listing.of(count, cap=cap)
        walk = Walk()

        went = drive(walk, listing)

        assert went.offsets == offsets
        assert walk.ids == set(listing.ids)
        assert (walk.walks, walk.total) == (1, count)
        assert walk.pages == max(1, sum(offset < count for offset in offsets))

    @pytest.mark.parametrize("look_ahead", [1, 2, 3, 8])
    @pytest.mark.parametrize("cap", [1, 2, 7, 100])
    def test_has_always_the_full_limit(self, cap, look_ahead):
        went = drive(Walk(limit=50, look_ahead=look_ahead), Listing.of(60, cap=cap))

        assert {ask.limit for ask in went.asks} == {50}

    def test_of_pages_of_one_row_has_no_seam_and_is_read_twice(self):
        walk = Walk()

        went = drive(walk, Listing.of(3, cap=1))

        assert went.offsets == [0, 1, 2, 3, 0, 1, 2, 3]
        assert walk.walks == 2

    @pytest.mark.parametrize("look_ahead", range(1, 9))
    def test_is_never_more_at_a_time_than_the_look_ahead(self, look_ahead):
        walk = Walk(limit=10, look_ahead=look_ahead)
        chance = random.Random(look_ahead)  # noqa: S311 - guards nothing

        went = drive(walk, Listing.of(200, cap=10), pick=chance.randrange)

        assert went.most_in_flight == look_ahead
        assert len(set(went.offsets)) == len(went.offsets) == math.ceil(199 / 9)

    def test_is_one_page_until_the_first_says_how_many_there_are(self):
        walk = Walk(look_ahead=8)
        (first,) = walk.asks()

        assert walk.asks() == []
        walk.receive(first, Listing.of(250).page(first.limit, first.offset))

        assert [ask.offset for ask in walk.asks()] == [99, 198]

    def test_is_one_page_after_the_other_where_no_total_is_declared(self):
        went = drive(Walk(look_ahead=8), Listing.of(250, declares=False))

        assert went.most_in_flight == 1

    @pytest.mark.parametrize(
        ("offset", "offsets", "left"), [(5, [5], 95), (10, [10], 90), (99, [99], 1), (100, [100], 0), (400, [400], 0)]
    )
    def test_begins_at_the_offset_that_was_given(self, offset, offsets, left):
        listing = Listing.of(100)
        walk = Walk(offset=offset)

        went = drive(walk, listing)

        assert went.offsets == offsets
        assert sorted(walk.ids) == listing.ids[offset:]
        assert len(walk.ids) == left

    def test_goes_on_from_an_offset_with_a_seam(self):
        assert drive(Walk(offset=150), Listing.of(400)).offsets == [150, 249, 348]

    def test_is_numbered_through(self):
        went = drive(Walk(limit=10, look_ahead=4), Listing.of(100))

        assert [ask.serial for ask in went.asks] == list(range(len(went.asks)))

    def test_is_nothing_once_it_is_done(self):
        walk = Walk()
        drive(walk, Listing.of(3))

        assert walk.asks() == []


class TestReadingFromTheEnd:
    def test_goes_on_from_the_first_page_with_the_last_and_back(self):
        went = drive(Walk(limit=10, from_the_end=lambda _: True), Listing.of(50))

        assert went.offsets == [0, 45, 36, 27, 18, 9]

    @pytest.mark.parametrize("look_ahead", [1, 3, 8])
    @pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 19, 20, 46, 47, 100])
    def test_asks_for_the_same_pages(self, count, look_ahead):
        walk, forward = Walk(limit=10, look_ahead=look_ahead, from_the_end=lambda _: True), Walk(limit=10)

        went = drive(walk, Listing.of(count))

        assert sorted(went.offsets) == drive(forward, Listing.of(count)).offsets
        assert (walk.ids, walk.pages, walk.walks) == (forward.ids, forward.pages, 1)

    def test_is_decided_by_the_first_page_that_can_be_used(self):
        asked = []
        walk = Walk(limit=10, from_the_end=lambda page: bool(asked.append(ids_of(page))) or True)

        went = drive(
            walk,
            Listing.of(40),
            spoil=lambda number, _, page: replace(page, offset=7) if number == 1 else page,
        )

        assert went.offsets == [0, 0, 36, 27, 18, 9]
        assert asked == [[f"c{number:05}" for number in range(10)]]

    def test_is_not_done_where_no_total_says_where_the_end_is(self):
        walk = Walk(limit=10, from_the_end=lambda _: True)

        assert drive(walk, Listing.of(25, declares=False)).offsets[:3] == [0, 9, 18]
        assert not walk.tail_first

    def test_ends_where_a_page_cannot_be_used(self):
        """A list that is not to be read to its declared end is read from its begin, as far as it goes."""
        listing = Listing.of(500)
        walk = Walk(max_walks=1, from_the_end=lambda _: True)
        went = Drive()

        with pytest.raises(SynthflowIncompleteError):
            drive(walk, listing, spoil=lambda _, ask, page: page if ask.offset < 200 else page_of([], 500), log=went)

        assert went.offsets == [0, 495, 495, 99, 198, 297, 297]

    def test_is_for_the_first_round(self):
        listing = Listing.of(300)
        went = Drive()

        drive(
            Walk(from_the_end=lambda _: True),
            listing,
            before=lambda number: listing.ids.insert(0, "new") if number == 3 else None,
            log=went,
        )

        assert went.offsets == [0, 297, 198, 99, 0, 99, 198, 297]


class TestPagesThatAreShorterThanAsked:
    @pytest.mark.parametrize("cap", [1, 2, 3, 7, 50, 99])
    @pytest.mark.parametrize("from_the_end", [False, True])
    def test_are_gone_on_from_where_they_ended(self, from_the_end, cap):
        for count, look_ahead in itertools.product([0, 1, 2, 3, 98, 99, 100, 101, 150], [1, 2, 5, 8]):
            listing = Listing.of(count, cap=cap)
            walk = Walk(look_ahead=look_ahead, from_the_end=lambda _: from_the_end)
            chance = random.Random(count * cap)  # noqa: S311 - guards nothing

            went = drive(walk, listing, pick=chance.randrange)

            assert walk.ids == set(listing.ids) == set(went.used)
            assert walk.walks == (2 if cap == 1 and count > 1 else 1)
            assert len(went.asks) <= 2 * (count // max(1, cap - 1) + 1) + 2 * look_ahead + 2

    def test_may_differ_in_length(self):
        """Some servers end a page at a number of bytes."""
        listing = Listing.of(100)
        lengths = [30, 1, 2, 40, 3, 100, 100, 100]
        walk = Walk()

        drive(walk, listing, spoil=lambda number, _, page: page_of(ids_of(page)[: lengths[number - 1]], 100))

        assert walk.ids == set(listing.ids)

    def test_of_one_row_at_the_head_are_gone_on_behind(self):
        """A first call too long to share a page stands alone each time."""
        listing = Listing.of(12, cap=5)
        walk = Walk()

        went = drive(
            walk, listing, spoil=lambda _, ask, page: page_of(ids_of(page)[:1], 12) if ask.offset == 0 else page
        )

        assert walk.ids == set(listing.ids)
        assert went.offsets[-4:] == [0, 1, 4, 8]
        assert walk.walks == 2

    def test_that_are_followed_by_longer_ones_may_leave_nothing_to_repair(self):
        listing = Listing.of(9)
        walk = Walk(look_ahead=4)

        def spoil(number, ask, page):
            ids = ids_of(page)
            if ask.offset == 0:
                return page_of(ids[:3], 9)
            return page_of([*ids, ids[0]], 9) if ask.offset == 4 and walk.walks == 1 else page

        drive(walk, listing, spoil=spoil)

        assert walk.ids == set(listing.ids)
        assert walk.walks == 2

    def test_tell_how_long_further_ones_will_be(self):
        went = drive(Walk(look_ahead=1), Listing.of(100, cap=10))

        assert went.offsets == [*range(0, 91, 9), 100]


@st.composite
def moving_lists(draw):
    """Draw a list, how it is paged, and what happens to it before which answer."""
    declares = draw(st.booleans())
    return {
        "count": draw(st.integers(0, 30)),
        "cap": draw(st.integers(1 if declares else 2, 8)),
        "declares": declares,
        "behind": draw(st.sampled_from(["empty", "last page"])),
        "look_ahead": draw(st.integers(1, 8)),
        "from_the_end": draw(st.booleans()),
        "changes": draw(
            st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["in", "out"]), st.floats(0, 1)), max_size=8)
        ),
        "picks": draw(st.lists(st.integers(0, 7), min_size=8, max_size=8)),
    }


def read_moving(plan):
    """Read a list that changes; return the walk and the rows that were there all the time."""
    listing = Listing.of(plan["count"], cap=plan["cap"], declares=plan["declares"], behind=plan["behind"])
    stayed = set(listing.ids)
    answers = [0]

    def change(number):
        answers[0] = number
        for index, (at, kind, where) in enumerate(plan["changes"]):
            if at != number:
                continue
            place = int(where * len(listing.ids))
            if kind == "in":
                listing.ids.insert(place, f"new-{index}")
            elif listing.ids:
                stayed.discard(listing.ids.pop(min(place, len(listing.ids) - 1)))

    walk = Walk(limit=8, look_ahead=plan["look_ahead"], from_the_end=lambda _: plan["from_the_end"])
    picks = plan["picks"]
    went = drive(walk, listing, before=change, pick=lambda flying: picks[answers[0] % 8] % flying)
    assert sorted(walk.gone()) == sorted(set(went.used) - walk.ids)
    return walk, stayed


class TestListThatChanges:
    @settings(max_examples=count_examples(1500), deadline=None, derandomize=True, database=None)
    @given(moving_lists())
    def test_loses_no_row_that_stays_in_whichever_order_pages_come(self, plan):
        try:
            walk, stayed = read_moving(plan)
        except SynthflowIncompleteError:
            return

        assert stayed <= walk.ids

    @settings(max_examples=count_examples(300), deadline=None, derandomize=True, database=None)
    @given(moving_lists())
    def test_is_read_at_the_first_try_where_it_stands_still(self, plan):
        plan["changes"] = []
        walk, stayed = read_moving(plan)

        assert walk.ids == stayed
        assert walk.walks <= 2

    def test_is_repaired_by_the_pages_to_blame_alone_where_a_row_comes_at_the_head(self):
        """Half of the walk later, the rest of it is still good."""
        listing = Listing.of(1000)
        walk = Walk()

        went = drive(walk, listing, before=lambda number: listing.ids.insert(0, "new") if number == 2 else None)

        assert walk.walks == 2
        assert walk.ids == set(listing.ids)
        assert len(went.asks) < 2 * 11
        assert went.offsets[11:] == [0, 99]
        assert walk.pages == 11

    def test_is_repaired_where_a_row_goes(self):
        listing = Listing.of(1000)
        walk = Walk()

        went = drive(walk, listing, before=lambda number: listing.ids.pop(5) if number == 3 else None)

        assert walk.walks == 2
        assert walk.ids == set(listing.ids)
        assert went.offsets[11:] == [0, 99, 198]

    def test_is_read_anew_where_less_than_half_would_stay(self):
        listing = Listing.of(1000)
        walk = Walk()

        went = drive(walk, listing, before=lambda number: listing.ids.pop(5) if number == 9 else None)

        assert went.offsets[11:] == list(range(0, 991, 99))
        assert walk.ids == set(listing.ids)

    def test_is_read_anew_after_a_repair_that_did_not_help(self):
        listing = Listing.of(1000)
        walk = Walk()

        def change(number):
            if number == 2:
                listing.ids.insert(0, "new")
            elif number == 13:  # between the two pages of the repair
                listing.ids[99] = "newer"

        went = drive(walk, listing, before=change)

        assert walk.walks == 3
        assert went.offsets[11:] == [0, 99, *range(0, 991, 99)]
        assert walk.ids == set(listing.ids)

    def test_is_repaired_again_after_a_repair_that_helped(self):
        listing = Listing.of(1000)
        walk = Walk()
        bad = {1: (198, 693), 2: (693,)}

        went = drive(
            walk,
            listing,
            spoil=lambda number, ask, page: (
                other_offset(number, ask, page) if ask.offset in bad.get(walk.walks, ()) else page
            ),
        )

        assert walk.ids == set(listing.ids)
        assert went.offsets[13:] == [198, 693, 693, 693]

    def test_whose_total_stays_is_found_out_by_the_seam(self):
        listing = Listing.of(300)
        walk = Walk()

        def swap(number):
            if number == 2:
                listing.ids.pop(3)
                listing.ids.append("new")

        drive(walk, listing, before=swap)

        assert walk.walks == 2
        assert walk.ids == set(listing.ids)

    def test_whose_total_and_whose_count_of_rows_stay_is_found_out_by_the_seam_alone(self):
        """Two rows go and one comes at the head: d is passed over, f comes twice, and seven different ones came."""
        listing = Listing(list("abcdefg"), cap=3)
        walk = Walk()
        ways = {2: "cdefghi", 3: "ncdefgh"}

        went = drive(walk, listing, before=lambda number: setattr(listing, "ids", list(ways.get(number, listing.ids))))

        assert went.used[:9] == list("abcefgfgh")
        assert walk.walks == 2
        assert walk.ids == set("ncdefgh")

    def test_that_changes_all_the_time_is_given_up_with_the_numbers(self):
        listing = Listing.of(300)
        went = Drive()

        with pytest.raises(SynthflowIncompleteError, match="after 5 walks") as caught:
            drive(Walk(), listing, before=lambda number: listing.ids.insert(0, f"new-{number}"), log=went)

        assert caught.value.walks == 5
        assert caught.value.expected == len(listing.ids)
        assert 300 <= caught.value.received <= len(listing.ids)
        assert went.pauses == [0.5, 1.0, 2.0, 4.0]

    def test_has_the_total_of_the_request_sent_last_and_not_of_the_answer_that_came_last(self):
        walk = Walk(look_ahead=2, limit=3)
        walk.receive(*walk.asks(), page_of(["a", "b", "c"], total=7))
        second, third = walk.asks()

        walk.receive(third, page_of(["e", "f", "g"], total=8))
        walk.receive(second, page_of(["c", "d", "e"], total=7))

        assert walk.total == 8


class TestPauses:
    def test_grow_to_a_bound(self):
        listing = Listing.of(3)
        went = Drive()

        with pytest.raises(SynthflowIncompleteError):
            drive(Walk(max_walks=9), listing, spoil=lambda _, __, page: replace(page, total=4), log=went)

        assert went.pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]

    def test_do_not_come_before_the_first_round(self):
        (first,) = Walk().asks()

        assert first.pause == 0.0

    @pytest.mark.parametrize("max_walks", [0, 1])
    def test_do_not_come_where_one_round_is_all(self, max_walks):
        went = Drive()

        with pytest.raises(SynthflowIncompleteError) as caught:
            drive(Walk(max_walks=max_walks), Listing.of(3), spoil=lambda _, __, page: replace(page, total=4), log=went)

        assert (caught.value.expected, caught.value.received, caught.value.walks) == (4, 3, 1)
        assert went.pauses == []


def other_offset(_, ask, page):
    return replace(page, offset=ask.offset + 1)


def other_rows(_, __, page):
    return page_of([f"c{number:05}" for number in range(100)], page.total)


def one_more(_, ask, page):
    return page_of([f"c{number:05}" for number in range(ask.offset, ask.offset + 101)], page.total)


def too_many(_, ask, page):
    return page_of([f"c{number:05}" for number in range(ask.offset, ask.offset + 120)], page.total)


def more_than_echoed(_, __, page):
    return replace(page, limit=len(page.rows) - 1)


def twice(_, __, page):
    ids = ids_of(page)
    return page_of([*ids[:-1], ids[0]], page.total)


def empty(_, __, page):
    return page_of([], page.total)


def no_progress(_, __, page):
    return page_of(ids_of(page)[:1], page.total)


TROUBLES = [
    (other_offset, SynthflowProtocolError, "the page of another offset"),
    (other_rows, SynthflowProtocolError, "the rows of another page"),
    (one_more, SynthflowProtocolError, "one row more than the limit"),
    (too_many, SynthflowProtocolError, "more rows than the limit"),
    (more_than_echoed, SynthflowProtocolError, "one row more than the limit"),
    (twice, SynthflowIncompleteError, "one call twice on the page"),
    (empty, SynthflowIncompleteError, "an empty page before the end"),
    (no_progress, SynthflowIncompleteError, "no new rows before the end"),
]


NAMES = [each[0].__name__ for each in TROUBLES]


@pytest.mark.parametrize("look_ahead", [1, 4])
class TestTrouble:
    @pytest.mark.parametrize("spoil", [each[0] for each in TROUBLES], ids=NAMES)
    def test_once_costs_another_request_for_the_page(self, spoil, look_ahead):
        listing = Listing.of(350)
        walk = Walk(look_ahead=look_ahead)

        def once(number, ask, page):
            return spoil(number, ask, page) if number == 2 else page

        went = drive(walk, listing, spoil=once)

        assert walk.ids == set(listing.ids)
        if spoil is other_rows:  # nobody knows which of the two pages is the right one
            assert walk.walks == 2
        else:
            assert walk.walks == 1
            assert len(went.asks) == 4 + 1

    @pytest.mark.parametrize("spoil", [each[0] for each in TROUBLES], ids=NAMES)
    def test_twice_at_the_same_page_costs_a_second_round_and_nothing_else(self, spoil, look_ahead):
        listing = Listing.of(350)
        walk = Walk(look_ahead=look_ahead)
        times = []

        def two_times(number, ask, page):
            if ask.offset == 99 and len(times) < 2:
                times.append(number)
                return spoil(number, ask, page)
            return page

        went = drive(walk, listing, spoil=two_times)

        assert walk.ids == set(listing.ids)
        assert walk.walks == (3 if spoil is other_rows else 2)
        assert len(went.asks) <= 3 * 4 + look_ahead

    @pytest.mark.parametrize(("spoil", "error", "why"), TROUBLES, ids=NAMES)
    def test_that_lasts_is_an_error_that_names_it(self, spoil, error, why, look_ahead):
        def always(number, ask, page):
            return spoil(number, ask, page) if ask.offset >= 99 else page

        went = Drive()
        with pytest.raises(error, match=why) as caught:
            drive(Walk(look_ahead=look_ahead), Listing.of(350), spoil=always, log=went)

        rounds = 3 if error is SynthflowProtocolError else 5
        assert "offset 99" in str(caught.value) or spoil is twice
        assert "Nothing was written" in str(caught.value)
        assert len(went.pauses) == rounds - 1
        assert len(went.asks) <= rounds * (2 * 4 + 8)
        if error is SynthflowIncompleteError:
            assert (caught.value.expected, caught.value.walks) == (350, 5)

    @pytest.mark.parametrize("spoil", [each[0] for each in TROUBLES], ids=NAMES)
    def test_is_not_used(self, spoil, look_ahead):
        walk = Walk(look_ahead=look_ahead)
        (first,) = walk.asks()
        walk.receive(first, Listing.of(350).page(100, 0))
        ask = walk.asks()[0]

        try:
            page = spoil(2, ask, Listing.of(350).page(100, ask.offset))
        except SynthflowRequestError as error:
            walk.refuse(ask, error)
        else:
            assert not walk.receive(ask, page)


class TestTroubleThatComesAndGoes:
    def test_in_other_rounds_than_on_end_is_no_way_of_paging(self):
        listing = Listing.of(150)
        rounds = {1, 2, 4, 5}
        walk = Walk(max_walks=6)

        drive(
            walk,
            listing,
            spoil=lambda number, ask, page: (
                other_offset(number, ask, page)
                if ask.offset and walk.walks in rounds
                else (replace(page, total=151) if walk.walks == 3 else page)
            ),
        )

        assert walk.walks == 6
        assert walk.ids == set(listing.ids)


class TestRowsOfAnotherPage:
    def test_are_no_trouble_where_the_list_has_changed_in_between(self):
        """As many rows as a page goes forward may have come at the head."""
        walk = Walk(limit=3)
        walk.receive(*walk.asks(), page_of(["a", "b", "c"], total=5))
        (second,) = walk.asks()

        assert walk.receive(second, page_of(["a", "b", "c"], total=7))
        drive(walk, Listing(["n1", "n2", "a", "b", "c", "d", "e"]))

        assert walk.ids == {"n1", "n2", "a", "b", "c", "d", "e"}
        assert walk.walks == 2

    def test_behind_the_end_count_for_nothing(self):
        """A list became shorter while a page was asked for; some servers show their last page there."""
        walk = Walk(limit=3, look_ahead=2)
        walk.receive(*walk.asks(), page_of(["a", "b", "c"], total=6))
        second, third = walk.asks()

        assert walk.receive(second, page_of(["c", "d"], total=4))
        assert not walk.receive(third, page_of(["b", "c", "d"], total=4))
        drive(walk, Listing(["a", "b", "c", "d"]))

        assert walk.ids == {"a", "b", "c", "d"}
        assert walk.walks == 2


class TestRefusal:
    def test_of_the_first_page_is_the_error_itself(self):
        walk = Walk(offset=7)
        (ask,) = walk.asks()

        with pytest.raises(SynthflowRequestError) as caught:
            walk.refuse(ask, REFUSAL)

        assert caught.value is REFUSAL

    def test_behind_the_end_of_a_list_that_became_shorter_is_the_end(self):
        listing = Listing.of(100, behind="refusal")
        walk = Walk(limit=60, look_ahead=1)

        def shrink(number):
            if number == 2:
                del listing.ids[50:]

        drive(walk, listing, before=shrink)

        assert walk.ids == set(listing.ids)

    def test_where_no_total_is_declared_is_the_end(self):
        listing = Listing.of(250, declares=False, behind="refusal")
        walk = Walk()

        drive(walk, listing)

        assert walk.ids == set(listing.ids)
        assert walk.walks == 2

    @pytest.mark.parametrize("look_ahead", [1, 4])
    @pytest.mark.parametrize("from_the_end", [False, True])
    @pytest.mark.parametrize("declares", [True, False])
    def test_that_lasts_is_an_error_that_says_to_take_shorter_windows(self, declares, from_the_end, look_ahead):
        """A server may not want to be read that far."""
        walk = Walk(look_ahead=look_ahead, from_the_end=lambda _: from_the_end)
        went = Drive()

        with pytest.raises(SynthflowRequestError, match="shorter windows") as caught:
            drive(
                walk,
                Listing.of(300, declares=declares),
                spoil=lambda _, ask, page: refuse() if ask.offset > 150 else page,
                log=went,
            )

        assert caught.value.__cause__ is REFUSAL
        assert caught.value.status == 400
        assert len(went.asks) <= 10

    @pytest.mark.parametrize("look_ahead", [1, 4])
    def test_once_costs_another_request_for_the_page(self, look_ahead):
        listing = Listing.of(350)
        walk = Walk(look_ahead=look_ahead)

        went = drive(walk, listing, spoil=lambda number, _, page: refuse() if number == 2 else page)

        assert walk.ids == set(listing.ids)
        assert (walk.walks, len(went.asks)) == (1, 5)


class TestTotalThatIsNone:
    """A list that declares another number than its rows, as search engines cap theirs."""

    @pytest.mark.parametrize("look_ahead", [1, 4])
    @pytest.mark.parametrize("from_the_end", [False, True])
    @pytest.mark.parametrize("behind", ["empty", "last page", "refusal"])
    @pytest.mark.parametrize("told", [100, 150, 199, 298, 999, 0, "page"])
    def test_is_found_out_by_a_look_behind_it(self, told, behind, from_the_end, look_ahead):
        listing = Listing.of(1000, behind=behind)
        walk = Walk(look_ahead=look_ahead, from_the_end=lambda _: from_the_end)

        def tell(_, __, page):
            return replace(page, total=len(page.rows) if told == "page" else min(told, 1000))

        try:
            drive(walk, listing, spoil=tell)
        except SynthflowIncompleteError:
            assert told == 999  # whose last page is not full, so that it may as well be too low by accident
        else:
            assert walk.ids == set(listing.ids)
            assert walk.total is None

    @pytest.mark.parametrize("count", [100, 99, 101, 450])
    def test_that_is_each_pages_own_count_loses_nothing(self, count):
        listing = Listing.of(count)
        walk = Walk()

        drive(walk, listing, spoil=lambda _, __, page: replace(page, total=len(page.rows)))

        assert walk.ids == set(listing.ids)

    def test_that_has_grown_meanwhile_is_a_list_that_changes(self):
        listing = Listing.of(199)
        walk = Walk()

        drive(walk, listing, before=lambda number: listing.ids.append("new") if number == 3 else None)

        assert walk.ids == set(listing.ids)
        assert walk.total == 200


class Doubling(Listing):
    """A list that sends rows twice: by a join, on a page, or with the last row of the page before in front."""

    way = "join"

    def page(self, limit, offset):
        """Return one page."""
        if self.way == "join":
            rows = [each for each in self.ids for _ in range(2)]
            return page_of(rows[offset : offset + limit], len(rows) if self.declares else None)
        total = len(self.ids) if self.declares else None
        rows = self.ids[offset : offset + limit]
        if self.way == "first twice" and rows:
            rows = [rows[0], *rows][:limit]
        if self.way == "end twice" and len(rows) == limit:
            rows = [*rows[:-1], rows[0]]
        if self.way.startswith("before") and offset and (rows or self.way.endswith("end")):
            rows = [*self.ids[offset - 1 : offset], *rows][: limit + ("one more" in self.way)]
        return page_of(rows, total)


@pytest.mark.parametrize("look_ahead", [1, 4])
@pytest.mark.parametrize("from_the_end", [False, True])
class TestRowsThatComeTwice:
    @pytest.mark.parametrize("count", [3, 100, 199, 250, 298, 450])
    @pytest.mark.parametrize(
        "way", ["join", "first twice", "end twice", "before", "before, one more", "before, and behind the end"]
    )
    def test_are_told_apart_where_a_total_is_declared(self, way, count, from_the_end, look_ahead):
        listing = Doubling.of(count)
        listing.way = way
        walk = Walk(look_ahead=look_ahead, from_the_end=lambda _: from_the_end)

        drive(walk, listing)

        assert walk.ids == set(listing.ids)
        assert walk.walks <= 5
        if way == "join":
            assert walk.repeated == count

    @pytest.mark.parametrize("way", ["join", "first twice", "end twice", "before", "before, one more"])
    def test_hide_no_call_though_they_fill_what_was_declared(self, way, from_the_end, look_ahead):
        for limit, count in itertools.product([2, 3], range(8)):
            listing = Doubling.of(count)
            listing.way = way
            walk = Walk(limit=limit, look_ahead=look_ahead, from_the_end=lambda _: from_the_end)

            drive(walk, listing)

            assert walk.ids == set(listing.ids), (limit, count)

    @pytest.mark.parametrize("way", ["join", "first twice"])
    def test_are_refused_by_the_id_where_none_is_declared(self, way, from_the_end, look_ahead):
        listing = Doubling.of(250, declares=False)
        listing.way = way

        with pytest.raises(SynthflowIncompleteError, match="c00000"):
            drive(Walk(look_ahead=look_ahead, from_the_end=lambda _: from_the_end), listing)


class TestWithoutATotal:
    @pytest.mark.parametrize("behind", ["empty", "last page", "refusal"])
    @pytest.mark.parametrize("cap", [2, 3, 7, 100])
    def test_two_rounds_must_agree(self, cap, behind):
        for count in (0, 1, 2, 3, 7, 99, 100, 101, 199, 200):
            listing = Listing.of(count, cap=cap, declares=False, behind=behind)
            walk = Walk()

            drive(walk, listing)

            assert walk.ids == set(listing.ids)
            assert walk.total is None
            assert walk.walks == 2

    def test_the_end_is_looked_at_twice_in_each_round(self):
        """The page that begins with the last row alone, and the one behind it."""
        went = drive(Walk(), Listing.of(150, declares=False))

        assert went.offsets == [0, 99, 149, 150] * 2
        assert [ask.behind for ask in went.asks] == [False, False, False, True] * 2

    def test_an_empty_list_is_looked_at_twice_in_each_round(self):
        went = drive(Walk(), Listing.of(0, declares=False))

        assert went.offsets == [0, 0, 0, 0]

    def test_an_empty_page_in_the_middle_is_no_end(self):
        listing = Listing.of(350, declares=False)
        walk = Walk()

        drive(walk, listing, spoil=lambda number, _, page: page_of([]) if number == 2 else page)

        assert walk.ids == set(listing.ids)

    def test_rounds_that_never_agree_are_given_up(self):
        listing = Listing.of(150, declares=False)

        def change(number):
            if number % 4 == 1:
                listing.ids[5] = f"new-{number}"

        with pytest.raises(SynthflowIncompleteError, match="no total was declared") as caught:
            drive(Walk(), listing, before=change)

        assert (caught.value.expected, caught.value.received, caught.value.walks) == (None, 150, 5)

    def test_a_round_that_agrees_with_one_before_the_last_does_not_count(self):
        """Two in a row must."""
        listing = Listing.of(50, declares=False)
        walk = Walk()
        ways = {1: "a", 2: "b", 3: "a", 4: "a"}

        drive(walk, listing, before=lambda _: listing.ids.__setitem__(5, ways[walk.walks]))

        assert walk.walks == 4
        assert "a" in walk.ids

    def test_a_round_with_trouble_stands_between_two_that_agree(self):
        walk = Walk()

        drive(
            walk,
            Listing.of(50, declares=False),
            spoil=lambda number, ask, page: twice(number, ask, page) if walk.walks == 2 else page,
        )

        assert walk.walks == 4

    def test_nothing_is_kept_of_a_round_with_trouble(self):
        went = drive(
            Walk(),
            Listing.of(150, declares=False),
            spoil=lambda number, ask, page: twice(number, ask, page) if number in {2, 3} else page,
        )

        assert went.offsets == [0, 99, 99, *[0, 99, 149, 150] * 2]

    def test_a_server_that_always_sends_the_first_page_is_refused_soon(self):
        went = Drive()

        with pytest.raises(SynthflowIncompleteError, match="no new rows"):
            drive(Walk(), Listing.of(100, declares=False), spoil=other_rows, log=went)

        assert len(went.asks) <= 5 * 4

    def test_rows_that_come_twice_are_counted(self):
        """A list drawn anew for each page shows some rows twice and others never."""
        chance = random.Random(5)  # noqa: S311 - guards nothing
        listing = Listing.of(60, cap=10, declares=False)

        with pytest.raises(SynthflowIncompleteError):
            drive(Walk(), listing, before=lambda _: chance.shuffle(listing.ids))


class TestNumberOfRequests:
    @pytest.mark.parametrize("look_ahead", [1, 8])
    @pytest.mark.parametrize(
        "spoil",
        [
            *[each[0] for each in TROUBLES],
            lambda number, _, page: page_of([f"{number}-{n}" for n in range(100)], page.total),
            lambda number, _, page: page_of([f"{number}-1", f"{number}-2"], page.total),
            lambda number, _, page: page_of([f"{number}"], page.total),
        ],
        ids=[*NAMES, "always new rows", "two new rows", "one new row"],
    )
    def test_is_bounded_whatever_comes(self, spoil, look_ahead):
        went = Drive()

        with pytest.raises((SynthflowIncompleteError, SynthflowProtocolError)):
            drive(
                Walk(look_ahead=look_ahead),
                Listing.of(1000),
                spoil=lambda number, ask, page: spoil(number, ask, page) if ask.offset else page,
                log=went,
            )

        assert len(went.asks) <= 5 * (2 * 1000 + 10)

    def test_does_not_follow_a_total_that_grows_without_rows(self):
        went = Drive()

        with pytest.raises(SynthflowIncompleteError):
            drive(Walk(), Listing.of(10), spoil=lambda n, _, page: page_of(ids_of(page), 100 + n), log=went)

        assert len(went.asks) <= 5 * 12

    def test_stays_bounded_where_rows_come_though_none_are_declared(self):
        went = Drive()

        with pytest.raises((SynthflowIncompleteError, SynthflowProtocolError)):
            drive(
                Walk(),
                Listing.of(300),
                spoil=lambda n, _, page: page_of([f"{n}-{each}" for each in ids_of(page)], 0),
                log=went,
            )

        assert len(went.asks) <= 5 * 12

    def test_does_not_follow_pages_that_creep(self):
        """Two rows a page of 1,000 that come with a page of 100 once: a round asks for no more than twice its due."""
        went = Drive()

        with pytest.raises(SynthflowIncompleteError):
            drive(
                Walk(),
                Listing.of(10_000),
                spoil=lambda _, ask, page: page_of(ids_of(page)[:2], 10_000) if ask.offset else page,
                log=went,
            )

        assert len(went.asks) <= 5 * (2 * (10_000 // 99 + 1) + 8)
