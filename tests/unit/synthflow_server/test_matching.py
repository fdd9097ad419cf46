# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.synthflow_server import Behaviour, SimulatedClock, SynthflowApi
from tests.synthflow_server.query import Filters
from tests.unit.synthflow_server.asking import AGENT, T0, ask, ids, make_call

FIVE = [make_call(f"c{n}", n * 1000, n * 1000 + 10_000) for n in range(5)]


def api_of(calls=FIVE, clock=None, **switches):
    return SynthflowApi(calls, behaviour=Behaviour(**switches), clock=clock)


# --- order


def test_the_list_is_newest_first_by_default():
    assert ids(api_of()) == ["c4", "c3", "c2", "c1", "c0"]


def test_the_list_can_be_oldest_first():
    assert ids(api_of(order="oldest")) == ["c0", "c1", "c2", "c3", "c4"]


def test_the_list_can_be_in_the_order_of_ids():
    calls = [make_call("b", 1), make_call("c", 0), make_call("a", 2)]
    assert ids(api_of(calls, order="by_id")) == ["a", "b", "c"]


def test_a_random_order_differs_from_request_to_request():
    api = api_of([make_call(f"c{n:02}", n) for n in range(20)], order="random")
    orders = {tuple(ids(api)) for _ in range(5)}
    assert len(orders) > 1
    assert {frozenset(order) for order in orders} == {frozenset(f"c{n:02}" for n in range(20))}


def test_unstable_ties_move_only_calls_of_one_millisecond():
    calls = [make_call("new", 9), *(make_call(f"t{n}", 5) for n in range(6)), make_call("old", 1)]
    api = api_of(calls, order="unstable_ties")
    orders = {tuple(ids(api)) for _ in range(8)}
    assert len(orders) > 1
    assert all(order[0] == "new" and order[-1] == "old" for order in orders)


def test_unstable_ties_are_one_order_within_one_request():
    calls = [make_call(f"t{n}", 5) for n in range(6)]
    rows = api_of(calls, order="unstable_ties")._matching
    found = rows(Filters(AGENT), T0 + 10**9)
    pages = found.page(0, 2, 0, 3) + found.page(2, 2, 0, 3) + found.page(4, 2, 0, 3)
    assert sorted(row.call_id for row in pages) == [f"t{n}" for n in range(6)]


def test_what_is_drawn_by_lot_depends_on_the_seed_and_the_request():
    calls = [make_call(f"t{n}", 5) for n in range(9)]
    for order in ("random", "unstable_ties"):
        first, again, other = (ids(api_of(calls, order=order, seed=seed)) for seed in (1, 1, 2))
        assert first == again != other


# --- the window


def test_the_window_is_half_open_on_the_start_by_default():
    assert ids(api_of(), from_date=T0 + 1000, to_date=T0 + 3000) == ["c2", "c1"]


def test_from_date_can_be_exclusive():
    assert ids(api_of(from_inclusive=False), from_date=T0 + 1000, to_date=T0 + 3000) == ["c2"]


def test_to_date_can_be_inclusive():
    assert ids(api_of(to_inclusive=True), from_date=T0 + 1000, to_date=T0 + 3000) == ["c3", "c2", "c1"]


def test_from_date_can_bound_the_end():
    assert ids(api_of(filter_from_on="end"), from_date=T0 + 13_000) == ["c4", "c3"]


def test_from_date_can_bound_the_listing():
    calls = [make_call("a", 0, listed=5000), make_call("b", 1000, listed=2000)]
    assert ids(api_of(calls, filter_from_on="listed"), from_date=T0 + 3000) == ["a"]


def test_to_date_can_bound_the_end():
    assert ids(api_of(filter_to_on="end"), to_date=T0 + 12_000) == ["c1", "c0"]
    assert ids(api_of(filter_to_on="end", to_inclusive=True), to_date=T0 + 12_000) == ["c2", "c1", "c0"]


@pytest.mark.parametrize(("matches", "found"), [(False, ["over"]), (True, ["stuck", "running", "over"])])
def test_running_calls_match_a_bound_on_the_end_only_where_they_are_told_to(matches, found):
    calls = [make_call("over", 0, 1000), make_call("running", 500, 90_000), make_call("stuck", 600, None)]
    api = api_of(calls, SimulatedClock(T0 + 5000), filter_to_on="end", running_matches=matches)
    assert ids(api, to_date=T0 + 5000) == found


@pytest.mark.parametrize(("matches", "found"), [(False, []), (True, ["early"])])
def test_calls_before_their_start_match_a_bound_on_the_start_only_where_they_are_told_to(matches, found):
    calls = [make_call("early", 9000, 10_000, listed=0)]
    api = api_of(calls, SimulatedClock(T0 + 5000), unstarted_matches=matches)
    assert ids(api, from_date=T0) == found
    assert ids(api) == ["early"]


