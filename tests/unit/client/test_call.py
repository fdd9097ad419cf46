# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.client.call import CallRow, decode_record, encode_record, read_call
from airflow_provider_synthflow.client.raw_json import mend_surrogates
from airflow_provider_synthflow.exceptions import SynthflowProtocolError

WHOLE = (
    b'{ "call_id":"a", "model_id":"m", "call_status":"completed", "start_time":"1776876567837", "telephony_start":{} ,'
    b'"duration":1.10,"big":123456789012345678901234567890,"name":"Gr\xc3\xbc\xc3\x9fe","new_field":[1,{"x":null}]}'
)


def test_a_row_holds_the_fields_that_are_looked_at_and_the_bytes_as_they_came():
    assert read_call(WHOLE) == CallRow("a", WHOLE, 1776876567837, final=True, status="completed", model_id="m")


def test_the_record_of_a_row_has_every_field_with_its_name_and_its_value():
    assert read_call(WHOLE).record() == {
        "call_id": "a",
        "model_id": "m",
        "call_status": "completed",
        "start_time": "1776876567837",
        "telephony_start": {},
        "duration": 1.1,
        "big": 123456789012345678901234567890,
        "name": "Grüße",
        "new_field": [1, {"x": None}],
    }
    assert list(read_call(WHOLE).record())[:2] == ["call_id", "model_id"]


@pytest.mark.parametrize("half", [b"", b'"t":"\\ud83d",'])
def test_a_record_that_is_nested_too_deeply_to_be_decoded_is_a_typed_error_with_its_cure(half):
    deep = b'{%b"x":%b}' % (half, b"[" * 300_000 + b"]" * 300_000)

    with pytest.raises(SynthflowProtocolError, match="Write the calls into a file"):
        CallRow("a", deep).record()


@pytest.mark.parametrize(
    ("call_id", "expected"),
    [(b'"a"', "a"), (b"5", "5"), (b"123456789012345678901234", "123456789012345678901234"), (b'"\\u00e9"', "é")],
)
def test_an_id_is_a_text_whatever_it_is_on_the_wire(call_id, expected):
    assert read_call(b'{"call_id":' + call_id + b"}").call_id == expected


@pytest.mark.parametrize("raw", [b"{}", b'{"call_id":null,"x":1}', b'{"call_id":"","x":1}', b'{"x":"\\ud83d"}'])
def test_a_record_without_an_id_is_known_by_its_bytes(raw):
    row = read_call(raw)
    assert row.call_id == "sha256:" + hashlib.sha256(raw).hexdigest()
    assert row == read_call(raw)
    assert row.call_id != read_call(raw + b" ").call_id


@pytest.mark.parametrize(
    "raw",
    [
        b'{"call_id":"a","transcript":"cut \\ud83d"}',
        b'{"call_id":"a","transcript":"\\udc00\\ud800"}',
        b'{"call_id":"a","x":{"y":["\\ud83d\\u0041"]}}',
        b'{"call_id":"a","\\ud83d":1}',
        b'{"call_id":"a","x":1e999}',
        b'{"call_id":"a","call_status":"\\ud83d"}',
    ],
)
def test_what_json_allows_and_msgspec_does_not_is_read_all_the_same(raw):
    row = read_call(raw)
    assert (row.call_id, row.raw) == ("a", raw)
    assert row.record() == json.loads(mend_surrogates(raw))


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"a"', b"null", b"", b'{"a":', b'["\\ud83d"]', b'{"a":NaN}'])
@pytest.mark.parametrize("read", [read_call, decode_record])
def test_what_is_no_json_object_is_an_error(read, raw):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever decoder
        read(raw)


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63 - 1, 2**64 - 1, 10**29, -(10**29)])
def test_an_integer_of_any_size_stays_exact(number):
    record = decode_record(b'{"n":%d}' % number)
    assert record == {"n": number}
    assert encode_record(record) == b'{"n":%d}' % number


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"b": 1, "a": "Grüße"}, '{"b":1,"a":"Grüße"}'.encode()),
        ({"a": "x\ny"}, b'{"a":"x\\ny"}'),
        ({"a": "\ud83d", "b": [1, 2]}, b'{"a":"\\ud83d","b":[1,2]}'),
        ({"\ud83d": None}, b'{"\\ud83d":null}'),
    ],
)
def test_a_record_is_written_on_one_line_without_blanks(record, expected):
    assert encode_record(record) == expected


def test_a_row_cannot_be_changed():
    with pytest.raises(AttributeError):
        read_call(WHOLE).call_id = "b"


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def mended(value):
    """Return a value in whose texts the halves of surrogate pairs that belong together are one, and others U+FFFD."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, dict):
        return {name: mended(each) for name, each in value.items()}
    return [mended(each) for each in value] if isinstance(value, list) else value


@settings(deadline=None)
@example({"halves": "\ud800", "a pair": ["\ud83d\ude00", "\ude00\ud83d"]})
@given(st.dictionaries(st.text(), values))
def test_any_record_survives_writing_and_reading_but_for_halves_of_surrogate_pairs(record):
    raw = encode_record(record)
    assert b"\n" not in raw
    assert decode_record(raw) == mended(record)
