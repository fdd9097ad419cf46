# SPDX-License-Identifier: Apache-2.0
"""Every run of a schedule reads its own stretch of time, and together they read all of it once."""

from __future__ import annotations

import datetime as dt
import importlib
import itertools
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pendulum
import pytest
from airflow.providers.common.compat.sdk import Asset
from airflow.timetables import interval as core_interval
from airflow.timetables import trigger as core_trigger
from airflow.timetables.base import DataInterval, TimeRestriction, Timetable
from airflow.timetables.simple import ContinuousTimetable, NullTimetable, OnceTimetable
from dateutil.relativedelta import MO, relativedelta
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowWindowError
from airflow_provider_synthflow.window import Window
from airflow_provider_synthflow.window.run import RunWindows, windows_of_run
from airflow_provider_synthflow.window.timetable import CronSchedule, utc
from tests.effort import count_examples
from tests.versions import AIRFLOW, needs_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    from airflow.sdk.definitions.timetables import assets as sdk_assets
    from airflow.sdk.definitions.timetables import interval as sdk_interval
    from airflow.sdk.definitions.timetables import trigger as sdk_trigger
except ImportError:  # before Airflow 3.2 the task sees the core's timetables
    sdk_assets = sdk_interval = sdk_trigger = None

TRIGGERS = [pytest.param(core_trigger, id="core")]
INTERVALS = [pytest.param(core_interval, id="core")]
if sdk_trigger is not None:
    TRIGGERS.append(pytest.param(sdk_trigger, id="sdk"))
    INTERVALS.append(pytest.param(sdk_interval, id="sdk"))

needs_multiple = needs_airflow("3.0", "MultipleCronTriggerTimetable")
needs_partitions = needs_airflow("3.2", "runs with a partition date")

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def at(text: str) -> pendulum.DateTime:
    return pendulum.instance(dt.datetime.fromisoformat(text).astimezone(dt.timezone.utc))


