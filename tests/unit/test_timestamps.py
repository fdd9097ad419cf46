# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.timestamps import format_instant, instant_of_epoch, instant_of_iso, to_milliseconds

MIDNIGHT = 1_795_392_000_000  # 2026-11-23T00:00:00Z
UTC = dt.timezone.utc


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MIDNIGHT, MIDNIGHT),
        (0, 0),
        (-1, -1),
        (str(MIDNIGHT), MIDNIGHT),
        (f" +{MIDNIGHT}\n", MIDNIGHT),
        (dt.datetime(2026, 11, 23, tzinfo=UTC), MIDNIGHT),
        (dt.datetime(2026, 11, 23, 1, tzinfo=ZoneInfo("Europe/Berlin")), MIDNIGHT),
        (dt.datetime(2026, 11, 23, 0, 0, 0, 1999, tzinfo=UTC), MIDNIGHT + 1),
        (dt.datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC), -1),
        (pendulum.datetime(2026, 11, 22, 19, tz="America/New_York"), MIDNIGHT),
        ("2026-11-23T00:00:00Z", MIDNIGHT),
        ("2026-11-23T00:00Z", MIDNIGHT),
        ("20261123T000000Z", MIDNIGHT),
        ("2026-11-23 00:00:00Z", MIDNIGHT),
        ("2026-11-23T00:00:00+00:00", MIDNIGHT),
        ("2026-11-23T05:30:00+0530", MIDNIGHT),
        ("2026-11-22T19:00:00-05", MIDNIGHT),
        ("2026-11-23T00:00:00.001Z", MIDNIGHT + 1),
        ("2026-11-23T00:00:00.123456789Z", MIDNIGHT + 123),
        ("  2026-11-23T00:00:00Z ", MIDNIGHT),
    ],
    ids=str,
)
def test_every_way_to_write_a_time_gives_its_utc_milliseconds(value, expected):
    assert to_milliseconds(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime(2026, 11, 23),  # noqa: DTZ001 - that is the point
        pendulum.naive(2026, 11, 23),
        "2026-11-23T00:00:00",
        "2026-11-23 00:00",
    ],
    ids=str,
)
def test_a_naive_time_is_refused_with_the_cure_and_never_guessed(value):
    with pytest.raises(ValueError, match=r"^to_date has no time zone: 2026-11-23T00:00:00\. Give an aware datetime"):
        to_milliseconds(value, name="to_date")


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        b"2026",
        [],
        {},
        dt.date(2026, 11, 23),
        dt.timedelta(1),
        "",
        "now",
        "None",
        "2026-11-23",
        "12:00",
        "P1D",
        "2026-02-30T00:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T00:00:00+99:99",
        "Mon, 23 Nov 2026 00:00:00 GMT",
        "1.5",
        "{{ ds }}",
    ],
    ids=repr,
)
def test_what_is_no_time_is_refused_with_the_cure(value):
    with pytest.raises(ValueError, match=r"from_date is not a time.*Give an aware datetime"):
        to_milliseconds(value, name="from_date")


@pytest.mark.parametrize(
    "value", [MIDNIGHT * 1000, -MIDNIGHT * 1000, str(MIDNIGHT * 1000), 10**30, "0001-01-01T00:00:00+14:00"], ids=str
)
def test_a_time_outside_of_the_calendar_such_as_microseconds_is_refused(value):
    with pytest.raises(ValueError, match="from_date is not a time: it is outside the years 1 to 9999"):
        to_milliseconds(value, name="from_date")


def test_a_refused_text_is_not_repeated_in_the_error():
    with pytest.raises(ValueError, match="not a time") as caught:
        to_milliseconds("+15550100001 is not a time")
    assert "555" not in str(caught.value)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (MIDNIGHT, "2026-11-23T00:00:00.000Z"),
        (MIDNIGHT + 7, "2026-11-23T00:00:00.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_three_decimals(milliseconds, text):
    assert format_instant(milliseconds) == text


@settings(deadline=None)
@given(st.integers(0, 253_402_300_799_999))
def test_what_is_written_reads_back_as_the_same_instant(milliseconds):
    text = format_instant(milliseconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)
    assert to_milliseconds(text) == instant_of_iso(text) == milliseconds


@settings(deadline=None)
@given(st.datetimes(timezones=st.timezones()))
def test_a_datetime_of_any_zone_is_cut_to_the_millisecond_it_lies_in(moment):
    epoch = dt.datetime(1970, 1, 1, tzinfo=UTC)
    try:
        found = to_milliseconds(moment)
    except ValueError:  # its zone carries it out of the calendar
        assert moment.year in {1, 9999}
        return
    assert dt.timedelta(0) <= (moment - epoch) - dt.timedelta(milliseconds=found) < dt.timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_776_876_567, 1_776_876_567_000),
        (Decimal("1776876567.837"), 1_776_876_567_837),
        (Decimal("1776876567.8379"), 1_776_876_567_837),
        (1_776_876_567_837, 1_776_876_567_837),
        (1_776_876_567_837_123, 1_776_876_567_837),
        (1_776_876_567_837_123_456, 1_776_876_567_837),
        (1, 1000),
        (10**11 - 1, (10**11 - 1) * 1000),
        (10**11, 10**11),
        (10**14 - 1, 10**14 - 1),
        (10**14, 10**11),
        (10**17 - 1, 10**14 - 1),
        (10**17, 10**11),
        (10**20 - 1, 10**14 - 1),
        (10**20, None),
        (0, None),
        (-1, None),
    ],
)
def test_the_size_of_a_number_tells_its_unit(value, expected):
    assert instant_of_epoch(value) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-04-22T16:49:27.837", 1_776_876_567_837),
        ("2026-04-22T16:49:27.837999", 1_776_876_567_837),
        ("2026-04-22T18:49:27.837+02:00", 1_776_876_567_837),
        ("2026-04-22 16:49:27", 1_776_876_567_000),
        ("2026-04-22", None),
        ("16:49:27", None),
        ("P1D", None),
        ("yesterday", None),
        ("2026-13-22T16:49:27", None),
        ("", None),
    ],
)
def test_the_date_times_of_the_api_are_utc_where_they_have_no_zone(text, expected):
    assert instant_of_iso(text) == expected


@settings(deadline=None)
@given(st.text() | st.from_regex(r"[0-9TZ:+. WP/-]{0,40}"))
@example("0001-01-01T00:00:00+14:00")
@example("9999-12-31T23:59:59-14:00")
@example("2026-W99-9T00:00")
def test_no_text_of_the_api_makes_reading_it_fail(text):
    found = instant_of_iso(text)
    assert found is None or isinstance(found, int)
