# SPDX-License-Identifier: Apache-2.0
"""Each format keeps what it is given, and gives the same bytes for the same records."""

from __future__ import annotations

import gzip
import io
import json
import random
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest
import zstandard

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.output.call_schema import rebuild
from airflow_provider_synthflow.output.formats import FORMATS, check_format, open_writer
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.synthflow_server.dataset import make_calls

LINES = ["jsonl", "jsonl.gz", "jsonl.zst"]
ODD = [
    pytest.param(b'{"a":1}', id="plain"),
    pytest.param(b'{ "a" : 1.0, "b": 1e2 , "c":[ ] }', id="blanks and numbers as written"),
    pytest.param('{"a":"Grüße 日本 \U0001f600"}'.encode(), id="non-ASCII"),
    pytest.param(b'{"a":"\\u00fc\\ud83d\\ude00 \\/ \\u0000"}', id="escapes as written"),
    pytest.param('{"a":"\u2028\u2029\x85"}'.encode(), id="line ends of Unicode"),
    pytest.param(b'{"a":1,"a":2}', id="a name twice"),
    pytest.param(b'{"a":123456789012345678901234567890,"b":0.1000000000000000055}', id="numbers beyond doubles"),
    pytest.param(b'{"a":"line\\nbreak\\r"}', id="escaped line breaks"),
    pytest.param(b'{"a":"%b"}' % ("é\\n日" * 25_000).encode(), id="125 KB and more"),
    pytest.param(b"{}", id="empty"),
]
BROKEN = [
    pytest.param(b'{\n  "a": 1,\n  "b": "x y"\n}', b'{   "a": 1,   "b": "x y" }', id="pretty"),
    pytest.param(b'{"a":1,\r\n"b":[1,\r2]}', b'{"a":1,  "b":[1, 2]}', id="carriage returns"),
    pytest.param('{"a":\n"Grüße \\n 日本"}'.encode(), '{"a": "Grüße \\n 日本"}'.encode(), id="beside text"),
    pytest.param(b'{"a":\n1.0,"b":1e999}', b'{"a": 1.0,"b":1e999}', id="beside numbers"),
    pytest.param(b'{"a":\n"\\ud800"}', b'{"a": "\\ud800"}', id="beside half a surrogate pair"),
]


def written(format_name: str, records: list[bytes]) -> bytes:
    file = io.BytesIO()
    writer = open_writer(format_name, file)
    for record in records:
        writer.write([record])
    writer.close()
    assert not file.closed
    return file.getvalue()


def unpacked(format_name: str, data: bytes) -> bytes:
    if format_name.endswith(".gz"):
        return gzip.decompress(data)
    if format_name.endswith(".zst"):
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return data


def records_in(format_name: str, data: bytes) -> list[dict]:
    if format_name == "parquet":
        return [rebuild(row) for row in pq.read_table(io.BytesIO(data)).to_pylist()]
    return [json.loads(line) for line in unpacked(format_name, data).splitlines()]


@pytest.mark.parametrize("format_name", LINES)
@pytest.mark.parametrize("record", ODD)
def test_a_record_on_one_line_keeps_its_bytes(format_name, record):
    assert unpacked(format_name, written(format_name, [record])) == record + b"\n"


@pytest.mark.parametrize("format_name", LINES)
@pytest.mark.parametrize(("record", "line"), BROKEN)
def test_line_breaks_between_tokens_become_blanks_and_no_other_byte_changes(format_name, record, line):
    assert unpacked(format_name, written(format_name, [record, record])) == (line + b"\n") * 2
    assert json.loads(line) == json.loads(record)


@pytest.mark.parametrize("format_name", LINES)
def test_many_records_keep_their_order_over_all_that_is_gathered(format_name):
    records = [b'{"n":%d,"x":"%b"}' % (number, b"y" * (number % 977)) for number in range(2_000)]

    assert unpacked(format_name, written(format_name, records)) == b"".join(record + b"\n" for record in records)


@pytest.mark.parametrize("format_name", LINES)
def test_no_records_make_a_file_that_can_be_read(format_name):
    assert unpacked(format_name, written(format_name, [])) == b""


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_same_records_give_the_same_bytes_at_any_time(format_name, monkeypatch):
    records = [b'{"n":%d,"call_id":"%d"}' % (number, number) for number in range(5000)]
    first = written(format_name, records)
    monkeypatch.setattr(time, "time", lambda: 1.0)

    assert written(format_name, records) == first


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_has_the_same_bytes_whatever_order_its_calls_came_in(format_name, tmp_path):
    calls = make_calls(7, 2_500, agents=["agent-1"], record_bytes=5_000)
    window = Window(min(call.start_ms for call in calls), max(call.start_ms for call in calls) + 1)
    found = []
    for seed in range(3):
        random.Random(seed).shuffle(calls)  # noqa: S311 - guards nothing
        with Spill() as spill:
            for call in calls[:99]:
                spill.put([call.call_id], [call.start_ms], [b'{"call_id":"an earlier version"}'])
            for call in calls:
                record = json.dumps(call.record, ensure_ascii=False).encode()
                spill.put([call.call_id], [call.start_ms], [record])
            publication = Publication(open_store(str(tmp_path / str(seed))), "agent-1", window, format_name, {})
            found.append(publication.publish(spill.records(), {})["sha256"])

    assert len(set(found)) == 1


