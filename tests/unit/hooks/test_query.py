# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
import itertools

import pytest

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.hooks.query import read_query

T = 1_795_392_000_000  # 2026-11-23T00:00:00Z
ALL = {"call_status": "completed", "duration_min": 5, "duration_max": 60, "lead_phone_number": "+15550100001"}


def test_all_that_is_given_is_sent_under_the_names_of_the_api():
    query = read_query("agent", from_date=T, to_date="2026-11-24T00:00:00Z", **ALL)
    assert query.parameters(100, 200) == {
        "model_id": "agent",
        "limit": "100",
        "offset": "200",
        "from_date": str(T),
        "to_date": str(T + 86_400_000),
        "call_status": "completed",
        "duration_min": "5",
        "duration_max": "60",
        "lead_phone_number": "+15550100001",
    }


def test_what_is_not_given_is_not_sent():
    assert read_query("agent").parameters(20, 0) == {"model_id": "agent", "limit": "20", "offset": "0"}


def test_zero_is_a_bound_and_a_duration_like_any_other():
    parameters = read_query("agent", from_date=0, duration_min=0).parameters(1, 0)
    assert (parameters["from_date"], parameters["duration_min"]) == ("0", "0")


@pytest.mark.parametrize(
    "moment", [T, str(T), "2026-11-23T01:00:00+01:00", dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)], ids=str
)
def test_bounds_are_sent_as_epoch_milliseconds_however_they_are_written(moment):
    query = read_query("agent", from_date=moment, to_date=moment)
    assert query.from_ms == query.to_ms == T


@pytest.mark.parametrize("name", ["from_date", "to_date"])
@pytest.mark.parametrize("value", ["", "2026-11-23T00:00:00", dt.datetime(2026, 11, 23), "today"])  # noqa: DTZ001
def test_a_bound_that_is_no_time_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f"^{name} "):
        read_query("agent", **{name: value})


@pytest.mark.parametrize(
    ("model_id", "text"),
    [
        *((value, "model_id is missing") for value in (None, "", "  ", 5.0, True, [])),
        *((value, "one agent here, not a list") for value in (["agent"], ("a", "b"), "['agent']")),
    ],
)
def test_what_names_no_agent_or_several_is_an_error(model_id, text):
    with pytest.raises(ValueError, match=text):
        read_query(model_id)


def test_an_id_is_taken_without_the_blanks_around_it():
    assert read_query(" agent\n").model_id == "agent"


def test_numbers_as_a_template_renders_them_are_taken_for_the_texts_they_are():
    query = read_query(17, lead_phone_number=14155550100)

    assert (query.model_id, query.lead_phone_number) == ("17", "+14155550100")
    assert query.parameters(1, 0)["lead_phone_number"] == "+14155550100"


@pytest.mark.parametrize("name", ["call_status", "duration_min", "duration_max", "lead_phone_number"])
@pytest.mark.parametrize("value", ["", "  ", None])
def test_an_empty_filter_as_a_template_renders_it_is_none(name, value):
    query = read_query("agent", **{name: value})
    assert query.filters() == {}
    assert name not in query.parameters(1, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("call_status", 5),
        *itertools.product(
            ["call_status", "lead_phone_number"], [-5, 5.0, True, ["completed", "failed"], {"completed"}]
        ),
    ],
)
def test_a_filter_that_is_not_one_text_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a string"):
        read_query("agent", **{name: value})


@pytest.mark.parametrize("name", ["duration_min", "duration_max"])
@pytest.mark.parametrize(("value", "seconds"), [(0, 0), (7, 7), ("7", 7), (" 7 ", 7), (7.0, 7)])
def test_a_duration_is_whole_seconds(name, value, seconds):
    assert read_query("agent", **{name: value}).filters() == {name: seconds}


@pytest.mark.parametrize("name", ["duration_min", "duration_max"])
@pytest.mark.parametrize(
    "value", [-1, 1.5, "1.5", "long", True, float("nan"), float("inf"), [7], dt.timedelta(seconds=7)], ids=repr
)
def test_a_duration_that_is_no_whole_number_is_an_error_that_names_it(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a whole number of seconds"):
        read_query("agent", **{name: value})


def test_other_bounds_change_nothing_else():
    query = read_query("agent", from_date=T, to_date=T + 1, **ALL)
    other = query.between(5, None)
    assert other == CallsQuery("agent", from_ms=5, to_ms=None, **ALL)
    assert query.from_ms == T
    assert other.filters() == query.filters() == ALL
