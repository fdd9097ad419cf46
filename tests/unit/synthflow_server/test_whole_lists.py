# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import threading

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.effort import count_examples
from tests.synthflow_server import Behaviour, SimulatedClock, SynthflowApi, make_calls
from tests.unit.synthflow_server.asking import AGENT, T0, ids, make_call, page

instants = st.integers(0, 40)
behaviours = st.builds(
    Behaviour,
    order=st.sampled_from(["newest", "oldest", "unstable_ties", "by_id"]),
    filter_from_on=st.sampled_from(["start", "end", "listed"]),
    filter_to_on=st.sampled_from(["start", "end"]),
    running_matches=st.booleans(),
    unstarted_matches=st.booleans(),
    from_inclusive=st.booleans(),
    to_inclusive=st.booleans(),
    date_granularity_ms=st.sampled_from([1, 7]),
)


@st.composite
def lives(draw):
    made = []
    for number in range(draw(st.integers(0, 12))):
        start = draw(instants)
        end = draw(st.none() | st.integers(start, 50))
        made.append(make_call(f"c{number}", start, end, draw(st.none() | instants)))
    return made


def expected(call, behaviour, from_ms, to_ms, now):
    """Decide anew, in the plainest way, whether a call belongs to a window."""
    listed = call.start_ms if call.listed_ms is None else call.listed_ms
    ended = call.end_ms is not None and call.end_ms <= now
    keys = {
        "start": call.start_ms if call.start_ms <= now or behaviour.unstarted_matches else None,
        "end": call.end_ms if ended else None,
        "listed": listed,
    }
    unit = behaviour.date_granularity_ms

    def passes(on, bound, compare):
        if bound is None:
            return True
        key = keys[on]
        if key is None:
            return behaviour.running_matches if on == "end" else False
        return compare(key // unit, bound // unit)

    lower = (lambda key, bound: key >= bound) if behaviour.from_inclusive else (lambda key, bound: key > bound)
    upper = (lambda key, bound: key <= bound) if behaviour.to_inclusive else (lambda key, bound: key < bound)
    return (
        listed <= now
        and passes(behaviour.filter_from_on, from_ms, lower)
        and passes(behaviour.filter_to_on, to_ms, upper)
    )


@settings(deadline=None, max_examples=count_examples(300))
@given(lives(), behaviours, st.none() | instants, st.none() | instants, instants)
def test_a_list_holds_exactly_the_calls_of_its_window(calls, behaviour, start, end, now):
    api = SynthflowApi(calls, behaviour=behaviour, clock=SimulatedClock(T0 + now))
    query = {}
    if start is not None:
        query["from_date"] = T0 + start
    if end is not None:
        query["to_date"] = T0 + end
    wanted = {
        call.call_id
        for call in calls
        if expected(call, behaviour, query.get("from_date"), query.get("to_date"), T0 + now)
    }
    found = ids(api, limit=100, **query)
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert page(api, **query)["pagination"]["total_records"] == len(wanted)


@settings(deadline=None, max_examples=count_examples(60))
@given(st.integers(0, 99), st.integers(1, 100), st.sampled_from(["newest", "oldest", "by_id"]))
def test_pages_side_by_side_are_the_whole_list(seed, limit, order):
    api = SynthflowApi(make_calls(seed, 130, agents=[AGENT]), behaviour=Behaviour(order=order))
    found = [name for offset in range(0, 130, limit) for name in ids(api, limit=limit, offset=offset)]
    assert len(found) == 130
    assert set(found) == {call.call_id for call in api.all_calls()}


@settings(deadline=None, max_examples=count_examples(60))
@given(lives(), st.lists(instants, max_size=6))
def test_an_answer_never_depends_on_what_was_asked_before(calls, moments):
    api = SynthflowApi(calls, clock=SimulatedClock(T0))
    for moment in moments:
        api.clock.set(T0 + moment)
        fresh = SynthflowApi(calls, clock=SimulatedClock(T0 + moment))
        assert page(api, from_date=T0 + 3) == page(fresh, from_date=T0 + 3)
        assert page(api) == page(fresh)


def test_many_threads_may_ask_and_change_at_once():
    api = SynthflowApi(make_calls(1, 300, agents=[AGENT]))
    wrong = []

    def ask_often():
        for number in range(100):
            offset = number % 3 * 100
            if len(ids(api, limit=100, offset=offset)) != 100:
                wrong.append(offset)

    threads = [threading.Thread(target=ask_often) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(100):
        api.add(make_call(f"new{number}", -number))
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(api.all_calls()) == 400
    assert len(api.requests) == 400
    assert [received.number for received in api.requests] == list(range(1, 401))
