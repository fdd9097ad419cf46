# SPDX-License-Identifier: Apache-2.0
"""A field that changes from reading to reading rewrites nothing, and nothing else is passed over for that."""

from __future__ import annotations

import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import SynthflowOutputConflictError
from airflow_provider_synthflow.output import json_lines
from airflow_provider_synthflow.output.comparison import are_equal_but_for
from airflow_provider_synthflow.output.formats import FORMATS, open_writer
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window
from tests.unit.making import AGENT, FROM_MS, TO_MS

WINDOW = Window(FROM_MS, TO_MS)
ANY = list(FORMATS)
CALL = {
    "call_id": "a",
    "start_time": "1709251200000",
    "recording_url": "https://x/?sig=1",
    "lead_name": "Zoë",
    "new": 1,
}


def encode(calls: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(call).encode() for call in calls]


def write(format_name: str, calls: list[dict[str, Any]]) -> io.BytesIO:
    file = io.BytesIO()
    writer = open_writer(format_name, file)
    for record in encode(calls):
        writer.write([record])
    writer.close()
    return io.BytesIO(file.getvalue())


def publish(root: Path, format_name: str, calls: list[dict[str, Any]], fields=("recording_url",), **result: Any):
    one = Publication(LocalStore(str(root)), AGENT, WINDOW, format_name, {}, volatile_fields=fields)
    return one.publish(encode(calls), {"query": {}, "count": len(calls), **result})


@pytest.mark.parametrize("format_name", ANY)
class TestAFileOfTheSameCalls:
    @pytest.mark.parametrize("value", ["https://x/?sig=2", "", None, 5, {"a": "b"}])
    def test_stays_where_only_a_volatile_field_differs(self, tmp_path, format_name, value):
        calls = [CALL | {"call_id": str(number)} for number in range(600)]
        first = publish(tmp_path, format_name, calls, extracted_at="one")
        before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}

        second = publish(tmp_path, format_name, [call | {"recording_url": value} for call in calls], extracted_at="two")

        assert second == first | {"changed": False, "extracted_at": "two"}
        assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before

    def test_stays_where_the_field_comes_or_goes(self, tmp_path, format_name):
        without = {name: value for name, value in CALL.items() if name != "recording_url"}
        publish(tmp_path, format_name, [without])

        assert publish(tmp_path, format_name, [CALL])["changed"] is False
        assert publish(tmp_path, format_name, [without])["changed"] is False

    @pytest.mark.parametrize(
        "other",
        [
            [CALL | {"recording_url": "2", "lead_name": "Zoe"}],
            [CALL | {"recording_url": "2", "new": True}],
            [CALL | {"recording_url": "2", "new": 1.0}],
            [CALL | {"recording_url": "2", "newer": None}, CALL],
            [CALL | {"recording_url": "2"}, CALL],
            [],
            [CALL | {"recording_url": "2", "lead_name": 5}],
        ],
        ids=repr,
    )
    def test_is_replaced_where_anything_else_differs(self, tmp_path, format_name, other):
        publish(tmp_path, format_name, [CALL])

        told = publish(tmp_path, format_name, other)

        assert told["changed"] is True
        assert Path(told["path"]).stat().st_size == told["bytes"]
        assert publish(tmp_path, format_name, other)["changed"] is False

    def test_is_replaced_where_no_field_is_volatile(self, tmp_path, format_name):
        publish(tmp_path, format_name, [CALL])

        assert publish(tmp_path, format_name, [CALL | {"recording_url": "2"}], ())["changed"] is True

    def test_stays_where_only_the_compressor_has_changed(self, tmp_path, format_name, monkeypatch):
        first = publish(tmp_path, format_name, [CALL] * 200)
        for name in ("_GZIP_LEVEL", "_ZSTD_LEVEL"):
            monkeypatch.setattr(json_lines, name, 1)
        if format_name == "parquet":
            monkeypatch.setattr("airflow_provider_synthflow.output.parquet._COMPRESSION_LEVEL", 9)

        told = publish(tmp_path, format_name, [CALL] * 200)

        assert (told["changed"], told["sha256"]) == (False, first["sha256"])

    def test_keeps_no_numbers_of_the_reading_before(self, tmp_path, format_name):
        publish(tmp_path, format_name, [CALL], total_records=7, not_started=1)

        told = publish(tmp_path, format_name, [CALL | {"recording_url": "2"}], total_records=8, not_started=0)

        manifest = json.loads((Path(told["path"]).parent / "_manifest.json").read_bytes())
        assert (manifest["total_records"], manifest["not_started"], manifest["changed"]) == (8, 0, False)
        assert manifest == told

    def test_is_replaced_where_it_is_not_what_its_manifest_says(self, tmp_path, format_name):
        told = publish(tmp_path, format_name, [CALL])
        path = Path(told["path"])
        path.write_bytes(path.read_bytes()[:-1])

        assert publish(tmp_path, format_name, [CALL | {"recording_url": "2"}])["changed"] is True

    def test_of_several_volatile_fields_names_each(self, format_name):
        one, two = write(format_name, [CALL]), write(format_name, [CALL | {"recording_url": "2", "new": [1]}])

        assert are_equal_but_for({"recording_url", "new"}, format_name, one, two)
        for file in (one, two):
            file.seek(0)
        assert not are_equal_but_for({"new"}, format_name, one, two)


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz", "parquet"])
def test_files_are_compared_in_the_memory_of_a_few_records(format_name):
    def calls(signature: str) -> list[dict[str, Any]]:
        return [
            CALL | {"call_id": str(number), "recording_url": signature, "transcript": f"{number} " * 500}
            for number in range(20_000)
        ]

    one, two = write(format_name, calls("1")), write(format_name, calls("2"))
    tracemalloc.start()
    assert are_equal_but_for({"recording_url"}, format_name, one, two)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert most < 8 * 2**20


