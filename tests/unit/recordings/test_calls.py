# SPDX-License-Identifier: Apache-2.0
"""Which calls a result tells of, and which of them can have a recording."""

from __future__ import annotations

import json

import pytest

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowOutputConflictError
from airflow_provider_synthflow.output.formats import open_writer
from airflow_provider_synthflow.recordings.calls import RecordedCall, parse_results, read_calls
from airflow_provider_synthflow.storage.open_store import open_store
from tests.unit.making import AGENT, FROM, TO
from tests.unit.recordings.keeping import DIRECTORY, recorded_call, recorded_calls, write_calls

WINDOW = {"model_id": AGENT, "from_date": FROM, "to_date": TO}
URL = "https://recordings.example.test/a.mp3?s=1"


def told(call_id, *, can_have=False, promises=False):
    return RecordedCall(call_id, can_have, promises)


def judge(record, **fields):
    ((result,), _) = parse_results({**WINDOW, "calls": [{"call_id": "a", **record}], **fields})
    (call,) = read_calls(result, None)
    assert call.call_id == "a"
    return call.can_have, call.promises


@pytest.mark.parametrize(
    ("record", "can_have", "promises"),
    [
        ({"call_status": "completed", "duration": 12}, True, False),
        ({"call_status": "completed", "duration": "12"}, True, False),
        ({"call_status": "COMPLETED ", "duration": 12.5}, True, False),
        ({"call_status": "completed", "duration": 0}, False, False),
        ({"call_status": "completed", "duration": "0", "telephony_duration": 900}, False, False),
        ({"call_status": "completed", "duration": None, "telephony_duration": 900}, True, False),
        ({"call_status": "completed", "duration": None}, True, False),
        ({"call_status": "no-answer", "duration": None}, False, False),
        ({"call_status": "no-answer", "duration": 0, "telephony_duration": 20_000}, False, False),
        ({"call_status": "failed", "duration": 0, "recording_url": URL}, True, True),
        ({"call_status": "completed", "duration": 0, "recording_duration": "31"}, True, True),
        ({"call_status": "completed", "duration": 0, "recording_duration": 31}, True, True),
        ({"call_status": "completed", "duration": 0, "recording_duration": "00:31"}, True, True),
        ({"call_status": "completed", "duration": 0, "recording_duration": "0"}, False, False),
        ({"call_status": "completed", "duration": 0, "recording_duration": "00:00"}, False, False),
        ({"call_status": "completed", "duration": 0, "recording_url": ""}, False, False),
        ({"call_status": "in-progress", "duration": 30, "recording_url": URL}, False, True),
        ({"call_status": "something new", "duration": 30}, False, False),
        ({"call_status": None, "duration": 30}, False, False),
        ({"call_status": "completed", "duration": {"odd": 1}, "telephony_duration": [1]}, True, False),
    ],
)
def test_only_what_is_final_and_lasted_or_promises_one_can_have_a_recording(record, can_have, promises):
    assert judge(record) == (can_have, promises)


def test_what_was_dropped_or_hashed_does_not_speak_against_a_recording():
    assert judge({"duration": 5}, drop_fields=["call_status"]) == (True, False)
    assert judge({"call_status": "a" * 64, "duration": 5}, hash_fields=["call_status"]) == (True, False)
    assert judge({"call_status": "failed"}, drop_fields=["duration", "telephony_duration"]) == (True, False)


@pytest.mark.parametrize("name", ["drop_fields", "hash_fields"])
def test_calls_without_their_ids_are_refused(name):
    ((result,), _) = parse_results({**WINDOW, "calls": [{}], name: ["call_id"]})
    with pytest.raises(SynthflowConfigError, match="call_id"):
        read_calls(result, None)


def test_a_record_without_an_id_is_a_call_without_a_recording():
    ((result,), _) = parse_results({**WINDOW, "calls": [{"call_status": "completed", "duration": 3}] * 2})
    assert read_calls(result, None) == [told("")] * 2


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_each_format_tells_the_same(tmp_path, format_name):
    records = [
        {"call_id": "a", "call_status": "completed", "duration": "12", "model_id": AGENT},
        {"call_id": "ü", "call_status": "failed", "duration": 0, "recording_url": URL, "transcript": "half \ud800"},
        {"call_id": "c", "call_status": "completed", "duration": {"odd": True}, "recording_duration": 7.5},
        {"call_id": "d", "call_status": "in-progress"},
        {"call_id": 5, "call_status": "no-answer", "duration": 0},
    ]
    store = open_store(str(tmp_path))
    with store.stage(DIRECTORY) as staged:
        writer = open_writer(format_name, staged)
        for record in records:
            writer.write([json.dumps(record).encode()])
        writer.close()
        staged.publish(f"calls.{format_name}")
        file = {"format": format_name, "bytes": staged.size, "sha256": staged.sha256}
    path = str(tmp_path / DIRECTORY / f"calls.{format_name}")
    ((result,), _) = parse_results({**WINDOW, "path": path, **file})
    assert result.output_path == str(tmp_path)
    assert read_calls(result, store) == [
        told("a", can_have=True),
        told("ü", can_have=True, promises=True),
        told("c", can_have=True, promises=True),
        told("d"),
        told("5"),
    ]