@pytest.mark.parametrize("format_name", FORMATS)
def test_hidden_fields_are_hidden_in_the_file(format_name):
    privacy = Privacy(["transcript", "nobody"], ["lead_phone_number", "call_id"], key="secret")
    record = {
        "call_id": "id-in-plain",
        "transcript": "spoken-in-plain",
        "lead_phone_number": "+15550100001",
        "start_time": "1776876567837",
        "labels": ["kept"],
    }
    data = written(format_name, [privacy.apply(json.dumps(record).encode())])

    (found,) = records_in(format_name, data)
    assert found.keys() == {"call_id", "lead_phone_number", "start_time", "labels"}
    assert (found["labels"], found["start_time"]) == (["kept"], "1776876567837")
    assert len(found["call_id"]) == len(found["lead_phone_number"]) == 64
    for plain in (b"id-in-plain", b"spoken-in-plain", b"15550100001"):
        assert plain not in unpacked(format_name, data)


def test_gzip_is_one_plain_member_with_neither_name_nor_time():
    data = written("jsonl.gz", [b'{"a":1}'] * 100)

    assert data[:4] == b"\x1f\x8b\x08\x00"  # deflate, no flags
    assert data[4:8] == b"\x00\x00\x00\x00"  # no time
    assert len(data) < 100
    assert data.count(b"\x1f\x8b\x08") == 1


def test_zstd_is_one_frame_with_a_checksum():
    data = written("jsonl.zst", [b'{"a":1}'] * 50_000)
    parameters = zstandard.get_frame_parameters(data)

    assert parameters.has_checksum
    assert zstandard.ZstdDecompressor().decompressobj().decompress(data) == b'{"a":1}\n' * 50_000
    with pytest.raises(zstandard.ZstdError):
        zstandard.ZstdDecompressor().decompressobj().decompress(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.mark.parametrize("name", ["xml", "", "JSONL", "jsonl.bz2"])
def test_an_unknown_format_names_the_known_ones(name):
    with pytest.raises(SynthflowConfigError, match=r"jsonl, jsonl.gz, jsonl.zst, parquet"):
        check_format(name)
    with pytest.raises(SynthflowConfigError, match=r"jsonl, jsonl.gz"):
        open_writer(name, io.BytesIO())


@pytest.mark.parametrize(
    ("format_name", "module", "cure"),
    [
        ("parquet", "pyarrow", r"pip install 'airflow-provider-synthflow\[parquet\]'"),
        ("parquet", "pyarrow.parquet", r"pip install 'airflow-provider-synthflow\[parquet\]'"),
        ("jsonl.zst", "zstandard", r"pip install 'airflow-provider-synthflow\[zstd\]'"),
        ("jsonl.gz", "isal", r"pip install 'airflow-provider-synthflow'"),
    ],
)
def test_a_format_whose_library_is_missing_is_told_before_anything_is_asked_for(
    format_name, module, cure, monkeypatch, tmp_path
):
    for name in [each for each in sys.modules if each == module or each.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(SynthflowConfigError, match=cure):
        Publication(open_store(str(tmp_path)), "agent-1", Window(0, 1), format_name, {})


def test_formats_load_only_what_they_need():
    code = (
        "import io, sys\n"
        "sys.modules['airflow'] = None\n"
        "from airflow_provider_synthflow.output.formats import FORMATS, open_writer\n"
        "assert not {'isal', 'zstandard', 'pyarrow', 'pandas'} & sys.modules.keys()\n"
        "for name in FORMATS:\n"
        "    writer = open_writer(name, io.BytesIO())\n"
        '    writer.write([b\'{"call_id":"a","name":null,"duration":1}\'])\n'
        "    writer.close()\n"
        "    print(name, *sorted({'isal', 'zstandard', 'pyarrow', 'pandas'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours

    assert done.stdout.splitlines() == [
        "jsonl",
        "jsonl.gz isal",
        "jsonl.zst isal zstandard",
        "parquet isal pyarrow zstandard",  # and no pandas, which takes longer to load than many a window to write
    ]