def context(
    timetable: Any,
    moment: str | dt.datetime | None = None,
    *,
    run_type: str = "scheduled",
    interval: tuple[str, str] | None = None,
    start_date: dt.datetime | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Make a context as Airflow 3 gives it: a moment makes a zero-length interval, None leaves its keys out."""
    if isinstance(moment, str):
        moment = at(moment)
    dates: dict[str, Any] = {}
    if moment is not None:
        dates = {"data_interval_start": moment, "data_interval_end": moment, "logical_date": moment}
    if interval is not None:
        start, end = map(at, interval)
        dates = {"data_interval_start": start, "data_interval_end": end, "logical_date": start}
    run = {"data_interval_start": None, "data_interval_end": None, "logical_date": None, "run_after": None}
    run.update(dates)
    for name in ("run_after", "partition_date", "partition_key"):
        if name in more:
            run[name] = more.pop(name)
    dag = SimpleNamespace(timetable=timetable, start_date=start_date)
    return {"dag": dag, "dag_run": SimpleNamespace(run_type=run_type, **run), **dates, **more}


def only(result: RunWindows) -> tuple[str, str]:
    """Return the bounds of the one window, without their milliseconds."""
    assert not result.many
    (window,) = result.windows
    return window.from_iso.replace(".000", ""), window.to_iso.replace(".000", "")


def scheduled_ticks(timetable: Timetable, start: dt.datetime) -> Iterator[dt.datetime]:
    """Yield the ticks that the scheduler makes from a start date, as it does when it catches up."""
    restriction = TimeRestriction(earliest=pendulum.instance(start), latest=None, catchup=True)
    last = None
    while True:
        info = timetable.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = DataInterval.exact(info.data_interval.end)
        yield info.data_interval.end


class TestExplicitBounds:
    @pytest.mark.parametrize("nothing", [None, {}])
    def test_need_no_context(self, nothing):
        result = windows_of_run(nothing, from_date="2026-11-23T00:00:00Z", to_date=1795478400000)

        assert result == RunWindows((Window(1795392000000, 1795478400000),), many=False)

    def test_leave_the_context_alone(self):
        class Untouchable(dict):
            def get(self, *_):
                pytest.fail("the context was read")

            __getitem__ = get

        windows_of_run(Untouchable(), from_date=0, to_date=1)

    @pytest.mark.parametrize(
        "start",
        [
            dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc),
            pendulum.datetime(2026, 11, 23, 1, tz="Europe/Berlin"),
            "2026-11-23 00:00:00+00:00",
            " 2026-11-23T01:00:00+01:00 ",
            "1795392000000",
            1795392000000,
        ],
    )
    def test_are_taken_in_every_form_that_a_template_renders(self, start):
        assert windows_of_run(None, from_date=start, to_date=1795392000001).windows[0].from_ms == 1795392000000

    def test_win_over_the_data_interval(self):
        run = context(None, interval=("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"))

        assert only(windows_of_run(run, from_date=0, to_date=1)) == ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.001Z")

    @pytest.mark.parametrize("nothing", [None, "", "  ", "None"])
    def test_need_one_another(self, nothing):
        with pytest.raises(SynthflowWindowError, match=r"from_date is given and to_date is not\. Give both"):
            windows_of_run({}, from_date=0, to_date=nothing)
        with pytest.raises(SynthflowWindowError, match=r"to_date is given and from_date is not\. Give both"):
            windows_of_run({}, from_date=nothing, to_date=0)

    @pytest.mark.parametrize("nothing", ["", "None", " None "])
    def test_rendered_from_none_count_as_not_given(self, nothing):
        run = context(None, interval=("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"))

        assert only(windows_of_run(run, from_date=nothing, to_date=nothing)) == (
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
        )

    @pytest.mark.parametrize(
        ("bound", "why"),
        [
            (dt.datetime(2026, 1, 1), "from_date has no time zone"),  # noqa: DTZ001
            ("2026-01-01T00:00:00", "from_date has no time zone"),
            ("2026-01-01", "from_date is not a time"),
            ("yesterday", "from_date is not a time"),
            (1.5, "from_date is not a time"),
            (10**18, "milliseconds since 1970"),
        ],
    )
    def test_that_are_no_instants_are_refused(self, bound, why):
        with pytest.raises(SynthflowWindowError, match=why):
            windows_of_run(None, from_date=bound, to_date=2**42)

    @pytest.mark.parametrize("end", [5, 4])
    def test_that_are_empty_or_reversed_are_refused(self, end):
        with pytest.raises(SynthflowWindowError, match="empty or reversed"):
            windows_of_run(None, from_date=5, to_date=end)


class TestDataInterval:
    def test_is_the_window_where_it_is_longer_than_zero(self):
        run = context(object(), interval=("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00"))

        result = windows_of_run(run)

        assert only(result) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")

    def test_is_found_on_the_run_where_the_context_lacks_its_keys(self):
        run = context(None, interval=("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"))

        assert only(windows_of_run({"dag_run": run["dag_run"]})) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")

    def test_that_is_reversed_is_refused(self):
        run = context(None, interval=("2026-01-02T00:00:00+00:00", "2026-01-01T00:00:00+00:00"))

        with pytest.raises(SynthflowWindowError, match="empty or reversed"):
            windows_of_run(run)


class TestCronSchedule:
    @pytest.mark.parametrize("trigger", TRIGGERS)
    @pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
    def test_a_run_at_a_tick_reads_the_period_that_ends_there(self, trigger, run_type):
        timetable = trigger.CronTriggerTimetable("0 0 * * *", timezone="Europe/Berlin")

        result = windows_of_run(context(timetable, "2026-03-30T00:00:00+02:00", run_type=run_type))

        assert only(result) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")  # 23 hours

    @needs_airflow("3.0", "run_immediately of cron timetables")
    @pytest.mark.parametrize("trigger", TRIGGERS)
    def test_presets_and_options_of_the_timetable_change_nothing(self, trigger):
        timetable = trigger.CronTriggerTimetable("@daily", timezone="UTC", run_immediately=True)

        assert only(windows_of_run(context(timetable, "2026-01-02T00:00:00+00:00")))[0] == "2026-01-01T00:00:00Z"

    @pytest.mark.parametrize("intervals", INTERVALS)
    def test_an_old_run_without_length_is_mended_after_a_change_of_timetable(self, intervals):
        timetable = intervals.CronDataIntervalTimetable("@daily", "UTC")

        assert only(windows_of_run(context(timetable, "2026-01-02T00:00:00+00:00"))) == (
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
        )

    @pytest.mark.parametrize("trigger", TRIGGERS)
    def test_a_manual_run_reads_the_last_complete_period_before_its_logical_date(self, trigger):
        timetable = trigger.CronTriggerTimetable("0 0 * * *", timezone="Europe/Berlin")
        run = context(timetable, "2026-10-26T13:37:01.234567+01:00", run_type="manual")

        assert only(windows_of_run(run)) == ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z")  # 25 hours

    @pytest.mark.parametrize("intervals", INTERVALS)
    def test_a_manual_run_without_a_logical_date_goes_by_its_run_after(self, intervals):
        timetable = intervals.CronDataIntervalTimetable("@daily", "UTC")
        run = context(timetable, run_type="manual", run_after=at("2026-10-26T13:37:00+00:00"))

        assert only(windows_of_run(run)) == ("2026-10-25T00:00:00Z", "2026-10-26T00:00:00Z")

    def test_the_logical_date_counts_where_the_command_line_gave_the_run_an_interval_that_ends_now(self):
        timetable = core_trigger.CronTriggerTimetable("@daily", timezone="UTC")
        run = context(timetable, "2026-11-24T12:34:56+00:00", run_type="manual")
        run["logical_date"] = at("2026-10-27T00:00:00+00:00")

        assert only(windows_of_run(run)) == ("2026-10-26T00:00:00Z", "2026-10-27T00:00:00Z")

    def test_a_manual_run_a_moment_before_a_tick_does_not_read_up_to_it(self):
        timetable = core_trigger.CronTriggerTimetable("0 * * * *", timezone="UTC")
        run = context(timetable, "2026-01-01T11:59:59.999999+00:00", run_type="manual")

        assert only(windows_of_run(run)) == ("2026-01-01T10:00:00Z", "2026-01-01T11:00:00Z")

    @pytest.mark.parametrize("trigger", TRIGGERS)
    def test_a_manual_run_of_a_timetable_with_an_interval_reads_the_same_as_the_last_tick(self, trigger):
        timetable = trigger.CronTriggerTimetable("0 6 * * *", timezone="UTC", interval=DAY)
        run = context(timetable, run_type="manual", run_after=at("2026-10-26T13:37:00+00:00"))

        assert only(windows_of_run(run)) == ("2026-10-25T06:00:00Z", "2026-10-26T06:00:00Z")

    def test_a_scheduled_run_off_the_schedule_still_reads_a_whole_period(self):
        timetable = core_trigger.CronTriggerTimetable("0 6 * * *", timezone="UTC")  # it was at midnight before

        result = windows_of_run(context(timetable, "2026-10-26T00:00:00+00:00"))

        assert only(result) == ("2026-10-24T06:00:00Z", "2026-10-25T06:00:00Z")

    def test_the_dag_is_found_by_the_task_where_the_context_lacks_it(self):
        timetable = core_trigger.CronTriggerTimetable("@daily", timezone="UTC")
        run = context(timetable, "2026-01-02T00:00:00+00:00")
        run["task"] = SimpleNamespace(dag=run.pop("dag"))

        assert only(windows_of_run(run)) == ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z")

    def test_an_expression_that_never_comes_is_an_error(self):
        timetable = core_trigger.CronTriggerTimetable("0 0 30 2 *", timezone="UTC")

        with pytest.raises(SynthflowWindowError, match="Give from_date and to_date"):
            windows_of_run(context(timetable, "2026-01-02T00:00:00+00:00"))

    def test_a_leap_day_reads_four_years(self):
        timetable = core_trigger.CronTriggerTimetable("0 0 29 2 *", timezone="UTC")

        assert only(windows_of_run(context(timetable, "2028-02-29T00:00:00+00:00")))[0] == "2024-02-29T00:00:00Z"

    @needs_multiple
    @pytest.mark.parametrize("trigger", TRIGGERS)
    def test_several_expressions_are_one_row_of_ticks(self, trigger):
        timetable = trigger.MultipleCronTriggerTimetable("0 6 * * *", "30 18 * * *", timezone="UTC")

        morning = windows_of_run(context(timetable, "2026-01-02T06:00:00+00:00"))
        evening = windows_of_run(context(timetable, "2026-01-02T18:30:00+00:00"))

        assert only(morning) == ("2026-01-01T18:30:00Z", "2026-01-02T06:00:00Z")
        assert only(evening) == ("2026-01-02T06:00:00Z", "2026-01-02T18:30:00Z")


ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "America/St_Johns",
    "Africa/Casablanca",
    "America/Santiago",
)
CHANGES = (
    "2026-03-29T01:00:00+00:00",  # Europe, spring
    "2026-10-25T01:00:00+00:00",  # Europe, autumn
    "2026-03-08T07:00:00+00:00",  # New York, spring
    "2026-11-01T06:00:00+00:00",  # New York, autumn
    "2026-04-04T15:00:00+00:00",  # Lord Howe, half an hour back
    "2026-10-03T15:30:00+00:00",  # Lord Howe, half an hour forward
    "2026-03-22T02:00:00+00:00",  # Casablanca, end of Ramadan
    "2026-09-06T04:00:00+00:00",  # Santiago, at midnight
)
MINUTES = st.one_of(
    st.sampled_from(["*/5", "*/15", "*/20", "0", "30", "0,45", "15,30", "59"]),
    st.integers(0, 59).map(str),
)
HOURS = st.one_of(
    st.sampled_from(["*", "*/2", "*/6", "0", "1", "2", "3", "1-3", "0,12", "0-6/3", "22-23,2"]),
    st.integers(0, 23).map(str),
)
DAYS = st.sampled_from(["* * *", "* * 0", "* * 1-5", "* * 6,0", "1 * *", "13 * 5", "*/10 * *", "L * *"])


def ticks_around(timetable: Timetable, start: dt.datetime, change: dt.datetime) -> list[dt.datetime]:
    """Return the scheduler's ticks about a change of the clocks, coming from the start."""
    ticks, after = [], 0
    for tick in scheduled_ticks(timetable, start):
        ticks.append(tick)
        after += tick >= change
        if after == 24 or tick > change + dt.timedelta(days=100):
            return ticks[-36:]
    return ticks


class Remembering:
    """A timetable that works out no step twice, since neighbouring ticks are found by mostly the same steps."""

    def __init__(self, timetable: Timetable) -> None:
        self._timetable = timetable
        self._steps: dict[Any, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._timetable, name)

    def next_dagrun_info(self, *, last_automated_data_interval: Any, restriction: TimeRestriction) -> Any:
        step = last_automated_data_interval, restriction
        if step not in self._steps:
            self._steps[step] = self._timetable.next_dagrun_info(
                last_automated_data_interval=last_automated_data_interval, restriction=restriction
            )
        return self._steps[step]


class TestTiling:
    @settings(max_examples=count_examples(60), deadline=None)
    @given(
        expression=st.builds("{} {} {}".format, MINUTES, HOURS, DAYS),
        zone=st.sampled_from(ZONES),
        change=st.sampled_from(CHANGES).map(at),
        lead=st.timedeltas(dt.timedelta(0), dt.timedelta(days=2)),
    )
    def test_every_tick_of_the_scheduler_starts_where_the_one_before_ended(self, expression, zone, change, lead):
        timetable = Remembering(core_trigger.CronTriggerTimetable(expression, timezone=zone))
        on_its_way = dt.timedelta(days=2 if expression.endswith(" * * *") else 40)
        ticks = ticks_around(timetable, change - on_its_way - lead, change)

        for previous, tick in itertools.pairwise(ticks):
            assert CronSchedule(timetable).period_before(tick) == (previous, tick)

    @needs_multiple
    @settings(max_examples=count_examples(15), deadline=None)
    @given(
        crons=st.lists(st.builds("{} {} * * *".format, MINUTES, HOURS), min_size=2, max_size=3, unique=True),
        zone=st.sampled_from(ZONES),
        change=st.sampled_from(CHANGES).map(at),
        lead=st.timedeltas(dt.timedelta(0), dt.timedelta(days=2)),
    )
    def test_several_expressions_tile_too(self, crons, zone, change, lead):
        timetable = Remembering(core_trigger.MultipleCronTriggerTimetable(*crons, timezone=zone))
        ticks = ticks_around(timetable, change - dt.timedelta(days=2) - lead, change)

        for previous, tick in itertools.pairwise(ticks):
            assert CronSchedule(timetable).period_before(tick) == (previous, tick)

    @settings(max_examples=count_examples(60), deadline=None)
    @given(
        expression=st.builds("{} {} {}".format, MINUTES, HOURS, DAYS),
        zone=st.sampled_from(ZONES),
        change=st.sampled_from(CHANGES).map(at),
        offset=st.timedeltas(-dt.timedelta(days=2), dt.timedelta(days=2)),
    )
    def test_a_manual_run_reads_a_whole_period_that_a_scheduled_run_reads_too(self, expression, zone, change, offset):
        schedule = CronSchedule(Remembering(core_trigger.CronTriggerTimetable(expression, timezone=zone)))
        moment = change + offset

        start, end = schedule.period_before(moment)

        assert end <= moment < schedule.next_after(moment)
        assert schedule.period_before(end, automatic=True) == (start, end)

    def test_the_timetables_own_step_back_would_not_tile(self):
        timetable = core_trigger.CronTriggerTimetable("0 * * * *", timezone="Australia/Lord_Howe")
        tick = at("2026-04-04T15:30:00+00:00")

        assert timetable._get_prev(tick) == at("2026-04-04T14:30:00+00:00")
        assert CronSchedule(timetable).period_before(tick)[0] == at("2026-04-04T15:00:00+00:00")

    def test_ticks_every_minute_are_found_fast(self):
        timetable = core_trigger.CronTriggerTimetable("* * * * *", timezone="Europe/Berlin")
        started = time.perf_counter()

        result = windows_of_run(context(timetable, "2026-10-25T01:00:00+00:00"))

        assert only(result)[0] == "2026-10-25T00:59:00Z"
        assert time.perf_counter() - started < 5


class TestDeltaSchedule:
    @pytest.mark.parametrize("intervals", INTERVALS)
    @pytest.mark.parametrize("run_type", ["scheduled", "backfill", "manual"])
    def test_a_run_reads_one_delta_up_to_its_date(self, intervals, run_type):
        timetable = intervals.DeltaDataIntervalTimetable(dt.timedelta(minutes=90))
        run = context(timetable, "2026-01-01T12:34:56.789+00:00", run_type=run_type)

        assert windows_of_run(run).windows[0] == Window.of("2026-01-01T11:04:56.789Z", "2026-01-01T12:34:56.789Z")

    def test_a_manual_run_without_a_logical_date_goes_by_its_run_after(self):
        timetable = core_trigger_delta(HOUR)
        run = context(timetable, run_type="manual", run_after=at("2026-10-26T13:37:00+00:00"))

        assert only(windows_of_run(run)) == ("2026-10-26T12:37:00Z", "2026-10-26T13:37:00Z")

    @pytest.mark.parametrize("trigger", TRIGGERS)
    def test_a_manual_run_of_a_timetable_with_an_interval_reads_the_interval(self, trigger):
        timetable = trigger.DeltaTriggerTimetable(HOUR, interval=DAY)
        run = context(timetable, run_type="manual", run_after=at("2026-10-26T13:37:00+00:00"))

        assert only(windows_of_run(run))[0] == "2026-10-25T13:37:00Z"

    @settings(max_examples=count_examples(50), deadline=None)
    @given(
        delta=st.one_of(
            st.timedeltas(dt.timedelta(seconds=1), dt.timedelta(days=400)),
            st.builds(relativedelta, months=st.integers(1, 14)),
            st.builds(relativedelta, years=st.just(1), days=st.integers(0, 3)),
            st.builds(relativedelta, weeks=st.integers(1, 3), hours=st.integers(0, 5)),
        ),
        start=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2030, 1, 1)),  # noqa: DTZ001
    )
    def test_the_scheduler_s_ticks_tile_also_where_months_differ(self, delta, start):
        start = start.replace(microsecond=0, tzinfo=dt.timezone.utc)
        timetable = core_trigger_delta(delta)
        ticks = list(itertools.islice(scheduled_ticks(timetable, start), 30))

        for previous, tick in itertools.pairwise(ticks):
            window = windows_of_run(context(timetable, tick, start_date=start)).windows[0]
            assert window == Window.of(utc(previous), utc(tick))

    def test_a_tick_before_that_cannot_be_told_is_an_error(self):
        timetable = core_trigger_delta(relativedelta(months=1))
        tick = "2026-02-28T00:00:00+00:00"  # a month after January 28th, 29th, 30th, 31st

        with pytest.raises(SynthflowWindowError, match="use a cron expression"):
            windows_of_run(context(timetable, tick, start_date=at("2026-01-05T00:00:00+00:00")))
        assert only(windows_of_run(context(timetable, tick, start_date=at("2025-08-31T00:00:00+00:00"))))[0] == (
            "2026-01-30T00:00:00Z"
        )

    def test_a_delta_to_a_weekday_counts_from_the_start(self):
        timetable = core_trigger_delta(relativedelta(days=1, weekday=MO))
        start = at("2026-01-05T00:00:00+00:00")

        run = context(timetable, "2026-01-19T00:00:00+00:00", start_date=start)

        assert only(windows_of_run(run))[0] == "2026-01-12T00:00:00Z"