class TestResults:
    def test_are_one_or_a_list_or_lists_of_them(self):
        one = {**WINDOW, "calls": []}
        assert parse_results(one)[1] is False
        assert [len(parse_results(each)[0]) for each in ([one], [one, one], [[one], [one, one]], (one,), [])] == [
            1, 2, 3, 1, 0,
        ]  # fmt: skip
        assert parse_results([one])[1] is True

    def test_may_be_the_text_that_a_template_makes_of_them(self):
        one = {**WINDOW, "calls": [{"call_id": "a", "call_status": None}]}
        for text in (str(one), json.dumps(one), f" {one} "):
            ((result,), many) = parse_results(text)
            assert not many
            assert read_calls(result, None) == [told("a")]
        assert parse_results(str([one, one]))[1] is True

    @pytest.mark.parametrize(
        "value",
        [
            None, "", "None", "no result", 5, True, b"x", {}, {"model_id": "a"}, [None], [{}], WINDOW,
            {**WINDOW, "calls": {}}, {**WINDOW, "calls": None, "count": 3}, {**WINDOW, "path": "/x"},
            {**WINDOW, "calls": [], "model_id": ""}, {**WINDOW, "calls": [], "from_date": "yesterday"},
            {**WINDOW, "calls": [], "to_date": FROM}, {**WINDOW, "path": None, "calls": []},
            {**WINDOW, "path": 5, "format": "jsonl", "bytes": 1, "sha256": "x"}, {"calls": ["a"]}, ["a", "b"],
        ],
    )  # fmt: skip
    def test_that_are_none_are_refused_with_the_cure(self, value):
        with pytest.raises(SynthflowConfigError, match="output of a SynthflowListCallsOperator task"):
            parse_results(value)

    def test_whose_calls_are_no_records_are_refused(self):
        ((result,), _) = parse_results({**WINDOW, "calls": ["a"]})
        with pytest.raises(SynthflowConfigError, match="output of"):
            read_calls(result, None)

    def test_without_calls_need_no_place(self):
        ((result,), _) = parse_results({**WINDOW, "count": 0})
        assert result.output_path is None
        assert read_calls(result, None) == []

    def test_whose_file_lies_elsewhere_than_files_of_their_window_are_refused(self):
        told = {"path": "/lake/other/calls.jsonl", "format": "jsonl", "bytes": 1, "sha256": "x"}
        ((result,), _) = parse_results({**WINDOW, **told})
        with pytest.raises(SynthflowConfigError, match="not where calls of its window"):
            _ = result.output_path

    @pytest.mark.parametrize("root", ["/", "/lake", "s3://bucket", "s3://bucket/deep/er", "file:///lake", "relative"])
    def test_tell_the_output_path_of_their_file(self, root):
        path = f"{root.rstrip('/')}/{DIRECTORY}/calls.jsonl"
        ((result,), _) = parse_results({**WINDOW, "path": path, "format": "jsonl", "bytes": 1, "sha256": "x"})
        assert result.output_path == root


class TestFile:
    def test_that_is_gone_is_a_typed_error_with_its_cure(self, tmp_path):
        ((result,), _) = parse_results(write_calls(tmp_path, recorded_calls(2)))
        (tmp_path / result.file).unlink()
        with pytest.raises(SynthflowConfigError, match=r"not there any more\. List the calls again"):
            read_calls(result, open_store(str(tmp_path)))

    def test_that_was_changed_since_is_a_typed_error_with_its_cure(self, tmp_path):
        ((result,), _) = parse_results(write_calls(tmp_path, recorded_calls(2)))
        write_calls(tmp_path, recorded_calls(3))
        with pytest.raises(SynthflowOutputConflictError, match="written anew since") as caught:
            read_calls(result, open_store(str(tmp_path)))
        assert caught.value.path == result.path

    def test_is_read_without_keeping_its_records(self, tmp_path):
        ((result,), _) = parse_results(write_calls(tmp_path, [recorded_call("a", transcript="x" * 100)]))
        assert read_calls(result, open_store(str(tmp_path))) == [told("a", can_have=True, promises=True)]
