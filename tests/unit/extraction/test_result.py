# SPDX-License-Identifier: Apache-2.0
"""A result tells the numbers of its window, and fits into XCom or is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.result import WindowResult, make_result, with_calls
from airflow_provider_synthflow.hooks.query import read_query
from airflow_provider_synthflow.window import Window
from tests.unit.making import AGENT, FROM, FROM_MS, TO, TO_MS

BOUNDLESS = 10**9


def extraction(**numbers: Any) -> WindowResult:
    ordinary = {
        "count": 3, "unsettled": 1, "not_started": 2, "unplaced": 0, "total_records": 9, "pages": 4, "requests": 6,
        "walks": 2,
    }  # fmt: skip
    return WindowResult(**{**ordinary, **numbers})


def plan(**filters: Any) -> WindowPlan:
    return WindowPlan(Window(FROM_MS, TO_MS), read_query(AGENT, **filters), 0)


def told(records: list[bytes], max_bytes: int = BOUNDLESS) -> dict[str, Any]:
    return with_calls({"count": len(records)}, records, sum(map(len, records)), max_bytes)


class TestNumbers:
    def test_are_those_of_the_extraction(self):
        result = make_result(plan(call_status="busy", duration_min=3), extraction())

        assert result.pop("extracted_at").endswith("Z")
        assert result == {
            "model_id": AGENT,
            "from_date": FROM,
            "to_date": TO,
            "count": 3,
            "unsettled": 1,
            "not_started": 2,
            "total_records": 9,
            "asked": {"from_date": FROM_MS - 1000, "to_date": TO_MS + 60_000},
            "query": {"call_status": "busy", "duration_min": 3},
            "pages": 4,
            "requests": 6,
            "walks": 2,
            "changed": True,
            "provider_version": __version__,
        }

    def test_tell_no_total_where_none_was_declared(self):
        assert make_result(plan(), extraction(total_records=None))["total_records"] is None

    @pytest.mark.parametrize("name", ["repeated", "mended", "mismatched"])
    def test_tell_what_is_odd_only_where_there_is_some(self, name):
        assert make_result(plan(), extraction(**{name: 2}))[name] == 2
        assert name not in make_result(plan(), extraction())

    def test_mark_calls_without_a_start_where_there_are_some(self):
        assert make_result(plan(), extraction(unplaced=2))["unplaced"] == 2
        assert "unplaced" not in make_result(plan(), extraction(unplaced=0))

    def test_are_plain_values(self):
        result = make_result(plan(), extraction(unplaced=1))

        assert json.loads(json.dumps(result)) == result


class TestCalls:
    def test_stand_in_the_result_in_their_order(self):
        assert told([b'{"a":1}', b'{"b":"\\u00fc"}']) == {"count": 2, "calls": [{"a": 1}, {"b": "ü"}]}

    def test_leave_the_given_result_as_it_was(self):
        given = {"count": 0}

        with_calls(given, [], 0, BOUNDLESS)

        assert given == {"count": 0}

    @pytest.mark.parametrize(
        ("record", "call"),
        [
            (b'{"a":"x\\u0000y"}', {"a": "x\ufffdy"}),
            (b'{"a\\u0000":1}', {"a\ufffd": 1}),
            (b'{"a":["\\u0000",{"\\u0000":["\\u0000"]}]}', {"a": ["\ufffd", {"\ufffd": ["\ufffd"]}]}),
            (b'{"a":"\\\\u0000"}', {"a": "\\u0000"}),
            (b'{"a":"{\\"b\\":\\"\\\\u0000\\"}"}', {"a": '{"b":"\\u0000"}'}),
            (b'{"a":1,"b":1.5,"c":null,"d":true,"e":"\\u0000"}',
             {"a": 1, "b": 1.5, "c": None, "d": True, "e": "\ufffd"}),
        ],
        ids=["value", "name", "nested", "escaped backslash", "JSON in a text", "other kinds"],
    )  # fmt: skip
    def test_hold_a_mark_in_place_of_each_nul(self, record, call):
        assert told([record])["calls"] == [call]


class TestSize:
    RECORDS = (b'{"a":"%s"}' % (b"x" * 50),) * 10

    def encoded(self) -> int:
        return len(json.dumps(told(list(self.RECORDS)), separators=(",", ":")).encode())

    def test_is_that_of_the_encoded_result(self):
        size = self.encoded()

        assert told(list(self.RECORDS), size)["count"] == 10
        with pytest.raises(SynthflowConfigError) as caught:
            told(list(self.RECORDS), size - 1)
        assert f"10 calls and {size} bytes" in str(caught.value)
        assert "Set output_path" in str(caught.value)

    def test_counts_bytes_and_not_characters(self):
        record = '{"a":"日本"}'.encode()

        with pytest.raises(SynthflowConfigError):
            told([record] * 10, len('{"count":10,"calls":[]}') + 10 * len('{"a":"日本"},'))

    def test_that_is_far_too_large_is_not_even_decoded(self):
        def untouchable():
            pytest.fail("a record was read")
            yield b""

        with pytest.raises(SynthflowConfigError, match="1000000 bytes, more than max_xcom_bytes \\(1000\\)"):
            with_calls({"count": 5}, untouchable(), 1_000_000, 1000)


@pytest.mark.parametrize(
    ("record", "value"),
    [
        (b'{"n":1e400}', {"n": "1e400"}),
        (b'{"n":-1e400}', {"n": "-1e400"}),
        (b'{"n":9223372036854775808}', {"n": "9223372036854775808"}),
        (b'{"n":-9223372036854775808}', {"n": -(2**63)}),
        (b'{"n":123456789012345678901234567890}', {"n": "123456789012345678901234567890"}),
        (b'{"n":1.5,"m":3}', {"n": 1.5, "m": 3}),
        (b'{"t":"half \\ud83d of a pair"}', {"t": "half \N{REPLACEMENT CHARACTER} of a pair"}),
        (b'{"t":["\\u0000",{"\\u0000":1}]}', {"t": ["\N{REPLACEMENT CHARACTER}", {"\N{REPLACEMENT CHARACTER}": 1}]}),
        (b'{"t":"whole \\ud83d\\ude00 pair"}', {"t": "whole 😀 pair"}),
    ],
)
def test_what_airflow_refuses_in_xcom_is_written_so_that_it_does_not(record, value):
    result = told([record])

    assert result["calls"] == [value]
    json.dumps(result, allow_nan=False).encode("utf-8")


@pytest.mark.parametrize("depth", [50, 150, 800])
def test_what_is_nested_deeper_than_airflow_can_follow_stays_in_xcom_as_its_text(depth):
    deep = "[" * depth + '"\\u0000]"' + "]" * depth
    record = f'{{"call_id":"a","executed_actions":{deep},"duration":5}}'.encode()

    (call,) = with_calls({"count": 1}, [record], len(record), 10**6)["calls"]

    assert (call["call_id"], call["duration"]) == ("a", 5)
    assert call["executed_actions"] == deep if depth > 100 else isinstance(call["executed_actions"], list)
