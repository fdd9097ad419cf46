# SPDX-License-Identifier: Apache-2.0
"""A poll counts the calls that started in its bounds, with few and small requests."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.polling.poll import Poll, poll
from tests.synthflow_server import TEST_KEY, Behaviour
from tests.unit.making import AGENT, DAY, FROM, FROM_MS, TO_MS, make_call, many_calls


@pytest.fixture
def look(synthflow):
    """Serve calls and poll for them."""

    def run(calls: Any = (), *, behaviour: Behaviour = Behaviour(), **state: Any) -> Poll:  # noqa: B008 - it is frozen
        run.server = synthflow(calls, behaviour=behaviour)
        made = Poll(**{"query": CallsQuery(AGENT), "from_ms": FROM_MS, "to_ms": TO_MS, **state})
        with SynthflowClient(Settings(run.server.url, TEST_KEY, max_attempts=1)) as client:
            return poll(client, made)

    return run


class TestAnswer:
    @pytest.mark.parametrize(
        ("calls", "min_calls", "satisfied"),
        [(0, 1, False), (1, 1, True), (2, 3, False), (3, 3, True), (4, 3, True), (99, 100, False), (100, 100, True),
         (150, 150, True), (149, 150, False), (320, 150, True)],
    )  # fmt: skip
    @pytest.mark.parametrize("pagination", ["present", "absent"])
    def test_is_yes_once_there_are_enough(self, look, calls, min_calls, satisfied, pagination):
        state = look(many_calls(calls), min_calls=min_calls, behaviour=Behaviour(pagination=pagination))

        assert state.satisfied is satisfied
        if satisfied:
            assert state.count == calls

    def test_counts_only_starts_in_the_bounds_to_the_millisecond(self, look):
        calls = [
            make_call("before", -1), make_call("first"), make_call("last", DAY - 1), make_call("after", DAY),
            make_call("nowhere", 5, start_time=None),
        ]  # fmt: skip

        state = look(calls, min_calls=2)

        assert (state.satisfied, state.count) == (True, 2)
        assert look(calls, min_calls=3).satisfied is False

    @pytest.mark.parametrize(
        "behaviour", [Behaviour(filter_to_on="end"), Behaviour(ignore_window=True), Behaviour(order="oldest")]
    )
    def test_does_not_depend_on_what_the_server_compares(self, look, behaviour):
        calls = [make_call("long", DAY - 1, lasts=DAY // 2), make_call("old", -30 * DAY), make_call("new", 3 * DAY)]

        state = look(calls, behaviour=behaviour)

        assert (state.satisfied, state.count) == (True, 1)

    def test_counts_a_call_once_where_the_server_ignores_offsets(self, look):
        state = look(many_calls(30), min_calls=2, behaviour=Behaviour(ignore_offset=True, pagination="absent"))

        assert state.count == 30

    @pytest.mark.parametrize("order", ["newest", "oldest"])
    def test_finds_calls_beside_more_than_a_thousand_of_the_next_day(self, look, order):
        calls = many_calls(500) + [make_call(f"after-{number}", DAY + number * 60_000) for number in range(1100)]

        state = look(calls, behaviour=Behaviour(order=order))

        assert (state.satisfied, state.count) == (True, 500)
        assert state.result()["newest_start_time"] == "2024-03-01T08:19:00.000Z"
        assert look(calls, min_calls=501, behaviour=Behaviour(order=order)).satisfied is False

    def test_counts_no_call_that_is_scheduled_ahead(self, look):
        ahead = [make_call(f"ahead-{number}", 365 * DAY + number, lasts=None) for number in range(900)]

        assert look(many_calls(120) + ahead, to_ms=None, at_ms=TO_MS, min_calls=121).satisfied is False
        assert look(many_calls(120) + ahead, to_ms=None, at_ms=TO_MS, min_calls=120).count == 120

    @pytest.mark.parametrize(
        "behaviour",
        [
            Behaviour(pagination="absent", offset_past_end="error404"),
            Behaviour(total="off_by", offset_past_end="error400"),
        ],
    )
    def test_takes_a_refused_page_behind_the_first_as_the_list_s_end(self, look, behaviour):
        assert look(many_calls(2), min_calls=3, behaviour=behaviour).satisfied is False
        state = look(many_calls(150), min_calls=2, behaviour=behaviour)
        assert (state.satisfied, state.count) == (True, 150)

    @pytest.mark.parametrize("order", ["newest", "oldest"])
    def test_tells_the_newest_start_of_a_long_list_in_either_order(self, look, order):
        state = look(many_calls(1300), behaviour=Behaviour(order=order))

        assert state.result() == {
            "model_id": AGENT,
            "from_date": FROM,
            "count": 1300,
            "newest_start_time": "2024-03-01T21:39:00.000Z",
        }

    def test_of_nothing_has_no_newest_start(self, look):
        assert look().result() == {"model_id": AGENT, "from_date": FROM, "count": 0, "newest_start_time": None}


class TestRequests:
    def test_of_a_poll_in_vain_are_one_small_page(self, look):
        look(min_calls=3)

        (received,) = look.server.api.requests
        assert (received.query["limit"], received.query["offset"]) == ("3", "0")

    def test_of_a_list_without_end_are_bounded(self, look):
        look(many_calls(1440))

        assert len(look.server.api.requests) <= 12

    def test_leave_the_end_open_where_it_is_now(self, look):
        look([make_call("a")], to_ms=None, at_ms=TO_MS)

        assert all("to_date" not in received.query for received in look.server.api.requests)
        assert look.server.api.requests[0].query["from_date"] == str(FROM_MS - 1000)

    def test_ask_for_a_day_more_where_the_end_is_given(self, look):
        look()

        assert look.server.api.requests[0].query["to_date"] == str(TO_MS + DAY)

    def test_begin_with_1970_at_the_earliest(self, look):
        look(from_ms=0)

        assert look.server.api.requests[0].query["from_date"] == "0"

    def test_carry_the_filters(self, look):
        look(query=CallsQuery(AGENT, call_status="busy", duration_min=3))

        query = look.server.api.requests[0].query
        assert (query["call_status"], query["duration_min"]) == ("busy", "3")
