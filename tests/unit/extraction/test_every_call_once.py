# SPDX-License-Identifier: Apache-2.0
"""Whatever the server does, the union of the windows is the set of calls, each once: a fixed core of the search."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.client.call import CallRow, decode_record
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.exceptions import (
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
)
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.pagination.fetch import read_pages
from airflow_provider_synthflow.pagination.walk import Walk
from airflow_provider_synthflow.window import Window
from dev.soak.chance import ChancePicker
from dev.soak.regressions import load_regressions
from dev.soak.scenario import AGENT, BASE_MS, Movement, Scenario, Sketch, make_scenario
from dev.soak.searching import search
from dev.soak.trial import try_scenario
from tests.effort import count_examples
from tests.loopback import LoopbackSender
from tests.synthflow_server import Behaviour, Fault, SynthflowApi

if TYPE_CHECKING:
    from collections.abc import Sequence

_EXAMPLES = count_examples(400)
_DAY = 86_400_000
_REGRESSIONS = load_regressions()


@pytest.fixture(autouse=True)
def kept_keys(monkeypatch):
    """Check wherever calls are read that each that is proven to be there was kept, or kept out."""

    def expect(spill: Spill, different: int) -> None:
        assert different <= len({spill._keys[slot] for slot in range(len(spill._keys))})
        told(spill, different)

    told = Spill.expect
    monkeypatch.setattr(Spill, "expect", expect)


class _HypothesisPicker:
    """Choose as hypothesis draws, so that a counterexample shrinks."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw

    def one_of(self, choices: Sequence[Any]) -> Any:
        return self._draw(st.sampled_from(list(choices)))

    def number(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))


@st.composite
def scenarios(draw: Any) -> Scenario:
    """Draw a scenario."""
    return make_scenario(_HypothesisPicker(draw))


@search(_EXAMPLES)
@given(scenarios())
def test_each_call_comes_in_exactly_the_window_of_its_start_for_any_server_and_any_tiling(scenario):
    outcome = try_scenario(scenario)

    assert outcome.right, outcome


@pytest.mark.parametrize("seed", range(count_examples(300)))
def test_each_call_comes_once_with_several_pages_in_flight(seed):
    outcome = try_scenario(make_scenario(ChancePicker(seed)), concurrency=4)

    assert outcome.right, outcome


@pytest.mark.parametrize("name", _REGRESSIONS)
def test_a_scenario_that_once_failed_never_fails_again(name):
    outcome = try_scenario(_REGRESSIONS[name])

    assert outcome.right, outcome


@pytest.mark.parametrize("seed", range(count_examples(200)))
def test_an_honest_server_whose_list_stands_still_is_never_refused(seed):
    scenario = _quiet(seed)
    honest = replace(scenario.behaviour, total="exact", repeats="none")

    assert try_scenario(replace(scenario, behaviour=honest)).refused == []


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("total", ["capped", "page", "none"])
@pytest.mark.parametrize("seed", range(40))
def test_a_list_that_stands_still_is_read_whatever_number_it_declares(seed, total, concurrency):
    scenario = _quiet(seed)
    rows = 2 + seed % 6  # no more than the cap: a short page with more than its total contradicts itself
    told = replace(
        scenario.behaviour, total=total, total_cap=7 + seed % 9, max_rows=rows, repeats="none",
        envelope="standard", pagination="present", echo_limit="actual",
    )  # fmt: skip

    outcome = try_scenario(replace(scenario, behaviour=told), concurrency=concurrency)

    assert outcome.right
    assert outcome.refused == []


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("repeats", ["join", "page"])
@pytest.mark.parametrize("seed", range(40))
def test_a_list_that_stands_still_is_read_though_it_sends_rows_twice(seed, repeats, concurrency):
    scenario = _quiet(seed)
    told = replace(
        scenario.behaviour, total="exact", max_rows=2 + seed % 6, repeats=repeats,
        envelope="standard", pagination="present",
    )  # fmt: skip

    outcome = try_scenario(replace(scenario, behaviour=told), concurrency=concurrency)

    assert outcome.right
    assert outcome.refused == []


def _quiet(seed: int) -> Scenario:
    """Draw a scenario in which nothing moves and nothing is wrong, and the list can be read to its end."""
    scenario = make_scenario(ChancePicker(seed))
    still = replace(
        scenario.behaviour, order="oldest", running_matches=False, unstarted_matches=False, largest_offset=None,
        ignore_agent=False, ignore_status=False,
    )  # fmt: skip
    return replace(scenario, behaviour=still, faults=(), movements=())


def _scenario(count: int = 30, **options: Any) -> Scenario:
    calls = tuple(Sketch(start=n * 1_000, end=n * 1_000 + 500, listed=n * 1_000) for n in range(count))
    return Scenario(calls=calls, cuts=(0, _DAY), settle=3_600_000, **options)


