# SPDX-License-Identifier: Apache-2.0
"""Each format keeps what it is given, and gives the same bytes for the same records."""

from __future__ import annotations

import gzip
import io
import json
import time

import pytest

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.output.formats import FORMATS, check_format, open_writer

ODD = [
    pytest.param(b'{"a":1}', id="plain"),
    pytest.param(b'{ "a" : 1.0, "b": 1e2 , "c":[ ] }', id="blanks and numbers as written"),
    pytest.param('{"a":"Grüße 日本 \U0001f600"}'.encode(), id="non-ASCII"),
    pytest.param(b'{"a":"\\u00fc\\ud83d\\ude00 \\/ \\u0000"}', id="escapes as written"),
    pytest.param('{"a":"\u2028\u2029\x85"}'.encode(), id="line ends of Unicode"),
    pytest.param(b'{"a":1,"a":2}', id="a name twice"),
    pytest.param(b'{"a":123456789012345678901234567890,"b":0.1000000000000000055}', id="numbers beyond doubles"),
    pytest.param(b'{"a":"line\\nbreak\\r"}', id="escaped line breaks"),
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
        writer.write(record)
    writer.close()
    assert not file.closed
    return file.getvalue()


def unpacked(format_name: str, data: bytes) -> bytes:
    return gzip.decompress(data) if format_name.endswith(".gz") else data


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("record", ODD)
def test_a_record_on_one_line_keeps_its_bytes(format_name, record):
    assert unpacked(format_name, written(format_name, [record])) == record + b"\n"


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize(("record", "line"), BROKEN)
def test_line_breaks_between_tokens_become_blanks_and_no_other_byte_changes(format_name, record, line):
    assert unpacked(format_name, written(format_name, [record, record])) == (line + b"\n") * 2
    assert json.loads(line) == json.loads(record)


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz"])
def test_no_records_make_a_file_that_can_be_read(format_name):
    assert unpacked(format_name, written(format_name, [])) == b""


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_same_records_give_the_same_bytes_at_any_time(format_name, monkeypatch):
    records = [b'{"n":%d}' % number for number in range(5000)]
    first = written(format_name, records)
    monkeypatch.setattr(time, "time", lambda: 1.0)

    assert written(format_name, records) == first


def test_gzip_is_one_plain_member_with_neither_name_nor_time():
    data = written("jsonl.gz", [b'{"a":1}'] * 100)

    assert data[:4] == b"\x1f\x8b\x08\x00"  # deflate, no flags
    assert data[4:8] == b"\x00\x00\x00\x00"  # no time
    assert len(data) < 100
    assert data.count(b"\x1f\x8b\x08") == 1


@pytest.mark.parametrize("name", ["xml", "", "JSONL", "jsonl.bz2"])
def test_an_unknown_format_names_the_known_ones(name):
    with pytest.raises(SynthflowConfigError, match=r"jsonl, jsonl.gz"):
        check_format(name)
    with pytest.raises(SynthflowConfigError, match=r"jsonl, jsonl.gz"):
        open_writer(name, io.BytesIO())