def test_dates_can_be_compared_in_whole_seconds():
    calls = [make_call("a", 999), make_call("b", 1000), make_call("c", 1999), make_call("d", 2000)]
    query = {"from_date": T0 + 1500, "to_date": T0 + 1999}
    assert ids(api_of(calls), **query) == []
    assert ids(api_of(calls, date_granularity_ms=1000), **query) == []
    assert ids(api_of(calls, date_granularity_ms=1000, to_inclusive=True), **query) == ["c", "b"]
    assert ids(api_of(calls, date_granularity_ms=1000, from_inclusive=False), from_date=T0 + 1500) == ["d"]


def test_the_window_can_be_ignored():
    assert len(ids(api_of(ignore_window=True), from_date=T0 + 10**8, to_date=T0 + 10**9)) == 5


def test_a_misspelt_window_is_ignored_as_all_unknown_parameters_are():
    assert len(ids(api_of(), start_date=T0 + 10**8, page=7)) == 5


# --- the clock


def test_calls_appear_and_end_as_the_clock_passes_them():
    clock = SimulatedClock(T0 - 1)
    api = api_of([make_call("a", 0, 60_000), make_call("b", 1000, 2000, listed=5000)], clock)
    assert ids(api) == []
    clock.advance(1)
    assert ids(api) == ["a"]
    assert ids(api, call_status="in-progress") == ["a"]
    clock.set(T0 + 5000)
    assert ids(api) == ["b", "a"]
    clock.set(T0 + 60_000)
    assert ids(api, call_status="completed") == ["b", "a"]


def test_without_a_clock_all_calls_are_listed_and_over():
    far = 10**12
    assert ids(api_of([make_call("a", far, far + 1000)]), call_status="completed") == ["a"]


# --- the other filters


def test_calls_are_those_of_one_agent():
    api = api_of([make_call("a"), make_call("b", model_id="other")])
    assert ids(api) == ["a"]
    assert ids(api, model_id="other") == ["b"]


@pytest.mark.parametrize(("switch", "status"), [("empty", 200), ("400", 400), ("404", 404)])
def test_an_unknown_agent_gives_what_it_is_told_to(switch, status):
    answer = ask(api_of(unknown_model=switch), model_id="nobody")
    assert answer.status == status
    assert switch != "empty" or answer.json()["response"]["calls"] == []


def test_an_agent_without_calls_is_known():
    api = SynthflowApi([], behaviour=Behaviour(unknown_model="404"), assistants=["idle"])
    assert ask(api, model_id="idle").status == 200


STATUSES = [
    make_call("a", call_status="completed"),
    make_call("b", call_status="busy"),
    make_call("c", call_status="failed"),
]


def test_the_status_takes_several_values_unless_it_is_told_not_to():
    assert set(ids(api_of(STATUSES), call_status="completed,busy")) == {"a", "b"}
    assert ids(api_of(STATUSES, status_multi=False), call_status="completed,busy") == []


def test_the_status_takes_any_case_where_it_is_told_to():
    assert ids(api_of(STATUSES), call_status="BUSY") == []
    assert ids(api_of(STATUSES, status_case_sensitive=False), call_status="BUSY") == ["b"]


def test_a_status_that_does_not_exist_gives_nothing_or_an_error():
    assert ids(api_of(STATUSES), call_status="finished") == []
    assert ask(api_of(STATUSES, invalid_status="error"), call_status="finished").status == 400


def test_durations_are_bounded_on_both_sides_inclusively():
    calls = [make_call(f"d{n}", 0, n * 1000) for n in (5, 6, 7, 8)]
    assert set(ids(api_of(calls), duration_min=6, duration_max=7)) == {"d6", "d7"}


@pytest.mark.parametrize(("matches", "found"), [(False, set()), (True, {"stuck", "running"})])
def test_calls_without_a_duration_match_only_where_they_are_told_to(matches, found):
    calls = [make_call("stuck", 0, None), make_call("running", 0, 90_000)]
    api = api_of(calls, SimulatedClock(T0 + 10), null_durations_match=matches)
    assert set(ids(api, duration_min=1)) == found


def test_a_phone_number_is_the_callers_or_the_callees():
    calls = [make_call("in", phone_number_from="+1555"), make_call("out", phone_number_to="+1555"), make_call("no")]
    assert set(ids(api_of(calls), lead_phone_number="+1555")) == {"in", "out"}


def test_a_plus_that_came_as_a_space_matches_nothing():
    api = api_of([make_call("in", phone_number_from="+1555")])
    target = f"/v2/calls?model_id={AGENT}&lead_phone_number=+1555"
    answer = api.handle("GET", target, {"Authorization": "Bearer test-key-0123456789"})
    assert answer.json()["response"]["calls"] == []