def core_trigger_delta(delta):
    return core_trigger.DeltaTriggerTimetable(delta)


@needs_partitions
class TestPartitions:
    def partition(self, trigger, **options):
        return trigger.CronPartitionTimetable("0 0 * * *", timezone="Europe/Berlin", **options)

    @pytest.mark.parametrize("trigger", TRIGGERS)
    def test_a_run_reads_from_its_partition_date_to_the_next_boundary(self, trigger):
        run = context(
            self.partition(trigger, run_offset=-2),
            partition_date=at("2026-03-29T00:00:00+01:00"),
            partition_key="whatever",
            run_after=at("2026-03-31T00:00:00+02:00"),
        )

        result = windows_of_run(run)

        assert only(result) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")

    def test_the_date_is_read_from_the_context_too(self):
        run = context(self.partition(core_trigger)) | {"partition_date": at("2026-03-29T00:00:00+01:00")}

        assert only(windows_of_run(run)) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")

    @pytest.mark.parametrize("trigger", TRIGGERS)
    @pytest.mark.parametrize("key_format", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d", "day %Y/%m/%d"])
    def test_a_key_without_a_date_is_read_as_the_timetable_writes_it(self, trigger, key_format):
        timetable = self.partition(trigger, key_format=key_format)
        core = self.partition(core_trigger, key_format=key_format)
        tick = at("2026-03-29T00:00:00+01:00")
        run = context(timetable, partition_key=core._format_key(tick), run_after=tick)

        result = windows_of_run(run)

        assert only(result) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")

    @pytest.mark.parametrize("key", ["blue", "2026-03-29", "0001-01-01T00"])
    def test_a_key_that_names_no_period_is_an_error(self, key):
        timetable = self.partition(core_trigger, key_format="%Y-%m-%dT%H")

        with pytest.raises(SynthflowWindowError, match="does not name one period"):
            windows_of_run(context(timetable, partition_key=key, run_after=at("2026-03-30T00:00:00+00:00")))

    @pytest.mark.parametrize(("key_format", "key"), [("%Y-%m", "2026-03"), ("%m-%d", "03-29"), ("day", "day")])
    def test_a_key_that_names_several_periods_is_an_error(self, key_format, key):
        timetable = self.partition(core_trigger, key_format=key_format)

        with pytest.raises(SynthflowWindowError, match="does not name one period"):
            windows_of_run(context(timetable, partition_key=key, run_after=at("2026-03-30T00:00:00+00:00")))

    def test_a_manual_run_without_a_partition_reads_the_last_complete_period(self):
        run = context(self.partition(core_trigger), run_type="manual", run_after=at("2026-03-30T12:00:00+00:00"))

        result = windows_of_run(run)

        assert only(result) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")

    @pytest.mark.parametrize(
        "timetable", [core_trigger.CronTriggerTimetable("@daily", timezone="UTC"), NullTimetable(), object()]
    )
    def test_a_partition_date_without_such_a_schedule_is_no_window(self, timetable):
        run = context(timetable, partition_date=at("2026-03-29T00:00:00+00:00"), run_after=at("2026-03-30T00:00+00:00"))

        with pytest.raises(SynthflowWindowError, match="no schedule that says where the partition ends"):
            windows_of_run(run)


def event(model_id="m1", start="2026-11-23T10:00:00.000Z", end="2026-11-23T10:15:00.000Z", width=900, **more):
    payload = {"model_id": model_id, "from_date": start, "to_date": end, "window": width, "count": 3, **more}
    return SimpleNamespace(extra={"from_trigger": True, "payload": payload})


def event_run(*events, by_alias=(), **more):
    run = context(None, run_type="asset_triggered", run_after=at("2026-11-23T11:00:00+00:00"), **more)
    run["triggering_asset_events"] = {"asset": list(events), "alias": list(by_alias)}
    return run


class TestAssetEvents:
    def test_every_cell_is_one_window_however_often_it_is_named(self):
        twice = event(start="2026-11-23T10:15:00Z", end="2026-11-23T10:30:00Z")
        run = event_run(twice, event(start="2026-11-23T10:00:00Z", end="2026-11-23T10:30:00Z"), twice, by_alias=[twice])

        result = windows_of_run(run, model_id="m1")

        assert result == RunWindows(
            (
                Window.of("2026-11-23T10:00:00Z", "2026-11-23T10:15:00Z"),
                Window.of("2026-11-23T10:15:00Z", "2026-11-23T10:30:00Z"),
            ),
            many=True,
        )

    def test_one_cell_is_still_a_list(self):
        assert windows_of_run(event_run(event())).many

    def test_only_the_events_of_the_agent_count(self):
        run = event_run(event("other", width="broken"), event("m1"))

        assert len(windows_of_run(run, model_id="m1").windows) == 1

    def test_without_a_model_id_the_events_of_all_count(self):
        run = event_run(event("m1"), event("m2", start="2026-11-23T11:00:00Z", end="2026-11-23T11:15:00Z"))

        assert len(windows_of_run(run).windows) == 2

    def test_events_of_other_agents_alone_are_an_error_that_says_so(self):
        with pytest.raises(SynthflowWindowError, match="no window of agent 'm1', only of other agents"):
            windows_of_run(event_run(event("m2")), model_id="m1")
        with pytest.raises(SynthflowWindowError, match="no window of agent 'm1', only of other agents"):
            windows_of_run(event_run(event("m2")), model_id="m1", agents=["m1", "m3"])

    def test_an_agent_without_events_has_no_window_where_the_task_reads_others_that_have(self):
        run = event_run(event("m2"))

        assert windows_of_run(run, model_id="m1", agents=["m1", "m2"]) == RunWindows((), many=True)
        assert len(windows_of_run(run, model_id="m2", agents=["m1", "m2"]).windows) == 1

    @pytest.mark.parametrize(
        "extra",
        [
            {},
            None,
            {"from_trigger": True},
            {"from_trigger": True, "payload": "text"},
            {"from_trigger": True, "payload": {"model_id": "m1"}},
            {"from_trigger": False, "payload": event().extra["payload"]},
            event().extra["payload"],
        ],
    )
    def test_events_of_another_shape_are_ignored(self, extra):
        foreign = SimpleNamespace(extra=extra)

        assert len(windows_of_run(event_run(foreign, event())).windows) == 1
        with pytest.raises(SynthflowWindowError, match="none of them comes from SynthflowNewCallsTrigger"):
            windows_of_run(event_run(foreign))

    @pytest.mark.parametrize(
        ("bad", "why"),
        [
            (event(start="2026-11-23T10:01:00Z"), "not on the grid"),
            (event(end="2026-11-23T10:15:00.001Z"), "not on the grid"),
            (event(width=0), "whole number of seconds"),
            (event(width=True), "whole number of seconds"),
            (event(width=900.5), "whole number of seconds"),
            (event(width="900"), "whole number of seconds"),
            (event(start="2026-11-23T10:00:00"), "no time zone"),
            (event(end=None), "not a time"),
            (event(end="2026-11-23T10:00:00Z"), "not before"),
            (event(start="1970-01-01T00:00:00Z", width=1, end="2026-11-23T10:00:00Z"), "more than 100000 cells"),
        ],
    )
    def test_a_malformed_event_is_an_error(self, bad, why):
        with pytest.raises(SynthflowWindowError, match=why):
            windows_of_run(event_run(event(), bad), model_id="m1")

    def test_a_schedule_beside_the_assets_does_not_count_for_a_run_by_events(self):
        run = event_run(event())
        run["dag"] = SimpleNamespace(timetable=core_trigger.CronTriggerTimetable("@daily", timezone="UTC"))

        assert windows_of_run(run).many


class TestAssetOrTimeSchedule:
    def test_a_run_by_time_follows_the_timetable_inside(self):
        inner = (sdk_trigger or core_trigger).CronTriggerTimetable("@daily", timezone="UTC")
        if AIRFLOW < (3, 0):
            module = importlib.import_module("airflow.timetables.datasets")
            timetable = module.DatasetOrTimeSchedule(timetable=inner, datasets=[Asset("a")])
        else:
            module = sdk_assets or importlib.import_module("airflow.timetables.assets")
            timetable = module.AssetOrTimeSchedule(timetable=inner, assets=[Asset("a")])

        assert only(windows_of_run(context(timetable, "2026-01-02T00:00:00+00:00"))) == (
            "2026-01-01T00:00:00Z",
            "2026-01-02T00:00:00Z",
        )


class CustomTimetable(core_trigger.CronTriggerTimetable):
    """Tick as cron does, as far as one can tell."""


class TestNoWindow:
    @pytest.mark.parametrize(
        "timetable",
        [
            NullTimetable(),
            OnceTimetable(),
            ContinuousTimetable(),
            CustomTimetable("@daily", timezone="UTC"),
            SimpleNamespace(expression="@daily", timezone="UTC"),
        ],
    )
    @pytest.mark.parametrize("run_type", ["scheduled", "manual"])
    def test_the_error_names_the_cures(self, timetable, run_type):
        with pytest.raises(SynthflowWindowError) as caught:
            windows_of_run(context(timetable, "2026-01-01T00:00:00+00:00", run_type=run_type))

        text = str(caught.value)
        assert type(timetable).__name__ in text
        for cure in ("from_date and to_date", "schedule", "logical date", "AssetWatcher"):
            assert cure in text
        assert isinstance(caught.value, SynthflowConfigError)

    @pytest.mark.parametrize(
        "nothing", [None, {}, {"dag": None, "dag_run": None}, {"dag": SimpleNamespace(timetable=object())}]
    )
    def test_a_context_that_tells_nothing_is_an_error(self, nothing):
        with pytest.raises(SynthflowWindowError, match="This run has no window"):
            windows_of_run(nothing)

    def test_airflow_without_its_core_is_an_error_with_a_cure(self, monkeypatch):
        run = context(core_trigger.CronTriggerTimetable("@daily", timezone="UTC"), "2026-01-02T00:00:00+00:00")
        monkeypatch.setitem(sys.modules, "airflow.timetables", SimpleNamespace())

        with pytest.raises(SynthflowWindowError, match=r"core is not installed\. Give from_date"):
            windows_of_run(run)


def test_importing_the_module_loads_nothing_of_airflow_that_its_errors_have_not_loaded():
    code = (
        "import sys, pendulum.parsing; import airflow_provider_synthflow.exceptions; before = set(sys.modules);"
        "import airflow_provider_synthflow.window.run;"
        "print(sorted(m for m in set(sys.modules) - before if not m.startswith('airflow_provider_synthflow.')))"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    assert result.stdout.splitlines()[-1] == "[]"
