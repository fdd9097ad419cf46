# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import datetime as dt
import pickle

import pytest

from airflow_provider_synthflow.exceptions import SynthflowWindowError
from airflow_provider_synthflow.window import Window

FROM, TO = 1_795_392_000_000, 1_795_478_400_000  # 2026-11-23 and 2026-11-24
DAY = Window(FROM, TO)


@pytest.mark.parametrize(
    ("instant", "inside"),
    [(FROM - 1, False), (FROM, True), (FROM + 1, True), (TO - 1, True), (TO, False), (TO + 1, False)],
)
def test_a_window_has_its_first_millisecond_and_not_the_one_after_its_last(instant, inside):
    assert (instant in DAY) is inside


def test_two_adjacent_windows_share_no_instant_and_leave_none_out():
    next_day = Window(TO, TO + 86_400_000)
    for instant in range(TO - 2, TO + 3):
        assert (instant in DAY) + (instant in next_day) == 1


@pytest.mark.parametrize(("start", "end"), [(FROM, FROM), (TO, FROM)], ids=["empty", "reversed"])
def test_an_empty_or_reversed_window_is_an_error_that_names_both_bounds(start, end):
    with pytest.raises(SynthflowWindowError) as caught:
        Window(start, end)
    assert "from_date 2026-11-2" in str(caught.value)
    assert "to_date 2026-11-23T00:00:00.000Z" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        DAY,
        (FROM, TO),
        [FROM, str(TO)],
        ("2026-11-23T00:00:00Z", dt.datetime(2026, 11, 24, tzinfo=dt.timezone.utc)),
        {"from_date": "2026-11-23T00:00:00.000Z", "to_date": TO, "count": 7},
    ],
    ids=["window", "pair", "list", "texts", "mapping"],
)
def test_whatever_names_a_window_gives_it(value):
    assert Window.coerce(value) == DAY


@pytest.mark.parametrize("value", [None, 5, "2026-11-23", (FROM,), (FROM, TO, 0), {"from_date": FROM}, {}, {FROM, TO}])
def test_what_does_not_name_a_window_is_an_error_that_tells_what_does(value):
    with pytest.raises(ValueError, match=r"a pair \(from_date, to_date\)"):
        Window.coerce(value)


def test_a_naive_bound_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"^to_date has no time zone"):
        Window.of(FROM, "2026-11-24T00:00:00")


def test_its_bounds_read_as_aware_datetimes_and_as_iso_texts():
    window = Window(FROM + 1, TO)
    assert window.from_date == dt.datetime(2026, 11, 23, 0, 0, 0, 1000, tzinfo=dt.timezone.utc)
    assert window.to_date == dt.datetime(2026, 11, 24, tzinfo=dt.timezone.utc)
    assert window.from_date.utcoffset() == dt.timedelta(0)
    assert (window.from_iso, window.to_iso) == ("2026-11-23T00:00:00.001Z", "2026-11-24T00:00:00.000Z")
    assert str(window) == "[2026-11-23T00:00:00.001Z, 2026-11-24T00:00:00.000Z)"
    assert Window.of(window.from_date, window.to_iso) == window


def test_windows_sort_by_time_are_hashable_and_picklable():
    later = Window(TO, TO + 1)
    assert sorted({later, DAY, Window(FROM, TO)}) == [DAY, later]
    assert pickle.loads(pickle.dumps(DAY)) == DAY  # noqa: S301 - our own bytes