def test_a_call_that_arrives_between_two_pages_costs_a_second_walk_and_nothing_else():
    late = Sketch(start=50_000, end=50_001, listed=50_000)
    scenario = _scenario(behaviour=Behaviour(max_rows=7), movements=(Movement(at=3, add=(late,)),))

    outcome = try_scenario(scenario)

    assert outcome.right
    assert outcome.placed == 31
    assert not outcome.refused


@pytest.mark.parametrize("position", [0, 6, 7, 13, 29])
def test_a_call_that_leaves_between_two_pages_takes_no_other_with_it(position):
    scenario = _scenario(behaviour=Behaviour(max_rows=7), movements=(Movement(at=3, remove_at=position),))

    outcome = try_scenario(scenario)

    assert outcome.right
    assert outcome.placed == 29


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_one_that_leaves_while_another_arrives_is_found_out_though_the_total_stays(order):
    """The counts agree all along; only the row that neighbouring pages share tells."""
    new = Sketch(start=70_000, end=70_001, listed=70_000)
    old = Sketch(start=1, end=2, listed=1)
    movement = Movement(at=3, remove_at=2, add=(new if order == "oldest" else old,))
    scenario = _scenario(behaviour=Behaviour(max_rows=7, order=order), movements=(movement,))

    outcome = try_scenario(scenario)

    assert outcome.right
    assert outcome.placed == 30


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Behaviour(ignore_offset=True, echo_offset="asked", max_rows=7), SynthflowProtocolError),
        (Behaviour(ignore_offset=True, echo_offset="actual", max_rows=7), SynthflowProtocolError),
        (Behaviour(total="off_by", total_off_by=3), SynthflowIncompleteError),
        (Behaviour(order="random", max_rows=7), SynthflowIncompleteError),
    ],
    ids=["offset ignored", "offset ignored and said", "total too high", "random"],
)
def test_a_server_that_cannot_be_read_completely_is_refused_with_a_bounded_number_of_requests(behaviour, error):
    outcome = try_scenario(_scenario(behaviour=behaviour))

    assert [type(each) for each in outcome.refused] == [error]
    assert not outcome.placed
    assert outcome.requests <= 5 * (2 * 30 + 8)


@pytest.mark.parametrize(
    "behaviour",
    [Behaviour(total="off_by", total_off_by=-3), Behaviour(total="capped", total_cap=10)],
    ids=["low", "capped"],
)
def test_a_total_that_the_pages_exceed_time_after_time_is_none_and_every_call_is_read(behaviour):
    outcome = try_scenario(_scenario(behaviour=behaviour))

    assert outcome.right
    assert outcome.refused == []
    assert outcome.placed == 30


def test_a_window_that_the_server_ignores_is_refused_at_once():
    old = tuple(Sketch(start=-40 * _DAY + n, end=-40 * _DAY + n, listed=-40 * _DAY + n) for n in range(300))
    scenario = replace(_scenario(behaviour=Behaviour(ignore_window=True)), calls=old)

    outcome = try_scenario(scenario)

    assert [type(each) for each in outcome.refused] == [SynthflowProtocolError]
    assert outcome.requests == 1


def test_what_a_refusal_says_has_the_numbers():
    api = SynthflowApi(_scenario().build()[0], behaviour=Behaviour(total="off_by", total_off_by=3))
    client = LoopbackSender(api)
    plan = WindowPlan(Window(BASE_MS, BASE_MS + _DAY), CallsQuery(AGENT), 3_600_000)

    with Spill() as spill, pytest.raises(SynthflowIncompleteError) as refusal:
        extract_window(client, plan, spill, sleep=client.pass_time)

    assert (refusal.value.expected, refusal.value.received, refusal.value.walks) == (33, 30, 5)


@pytest.mark.parametrize(
    "kind",
    ["html", "not_json", "truncated_json", "no_calls", "bad_status_word", "reset", "truncated_body", "wrong_page",
     "empty_page", "short_page", "duplicate_rows", "status"],
)  # fmt: skip
def test_an_accident_at_one_request_is_mended_without_a_refusal(kind):
    scenario = _scenario(behaviour=Behaviour(max_rows=7), faults=(Fault(kind=kind, at=(3,)),))

    outcome = try_scenario(scenario)

    assert outcome.right
    assert outcome.placed == 30
    assert not outcome.refused


def test_a_later_reading_of_a_call_wins():
    calls, _ = _scenario(3).build()
    api = SynthflowApi(calls, behaviour=Behaviour(max_rows=2))
    seen: list[int] = []

    class Changing(LoopbackSender):
        def send(self, path, parameters):
            if seen:
                api.update(calls[1].call_id, transcript="the later one")
            seen.append(1)
            return super().send(path, parameters)

    client = Changing(api)
    plan = WindowPlan(Window(BASE_MS, BASE_MS + _DAY), CallsQuery(AGENT), 3_600_000)
    with Spill() as spill:
        extract_window(client, plan, spill, sleep=client.pass_time)
        records = list(spill.records())

    assert len(records) == 3
    assert b"the later one" in records[1]


