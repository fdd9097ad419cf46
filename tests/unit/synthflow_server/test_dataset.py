# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re
from collections import Counter

import msgspec
import pytest

from tests.synthflow_server import agent_ids, make_calls
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, DEFAULT_TO_MS

DOCUMENTED = [
    "call_id", "model_id", "call_status", "start_time", "duration", "end_call_reason",
    "type_of_call", "transcript", "judge_results", "executed_actions", "collected_variables",
    "agents_used", "labels", "recording_url", "recording_duration", "lead_phone_number",
    "lead_name", "name", "phone_number_from", "phone_number_to", "agent_phone_number",
    "campaign_type", "deployment_type", "timezone", "error_message", "telephony_duration",
    "telephony_start", "telephony_end", "telephony_hangup", "telephony_disconnect_reason",
]  # fmt: skip


@pytest.fixture(scope="module")
def calls():
    return make_calls(5, 2000)


def test_equal_arguments_give_equal_calls(calls):
    assert make_calls(5, 2000) == calls
    assert make_calls(6, 2000) != calls


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_there_are_as_many_calls_as_asked_for(count):
    assert len(make_calls(1, count)) == count


def test_every_id_is_there_once(calls):
    assert len({call.call_id for call in calls}) == len(calls)


def test_every_call_starts_in_the_stretch(calls):
    assert all(DEFAULT_FROM_MS <= call.start_ms < DEFAULT_TO_MS for call in calls)


def test_records_have_every_documented_field(calls):
    assert len(DOCUMENTED) == 30
    assert all(set(DOCUMENTED) <= set(call.record) and len(call.record) == 33 for call in calls)


def test_records_agree_with_their_calls(calls):
    for call in calls:
        assert call.record["call_id"] == call.call_id
        assert call.record["model_id"] == call.model_id
        assert call.record["start_time"] == str(call.start_ms)


def test_fields_have_the_types_of_the_wire(calls):
    for call in calls:
        record = call.record
        assert isinstance(record["start_time"], str)
        assert isinstance(record["duration"], int | None)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", record["telephony_start"])
        assert msgspec.json.decode(msgspec.json.encode(record)) == record


def test_actions_hold_json_in_strings(calls):
    actions = [call.record["executed_actions"] for call in calls if call.record["executed_actions"]]
    assert actions
    assert all(json.loads(one["book_slot"]["return_value"])["status"] == 200 for one in actions)
    returned = {action["return_value"] for one in actions for action in one.values()}
    assert {"42", "not found", "{broken", "{}"} < returned
    keys = {key.rpartition("_")[0] for one in actions for key in one}
    assert {"extract_info", "info_extractor"} < keys


def test_nested_fields_come_in_all_documented_shapes(calls):
    collected = [call.record["collected_variables"] for call in calls if call.record["collected_variables"]]
    judged = {len(call.record["judge_results"]) for call in calls if call.record["judge_results"]}

    assert {"name" in each for each in collected} == {True, False}
    assert judged == {9, 35}


def test_transcripts_have_line_breaks_and_letters_beyond_ascii(calls):
    transcripts = [call.record["transcript"] or "" for call in calls]
    assert any("\n" in text for text in transcripts)
    assert any(not text.isascii() for text in transcripts)
    assert "" in transcripts
    assert any(call.record["transcript"] is None for call in calls)


def test_calls_lie_at_the_edges_of_days(calls):
    places = {call.start_ms % DAY_MS for call in calls}
    assert {0, 1, DAY_MS - 1} <= places
    assert {DEFAULT_FROM_MS, DEFAULT_TO_MS - 1} <= {call.start_ms for call in calls}


def test_some_calls_start_in_one_millisecond(calls):
    assert max(Counter((call.model_id, call.start_ms) for call in calls).values()) > 1


def test_some_calls_run_across_midnight(calls):
    assert any(
        call.end_ms is not None and call.start_ms % DAY_MS and call.start_ms // DAY_MS < call.end_ms // DAY_MS
        for call in calls
    )


def test_some_calls_never_end_and_none_do_so_on_demand(calls):
    assert any(call.end_ms is None for call in calls)
    assert all(call.end_ms is not None for call in make_calls(5, 500, unfinished=0))


def test_some_ids_are_of_the_old_form(calls):
    old = [call for call in calls if re.fullmatch(r"\d{13}x\d+", call.call_id)]
    assert 0 < len(old) < len(calls) / 10
    assert all(call.call_id.startswith(f"{call.start_ms}x") for call in old)


def test_agents_are_always_the_same(calls):
    assert agent_ids(5)[:3] == agent_ids(3)
    assert {call.model_id for call in calls} == set(agent_ids(3))
    assert {call.model_id for call in make_calls(1, 50, agents=["x", "y"])} == {"x", "y"}


@pytest.mark.parametrize("size", [2500, 5000, 50_000])
def test_records_are_as_long_as_asked_for(size):
    lengths = [len(msgspec.json.encode(call.record)) for call in make_calls(2, 50, record_bytes=size)]
    assert all(0.95 * size < length < 1.1 * size for length in lengths)


def test_calls_can_be_listed_late():
    assert all(0 <= call.listed_ms - call.start_ms <= 9000 for call in make_calls(1, 50, listed_lag_ms=(0, 9000)))


def test_a_reversed_stretch_is_refused():
    with pytest.raises(ValueError, match="before"):
        make_calls(1, 1, from_ms=2, to_ms=1)
