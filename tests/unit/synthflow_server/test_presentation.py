# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.synthflow_server import Behaviour, SimulatedClock, SynthflowApi
from tests.unit.synthflow_server.asking import T0, ask, make_call, row_of


def api_of(*calls, clock=None, **switches):
    return SynthflowApi(calls, behaviour=Behaviour(**switches), clock=clock)


@pytest.mark.parametrize(
    ("form", "start", "written"),
    [
        ("string_ms", 123, f"{T0 + 123}"),
        ("int_ms", 123, T0 + 123),
        ("seconds", 123, (T0 + 123) / 1000),
        ("seconds", 0, T0 // 1000),
        ("iso", 123, "2026-11-18T11:06:40.123Z"),
        ("null", 123, None),
        ("absent", 123, "no field"),
    ],
)
def test_the_start_is_written_as_it_is_told_to(form, start, written):
    row = row_of(api_of(make_call("a", start), start_time_as=form), "a")
    assert row.get("start_time", "no field") == written


def test_the_duration_can_be_text():
    assert row_of(api_of(make_call("a")), "a")["duration"] == 60
    assert row_of(api_of(make_call("a"), duration_as="string"), "a")["duration"] == "60"


@pytest.mark.parametrize(("form", "written"), [("object", {}), ("null", None)])
def test_the_telephony_times_can_be_no_times(form, written):
    assert row_of(api_of(make_call("a"), telephony_start_as=form), "a")["telephony_start"] == written


def test_records_that_are_over_are_sent_unchanged():
    call = make_call("a", unheard_of={"ü": [1, None]})
    assert row_of(api_of(call), "a") == call.record


def test_a_call_before_its_start_has_no_start():
    row = row_of(api_of(make_call("a", 5000, 9000, listed=0), clock=SimulatedClock(T0)), "a")
    assert (row["call_status"], row["start_time"], row["telephony_start"]) == ("queue", None, None)


def test_a_running_call_has_no_duration_and_no_transcript():
    row = row_of(api_of(make_call("a"), clock=SimulatedClock(T0)), "a")
    assert (row["call_status"], row["duration"], row["transcript"]) == ("in-progress", None, None)
    assert row["start_time"] == str(T0)


def test_late_fields_come_late():
    clock = SimulatedClock(T0 + 60_000)
    api = api_of(make_call("a"), clock=clock, late_fields_after_ms=90_000)
    assert row_of(api, "a")["call_status"] == "completed"
    assert row_of(api, "a")["transcript"] is None
    clock.advance(90_000)
    assert row_of(api, "a")["transcript"] is not None


def test_recordings_can_have_another_address_each_time():
    api = api_of(make_call("a"), recording_urls="rotating")
    assert row_of(api, "a")["recording_url"] != row_of(api, "a")["recording_url"]
    api.behaviour = Behaviour()
    assert row_of(api, "a")["recording_url"] == row_of(api, "a")["recording_url"]


def test_one_call_asked_for_has_other_fields_and_fewer():
    call = make_call("a", judge_results={"x": "1"}, labels=["vip"], lead_name="Ada", end_call_reason="bye")
    body = ask(api_of(call), "/v2/calls/a").json()
    (row,) = body["response"]["calls"]
    assert not {"call_status", "judge_results", "labels", "lead_name"} & set(row)
    assert {"prompt_variables", "custom_end_call_reason"} <= set(row)
    assert (row["status"], row["end_call_reason"]) == ("completed", "bye")
