# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.synthflow_server import Change, Fault, SimulatedClock, SynthflowApi, WallClock
from tests.unit.synthflow_server.asking import T0, ask, ids, make_call, page, row_of

THREE = [make_call("a", 1), make_call("b", 2), make_call("c", 3)]


def test_calls_arrive_before_the_request_is_answered():
    api = SynthflowApi(THREE, changes=[Change(at=(2,), add=(make_call("new", 9),))])
    assert ids(api) == ["c", "b", "a"]
    assert ids(api) == ["new", "c", "b", "a"]


def test_calls_arrive_after_the_request_is_answered():
    api = SynthflowApi(THREE, changes=[Change(at=(1,), after=True, add=(make_call("new", 9),))])
    assert ids(api) == ["c", "b", "a"]
    assert ids(api) == ["new", "c", "b", "a"]


def test_calls_vanish_by_their_id_and_need_not_be_there():
    api = SynthflowApi(THREE, changes=[Change(remove=("b", "gone"))])
    assert ids(api) == ids(api) == ["c", "a"]


def test_a_call_vanishes_by_its_place_in_the_list_that_is_asked_for():
    api = SynthflowApi(THREE, changes=[Change(remove_at=1, times=1)])
    assert ids(api, to_date=T0 + 3) == ["b"]
    assert ids(api) == ["c", "b"]


def test_a_place_behind_the_end_removes_nothing():
    assert len(ids(SynthflowApi(THREE, changes=[Change(remove_at=3)]))) == 3


def test_a_running_call_is_finished():
    clock = SimulatedClock(T0 + 30_000)
    calls = [make_call("a", 0, None), make_call("b", 0, 60_000), make_call("c", 0, 20_000)]
    api = SynthflowApi(calls, clock=clock, changes=[Change(finish=("a", "b", "c"), at=(2,))])
    assert row_of(api, "a")["call_status"] == "in-progress"
    assert [row_of(api, name)["duration"] for name in "abc"] == [30, 30, 20]
    assert ids(api, call_status="completed") == ["c", "b", "a"]


def test_a_record_changes():
    api = SynthflowApi(THREE, changes=[Change(update={"a": {"labels": ["vip"]}, "gone": {}})])
    assert row_of(api, "a")["labels"] == ["vip"]


def test_the_clock_moves_with_a_request():
    api = SynthflowApi(THREE, clock=SimulatedClock(T0), changes=[Change(advance_clock_ms=1, times=2)])
    assert [ids(api) for _ in range(3)] == [["a"], ["b", "a"], ["b", "a"]]


def test_only_a_simulated_clock_can_be_moved():
    with pytest.raises(ValueError, match="SimulatedClock"):
        SynthflowApi([], clock=WallClock(), changes=[Change(advance_clock_ms=1)])


def statuses(fault, queries):
    api = SynthflowApi(THREE, faults=[fault])
    return [ask(api, **query).status for query in queries]


@pytest.mark.parametrize(
    ("when", "hit"),
    [
        ({}, [1, 2, 3, 4, 5, 6]),
        ({"at": (2, 5)}, [2, 5]),
        ({"at": 3}, [3]),
        ({"every_nth": 2}, [2, 4, 6]),
        ({"times": 2}, [1, 2]),
        ({"every_nth": 2, "times": 2}, [2, 4]),
        ({"offset_at_least": 40}, [5, 6]),
        ({"offset_at_least": 20, "every_nth": 3}, [3, 6]),
        ({"model_id": "other"}, []),
        ({"route": "call"}, []),
        ({"route": "any", "at": 1}, [1]),
    ],
)
def test_a_fault_fires_at_the_requests_it_is_set_for(when, hit):
    found = statuses(Fault(status=503, **when), [{"offset": offset} for offset in (0, 10, 20, 30, 40, 50)])
    assert [number for number, status in enumerate(found, start=1) if status == 503] == hit


def test_requests_are_counted_from_when_a_fault_is_armed():
    api = SynthflowApi(THREE)
    ask(api)
    api.arm(Fault(at=1))
    assert [ask(api).status, ask(api).status] == [500, 200]
    api.arm(Fault())
    api.disarm()
    assert ask(api).status == 200


def test_a_fault_on_another_route_counts_only_requests_to_it():
    api = SynthflowApi(THREE, faults=[Fault(route="assistants", at=1)])
    assert [ask(api).status, ask(api, "/v2/assistants/").status] == [200, 500]


@pytest.mark.parametrize(
    ("when", "there"),
    [
        ({}, [False, False, False]),
        ({"every_nth": 2}, [True, False, False]),
        ({"at": (3,)}, [True, True, False]),
        ({"offset_at_least": 1}, [True, True, False]),
        ({"model_id": "other"}, [True, True, True]),
        ({"route": "call"}, [True, True, True]),
    ],
)
def test_a_change_happens_at_the_requests_it_is_set_for(when, there):
    api = SynthflowApi([make_call("a")], changes=[Change(remove=("a",), **when)])
    totals = [page(api, offset=offset)["pagination"]["total_records"] for offset in (0, 0, 1)]
    assert [total == 1 for total in totals] == there


@pytest.mark.parametrize("wrong", [{"kind": "resett"}, {"route": "lists"}, {"every_nth": 0}])
def test_a_fault_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match=r"no fault|no route|at least 1"):
        Fault(**wrong)


# --- by hand


def test_calls_are_added_removed_and_changed_by_hand():
    api = SynthflowApi(THREE)
    api.add(make_call("d", 9), make_call("e", -9))
    assert ids(api) == ["d", "c", "b", "a", "e"]
    assert api.remove("c").call_id == "c"
    api.update("a", start_ms=T0 + 100, labels=["x"])
    assert ids(api) == ["a", "d", "b", "e"]
    assert row_of(api, "a")["labels"] == ["x"]
    assert {call.call_id for call in api.all_calls()} == set("abde")


def test_a_change_by_hand_leaves_the_calls_it_was_given_alone():
    call = make_call("a")
    SynthflowApi([call]).update("a", labels=["x"])
    assert call == make_call("a")


def test_the_truth_holds_calls_that_are_not_listed_yet():
    api = SynthflowApi([*THREE, make_call("z", model_id="other")], clock=SimulatedClock(T0))
    assert ids(api) == []
    assert [call.call_id for call in api.all_calls("agent-a")] == ["a", "b", "c"]
    assert len(api.all_calls()) == 4
    assert api.all_calls("nobody") == []


def test_the_same_id_twice_and_an_id_that_is_not_there_are_refused():
    api = SynthflowApi(THREE)
    with pytest.raises(ValueError, match="there already"):
        api.add(make_call("a"))
    with pytest.raises(KeyError, match="no call"):
        api.remove("z")
