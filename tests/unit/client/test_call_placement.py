# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.client.call import read_call
from airflow_provider_synthflow.timestamps import read_instant

T = 1_776_876_567_837  # 2026-04-22T16:49:27.837Z
LEGACY = f"{T}x123456789012345678"


def start_of(**fields):
    return read_call(json.dumps({"call_id": "c", **fields}).encode()).started_ms


@pytest.mark.parametrize(
    "value",
    [
        str(T),
        T,
        float(T),
        f"{T}.25",
        1_776_876_567.837,
        "1776876567.837",
        "1776876567.8370000000",
        "1.776876567837e12",
        "1.776876567837E+12",
        T * 1000 + 999,
        T * 1_000_000 + 999_999,
        "1.776876567837123456e18",
        float(T * 1_000_000 + 123_456),
        f" {T} ",
        "2026-04-22T16:49:27.837",
        "2026-04-22T16:49:27.837Z",
        "2026-04-22T18:49:27.837+02:00",
        "2026-04-22 16:49:27.837",
    ],
    ids=repr,
)
def test_a_start_is_read_to_the_millisecond_however_it_is_written(value):
    assert read_instant(value) == T


@pytest.mark.parametrize(
    "value",
    [
        *[None, True, False, "", " ", "null", "soon", {}, {"$date": T}, [T], b"1", "2026-04-22", "16:49", "P1D"],
        *[0, "0", 0.0, -T, f"-{T}", -1.5, 1e-7, "1e99", 10**25, "9" * 30, float("nan"), float("inf"), float("-inf")],
    ],
    ids=repr,
)
def test_what_is_no_time_places_nothing(value):
    assert read_instant(value) is None


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"start_time": str(T), "telephony_start": "2026-04-22T16:49:29"}, T),
        ({"start_time": str(T), "call_id": "1700000000000x1"}, T),
        ({"start_time": None, "telephony_start": "2026-04-22T16:49:27.837"}, T),
        ({"telephony_start": "2026-04-22T16:49:27.837", "call_id": "1700000000000x1"}, T),
        ({"start_time": "", "telephony_start": {}, "call_id": LEGACY}, T),
        ({"start_time": "soon", "call_id": LEGACY}, T),
        ({"call_id": LEGACY}, T),
        ({}, None),
        ({"start_time": None, "telephony_start": {}}, None),
        ({"call_id": "5f3c1f0a-6f0d-4d0e-9c55-2f6a1b0c7d11"}, None),
        ({"call_id": f"{T}"}, None),
        ({"call_id": f"{T}x"}, None),
        ({"call_id": f"a{T}x1"}, None),
        ({"call_id": f"{T}x1a"}, None),
        ({"call_id": "0000000000000x1"}, None),
    ],
)
def test_start_time_decides_then_telephony_start_then_a_legacy_id(fields, expected):
    assert start_of(**fields) == expected


@settings(deadline=None)
@given(st.integers(10**11, 10**14 - 1))
def test_an_instant_in_milliseconds_is_read_as_itself_from_number_and_text(milliseconds):
    assert (
        read_instant(milliseconds)
        == read_instant(str(milliseconds))
        == read_instant(float(milliseconds))
        == (milliseconds)
    )


@settings(deadline=None)
@given(st.integers(10**9 * 1000, 4 * 10**9 * 1000))
def test_seconds_with_decimals_lose_no_millisecond_also_as_a_float(milliseconds):
    text = f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
    assert read_instant(text) == read_instant(float(text)) == milliseconds


@settings(deadline=None)
@given(st.text() | st.floats() | st.integers() | st.from_regex(r"[0-9]{1,25}(\.[0-9]{0,25})?([eE][+-]?[0-9]{0,3})?"))
def test_nothing_that_the_api_may_send_makes_reading_it_fail(value):
    found = read_instant(value)
    assert found is None or (isinstance(found, int) and not isinstance(found, bool))


@pytest.mark.parametrize("text", ["2026-11-23T16:49:27-8376", "2026-11-23T16:49:27+99:99", "0000-00-00T00:00:00Z"])
def test_a_malformed_time_is_no_time_and_the_next_field_decides(text):
    row = read_call(b'{"call_id":"a","start_time":"%s","telephony_start":"2026-11-23T02:00:00.123"}' % text.encode())

    assert row.started_ms == read_instant("2026-11-23T02:00:00.123")
