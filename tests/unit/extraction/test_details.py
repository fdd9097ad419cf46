# SPDX-License-Identifier: Apache-2.0
"""What Get a call has and the list lacks is merged into each call, under its own name, once, and never replaces."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import (
    SynthflowOutputConflictError,
    SynthflowProtocolError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.extraction.details import merge_details
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.synthflow_server import Answer, Fault
from tests.unit.making import AGENT, FROM, TO, many_calls, read_file, tree_of

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.dictionaries(st.text(max_size=4), VALUES, max_size=6)


@given(RECORDS, RECORDS, st.sampled_from([None, 1]))
def test_all_that_is_lacking_comes_and_nothing_is_replaced(record, details, indent):
    merged = json.loads(
        merge_details(
            json.dumps(record, indent=indent).encode(), json.dumps(details, indent=indent).encode(), Privacy()
        )
    )
    assert merged == {**details, **record}
    assert list(merged)[: len(record)] == list(record)


def test_what_is_dropped_stays_away():
    privacy = Privacy(["transcript"])
    merged = merge_details(b'{"call_id":"a"}', b'{"transcript":"said","status":"ok"}', privacy)
    assert json.loads(merged) == {"call_id": "a", "status": "ok"}


@pytest.fixture
def serve(synthflow, connect):
    def start(calls, **options):
        handle = synthflow(calls, **options)
        connect(host=handle.url, extra={"max_attempts": 2, "hash_key": "a-key"})
        return handle

    return start


def listing(**arguments):
    return SynthflowListCallsOperator(
        **{"task_id": "calls", "model_id": AGENT, "from_date": FROM, "to_date": TO, "details": True, **arguments}
    ).execute({})


def asked_for(handle):
    return Counter(received.path.rpartition("/")[2] for received in handle.api.requests_to("call"))


@pytest.mark.parametrize("output_format", ["jsonl", "jsonl.gz", "jsonl.zst"])
def test_each_call_has_its_details_by_one_request_more(serve, tmp_path, output_format):
    calls = many_calls(230, timezone="Europe/Berlin", lead_name="Grüße")
    handle = serve(calls)
    result = listing(output_path=str(tmp_path), output_format=output_format)
    assert result["query"]["details"] is True
    assert "details_missing" not in result
    assert result["requests"] == len(handle.api.requests)
    assert asked_for(handle) == {call.call_id: 1 for call in calls}
    if output_format != "jsonl.zst":
        for record, call in zip(read_file(result["path"]), calls, strict=True):
            assert record == {
                **call.record, "status": "completed", "custom_end_call_reason": None,
                "prompt_variables": {"timezone": "Europe/Berlin", "lead": "Grüße"},
            }  # fmt: skip


def test_a_second_reading_gives_the_same_bytes(serve, tmp_path):
    serve(many_calls(20))
    first = listing(output_path=str(tmp_path))
    before = tree_of(tmp_path)
    second = listing(output_path=str(tmp_path))
    assert (second["sha256"], second["changed"]) == (first["sha256"], False)
    assert tree_of(tmp_path) == before


def test_they_come_into_xcom_too(serve):
    serve(many_calls(3))
    result = listing()
    assert all(call["prompt_variables"] for call in result["calls"])


def test_half_of_a_surrogate_pair_is_mended_and_counted_in_them_too(serve, tmp_path, monkeypatch):
    handle = serve(many_calls(3))
    api = handle.api
    ordinary = api.handle

    def answer(method, target, headers, body=b""):
        found = ordinary(method, target, headers, body)
        if target.endswith("/calls/call-0001"):
            found.body = found.body.replace(b'"call_id":', rb'"odd":{"\udc00":"a\ud83d"},"call_id":', 1)
        return found

    monkeypatch.setattr(api, "handle", answer)
    result = listing(output_path=str(tmp_path))

    assert result["mended"] == 1
    assert read_file(result["path"])[1]["odd"] == {"\ufffd": "a\ufffd"}


def test_a_call_that_is_not_known_stays_as_listed_and_is_counted(serve, tmp_path):
    handle = serve(many_calls(4), faults=[Fault(route="call", kind="status", status=404, at=(2,))])
    result = listing(output_path=str(tmp_path), concurrency=1)
    assert result["details_missing"] == 1
    plain = [record for record in read_file(result["path"]) if "prompt_variables" not in record]
    assert len(plain) == 1
    assert plain[0] in [call.record for call in handle.api.all_calls()]


def test_a_window_with_details_is_another_query(serve, tmp_path):
    serve(many_calls(2))
    listing(output_path=str(tmp_path), details=False)
    with pytest.raises(SynthflowOutputConflictError, match="details"):
        listing(output_path=str(tmp_path))


def test_what_is_taken_out_is_taken_out_of_the_details_too_and_ids_may_be_hidden(serve, tmp_path):
    handle = serve(many_calls(3, transcript="said"))
    result = listing(
        output_path=str(tmp_path), drop_fields=["transcript", "prompt_variables"], hash_fields=["call_id", "status"]
    )
    records = read_file(result["path"])
    assert sum(asked_for(handle).values()) == 3
    assert "details_missing" not in result
    for record in records:
        assert not {"transcript", "prompt_variables"} & record.keys()
        assert len(record["status"]) == len(record["call_id"]) == 64


def test_without_them_no_call_is_asked_for(serve):
    handle = serve(many_calls(3))
    assert "prompt_variables" not in listing(details=False)["calls"][0]
    assert asked_for(handle) == {}


def test_a_failure_leaves_nothing_written(serve, tmp_path):
    serve(many_calls(3), faults=[Fault(route="call", kind="status", status=503)])
    with pytest.raises(SynthflowTransientError):
        listing(output_path=str(tmp_path))
    assert tree_of(tmp_path) == {}


def test_what_passes_is_asked_for_again(serve):
    serve(many_calls(3), faults=[Fault(route="call", kind="status", status=503, times=1)])
    assert all(call["prompt_variables"] for call in listing()["calls"])


def test_another_call_than_was_asked_for_is_refused(serve, monkeypatch):
    handle = serve(many_calls(2))
    ordinary = handle.api.handle

    def swapped(method, target, headers, body=b""):
        if target.endswith("/call-0001"):
            record = {"call_id": "call-0000", "secret": "of another"}
            return Answer.of_json(200, {"status": "ok", "response": {"calls": [record]}})
        return ordinary(method, target, headers, body)

    monkeypatch.setattr(handle.api, "handle", swapped)
    with pytest.raises(SynthflowProtocolError) as caught:
        listing()
    assert caught.value.call_ids == ("call-0001",)