def test_no_error_of_a_refusal_holds_data_of_a_call():
    outcome = try_scenario(_scenario(behaviour=Behaviour(order="random", max_rows=7)))

    for error in outcome.refused:
        assert isinstance(error, SynthflowError)
        assert "human:" not in str(error)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize(
    ("ids", "echoed"),
    [(["a", "b", "c"], 7), (["a", "b", "a", "b"], 0), ([str(number) for number in range(101)], 0), ([], 7)],
    ids=["another offset", "twice", "too many", "another offset and no rows"],
)
def test_a_page_that_is_not_what_was_asked_for_is_no_empty_window_though_it_declares_none(ids, echoed, concurrency):
    page = Page([CallRow(each, b"{}") for each in ids], total=0, limit=100, offset=echoed)
    walk = Walk(look_ahead=concurrency)

    with pytest.raises((SynthflowProtocolError, SynthflowIncompleteError)):
        list(read_pages(walk, lambda *_: page, concurrency=concurrency, sleep=lambda _: None))


def test_a_page_that_is_wrong_once_and_declares_none_hides_no_call():
    right = Page([CallRow(each, b"{}") for each in "abc"], total=3, limit=100, offset=0)
    wrong = Page(right.rows, total=0, limit=100, offset=7)
    answers = [wrong, right, right]
    walk = Walk()

    list(read_pages(walk, lambda *_: answers.pop(0), concurrency=1, sleep=lambda _: None))

    assert walk.ids == {"a", "b", "c"}


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("count", [1, 2, 150])
def test_rows_that_come_where_none_are_declared_are_read_as_without_a_total(count, concurrency):
    rows = [CallRow(str(number), b"{}") for number in range(count)]
    walk = Walk(look_ahead=concurrency)

    list(
        read_pages(
            walk,
            lambda limit, offset: Page(rows[offset : offset + limit], 0, limit, offset),
            concurrency=concurrency,
            sleep=lambda _: None,
        )
    )

    assert walk.ids == {row.call_id for row in rows}
    assert walk.total is None


@pytest.mark.parametrize("total", ["capped", "page"])
@pytest.mark.parametrize("cap", [7, 13, 25])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_total_that_is_capped_or_a_pages_own_loses_no_call(total, cap, concurrency):
    scenario = _scenario(40, behaviour=Behaviour(total=total, total_cap=cap, max_rows=7, echo_limit="actual"))

    outcome = try_scenario(scenario, concurrency=concurrency)

    assert outcome.right
    assert (outcome.placed, outcome.refused) == (40, [])


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("repeats", ["join", "page", "before"])
def test_a_list_that_sends_rows_twice_is_read_where_a_total_is_declared(repeats, concurrency):
    scenario = _scenario(40, behaviour=Behaviour(repeats=repeats, max_rows=7))

    outcome = try_scenario(scenario, concurrency=concurrency)

    assert outcome.right
    assert (outcome.placed, outcome.refused) == (40, [])


def test_a_server_that_refuses_large_offsets_is_an_error_that_says_to_take_shorter_windows():
    outcome = try_scenario(_scenario(40, behaviour=Behaviour(largest_offset=20, max_rows=7)))

    (error,) = outcome.refused
    assert isinstance(error, SynthflowRequestError)
    assert "shorter windows" in str(error)
    assert outcome.requests < 20


@pytest.mark.parametrize("slow", [2, 4])
def test_of_two_readings_the_one_that_was_sent_later_wins_though_the_other_is_answered_after_it(slow):
    calls, _ = _scenario(9).build()
    api = SynthflowApi(calls, behaviour=Behaviour(max_rows=3, order="oldest"))
    one_at_a_time = threading.Lock()
    overtaken = threading.Event()
    sent = {}  # which thread is the first to send, the system decides

    class Slow(LoopbackSender):
        def answer(self, query, limit, offset):
            page = super().answer(query, limit, offset).read()
            sent[offset] = page.sent
            return page

        def send(self, path, parameters):
            offset = int(parameters["offset"])
            with one_at_a_time:
                for call in calls:
                    api.update(call.call_id, transcript=f"page {offset}.")
                answer = super().send(path, parameters)
            if offset == slow:
                overtaken.wait(5)
            elif offset == 6:
                threading.Timer(0.1, overtaken.set).start()
            return answer

    client = Slow(api)
    plan = WindowPlan(Window(BASE_MS, BASE_MS + _DAY), CallsQuery(AGENT), 3_600_000, concurrency=4)
    with Spill() as spill:
        extract_window(client, plan, spill, sleep=client.pass_time)
        records = list(spill.records())

    later = [max(pages, key=sent.__getitem__) for pages in ((0, 2), (2, 4), (4, 6))]
    assert [decode_record(records[row])["transcript"] for row in (2, 4, 6)] == [f"page {each}." for each in later]
