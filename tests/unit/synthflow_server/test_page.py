# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.synthflow_server import Behaviour, SynthflowApi
from tests.unit.synthflow_server.asking import ask, ids, make_call, page

CALLS = [make_call(f"c{n:03}", -n) for n in range(150)]  # newest first is the order of the ids


def api_of(**switches):
    return SynthflowApi(CALLS, behaviour=Behaviour(**switches))


def names(first, last):
    return [f"c{n:03}" for n in range(first, last)]


# --- limit and offset


def test_a_page_has_twenty_rows_by_default():
    assert ids(api_of()) == names(0, 20)
    assert ids(api_of(default_limit=3)) == names(0, 3)


def test_offset_counts_rows_from_zero():
    assert ids(api_of(), limit=7, offset=3) == names(3, 10)
    assert ids(api_of(), limit=100, offset=100) == names(100, 150)


@pytest.mark.parametrize("limit", [101, 1000, 0, -1])
def test_a_limit_out_of_range_is_an_error(limit):
    answer = ask(api_of(), limit=limit)
    assert answer.status == 400
    assert answer.json()["detail"]["description"] == "Limit must be between 1 and 100."


def test_too_large_a_limit_can_be_clamped():
    assert ids(api_of(over_limit="clamp", limit_cap=10), limit=1000) == names(0, 10)


def test_a_negative_offset_is_an_error():
    assert ask(api_of(), offset=-1).status == 400


@pytest.mark.parametrize("name", ["limit", "offset", "from_date", "to_date", "duration_min", "duration_max"])
@pytest.mark.parametrize("text", ["abc", "", "1.5", "2026-11-23T00:00:00Z", str(2**63), "²"])
def test_what_is_no_integer_is_422(name, text):
    answer = ask(api_of(), **{name: text})
    assert answer.status == 422
    assert answer.json()["detail"][0]["loc"] == ["query", name]


def test_a_missing_agent_is_422():
    assert ask(api_of(), model_id="").json()["detail"][0]["loc"] == ["query", "model_id"]


def test_a_page_can_be_silently_shorter():
    response = page(api_of(max_rows=25), limit=100)
    assert len(response["calls"]) == 25
    assert response["pagination"] == {"total_records": 150, "limit": 100, "offset": 0}


@pytest.mark.parametrize(("echo", "told"), [("asked", 100), ("actual", 25), ("absent", None)])
def test_the_limit_is_echoed_as_it_is_told_to(echo, told):
    assert page(api_of(max_rows=25, echo_limit=echo), limit=100)["pagination"].get("limit") == told


@pytest.mark.parametrize(("echo", "told"), [("asked", 40), ("actual", 0), ("absent", None)])
def test_an_ignored_offset_is_echoed_as_it_is_told_to(echo, told):
    response = page(api_of(ignore_offset=True, echo_offset=echo), offset=40)
    assert [row["call_id"] for row in response["calls"]] == names(0, 20)
    assert response["pagination"].get("offset") == told


@pytest.mark.parametrize(("switch", "status"), [("error400", 400), ("error404", 404)])
def test_an_offset_behind_the_last_row_can_be_an_error(switch, status):
    assert ask(api_of(offset_past_end=switch), offset=150).status == status
    assert ask(api_of(offset_past_end=switch), offset=149).status == 200
    assert ask(api_of(offset_past_end=switch), offset=0, from_date=2**60).status == 200


def test_an_offset_behind_the_last_row_gives_an_empty_page_or_the_last_one():
    assert ids(api_of(), offset=150) == []
    assert ids(api_of(offset_past_end="last_page"), limit=100, offset=200) == names(100, 150)


# --- the envelope


def test_the_envelope_is_as_documented():
    answer = ask(api_of(), limit=1)
    assert answer.headers["Content-Type"] == "application/json"
    assert list(answer.json()) == ["status", "response"]
    assert answer.json()["status"] == "ok"
    assert page(api_of(), limit=1)["pagination"] == {"total_records": 150, "limit": 1, "offset": 0}


def test_the_word_of_the_envelope_can_be_another():
    assert ask(api_of(status_word="success")).json()["status"] == "success"


def test_pagination_can_be_absent():
    assert list(page(api_of(pagination="absent"))) == ["calls"]


def test_the_envelope_can_be_the_calls_alone():
    assert list(ask(api_of(envelope="calls")).json()) == ["calls"]
    assert len(ask(api_of(envelope="list")).json()) == 20


def test_the_envelope_can_be_nested_twice():
    assert len(ask(api_of(envelope="nested")).json()["response"]["response"]["calls"]) == 20


@pytest.mark.parametrize(
    ("switches", "told"),
    [
        ({}, 150),
        ({"total": "capped", "total_cap": 100}, 100),
        ({"total": "off_by", "total_off_by": -2}, 148),
        ({"total": "page"}, 20),
        ({"total": "absent"}, None),
        ({"total_as": "string"}, "150"),
    ],
)
def test_the_total_is_told_as_it_is_told_to(switches, told):
    assert page(api_of(**switches))["pagination"].get("total_records") == told


def test_the_total_counts_what_matches_the_filters():
    assert page(api_of(), call_status="busy")["pagination"]["total_records"] == 0