VALUES = st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.lists(st.integers(0, 1), max_size=2)
RECORDS = st.dictionaries(st.sampled_from(["recording_url", "lead_name", "duration", "odd"]), VALUES)


@settings(deadline=None)
@given(st.lists(RECORDS, max_size=3), st.lists(RECORDS, max_size=3), st.sampled_from(ANY))
def test_two_files_are_equal_just_where_their_other_fields_are(one, two, format_name):
    def strip(records: list[dict[str, Any]]) -> list[dict[str, str]]:
        # In a column null is as good as none.
        return [
            {
                name: json.dumps(value)
                for name, value in record.items()
                if name != "recording_url" and not (format_name == "parquet" and value is None and name != "odd")
            }
            for record in records
        ]

    found = are_equal_but_for({"recording_url"}, format_name, write(format_name, one), write(format_name, two))

    assert found is (strip(one) == strip(two))


class TestTheQuery:
    def make(self, root: Path, format_name: str = "jsonl", **described: Any) -> Publication:
        return Publication(LocalStore(str(root)), AGENT, WINDOW, format_name, {}, described=described)

    @pytest.mark.parametrize(
        ("theirs", "ours"),
        [
            ({"drop_fields": ["transcript"]}, {}),
            ({}, {"drop_fields": ["transcript"]}),
            ({"hash_fields": ["lead_name"]}, {"hash_fields": ["lead_name", "name"]}),
            ({"details": True}, {"details": False}),
        ],
    )
    def test_is_another_one_where_other_fields_are_cleaned(self, tmp_path, theirs, ours):
        self.make(tmp_path, **theirs).publish([b"{}"], {"query": {}, **theirs})
        name = next(iter({**theirs, **ours}))

        for act in (self.make(tmp_path, **ours).check, lambda: self.make(tmp_path, **ours).publish([b"{}"], {})):
            with pytest.raises(SynthflowOutputConflictError, match=name) as caught:
                act()
            assert caught.value.differing == (name,)

        self.make(tmp_path, **theirs).check()

    def test_is_another_one_in_another_format(self, tmp_path):
        self.make(tmp_path).publish([b"{}"], {"query": {}})

        with pytest.raises(SynthflowOutputConflictError, match="output_format"):
            self.make(tmp_path, "jsonl.gz").check()

    def test_is_the_same_one_where_nothing_is_cleaned_in_either_way_of_saying_so(self, tmp_path):
        self.make(tmp_path, drop_fields=[], details=False).publish([b"{}"], {"query": {}})

        self.make(tmp_path).check()
        assert self.make(tmp_path, hash_fields=()).publish([b"{}"], {"query": {}})["changed"] is False
