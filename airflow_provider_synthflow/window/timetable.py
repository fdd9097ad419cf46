# SPDX-License-Identifier: Apache-2.0
"""
The ticks of a DAG's schedule: which whole period ends at a moment, or before it.

Ticks are made by the very timetable classes that the scheduler uses, walked forward only. Their own step
backward disagrees with their step forward around changes of daylight-saving time, and then a window that
starts at "the tick before" would not end where the run before it ended.

Nothing of Airflow is imported before a task runs, since every DAG file imports this module.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import pendulum

from airflow_provider_synthflow.exceptions import SynthflowWindowError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CronSchedule", "read_schedule", "utc"]

_UTC = dt.timezone.utc

_TIMETABLE_MODULES = frozenset(
    f"{package}.{module}"
    for package in ("airflow.timetables", "airflow.sdk.definitions.timetables")
    for module in ("assets", "datasets", "interval", "trigger")
)
_PARTITIONED = "CronPartitionTimetable"
_CRON_TIMETABLES = frozenset({"CronDataIntervalTimetable", _PARTITIONED, "CronTriggerTimetable"})
_DELTA_TIMETABLES = frozenset({"DeltaDataIntervalTimetable", "DeltaTriggerTimetable"})
_MIXED_TIMETABLES = frozenset({"AssetOrTimeSchedule", "DatasetOrTimeSchedule"})

# A walk that starts anywhere goes the scheduler's way once it is past what a change of the zone's offset
# can shift, which is a day at most (a zone that moves over the date line).
_SETTLED = dt.timedelta(hours=26)
# How far before the moment a walk starts: far enough for every expression that croniter itself can follow.
_REACHES = tuple(dt.timedelta(hours=30 * 4**step) for step in range(8))
_MAX_STEPS = 100_000
_CLAMPED_DAYS = 4
_YEAR = re.compile("%[YyGcx]")
"""What in a format of dates carries the year."""

_Step: TypeAlias = Any
"""A timedelta or a relativedelta: what can be added to a datetime, and taken from it."""

_Period: TypeAlias = "tuple[dt.datetime, dt.datetime]"


@dataclass(frozen=True)
class CronSchedule:
    """The ticks of a timetable made of cron expressions."""

    timetable: Any
    interval: _Step | None = None
    partitioned: bool = False

    def period_before(self, moment: dt.datetime, *, automatic: bool = False) -> _Period:  # noqa: ARG002
        """Return the last whole period that ends at the moment or before it."""
        # At a tick that is the tick before and this one. A scheduled run whose date is no tick (any more, since its
        # schedule was changed) gets a whole period too, so that results never overlap by halves.
        start, end, _ = self._around(moment)
        if self.interval is not None:
            start = end - self.interval
        return start, end

    def next_after(self, moment: dt.datetime) -> dt.datetime:
        """Return the first tick after the moment."""
        return self._around(moment)[2]

    def partition_date(self, key: str) -> dt.datetime:
        """Return the one tick that Airflow writes as this partition key."""
        # Airflow 3.2 tells a task the key alone, written in UTC, where later ones write it in the schedule's zone.
        # Asking the timetable to write the tick again shows which.

        def written(tick: dt.datetime) -> str:
            text: str = self.timetable._format_key(pendulum.instance(tick))  # noqa: SLF001
            return text

        written_as: str = self.timetable._key_format  # noqa: SLF001
        if not _YEAR.search(written_as.replace("%%", "")):  # Python warns of such a format from 3.13 on
            raise SynthflowWindowError(_no_such_partition(key))
        try:
            named = dt.datetime.strptime(key, written_as)  # noqa: DTZ007 - the zone comes below
        except ValueError as error:
            raise SynthflowWindowError(_no_such_partition(key)) from error
        if named.year < 1970:
            raise SynthflowWindowError(_no_such_partition(key))
        for zone in (_UTC, self.timetable._timezone):  # noqa: SLF001
            tick = self.next_after(utc(named.replace(tzinfo=zone)) - dt.timedelta(seconds=1))
            neighbours = (self.period_before(tick)[0], self.next_after(tick))
            if written(tick) == key and key not in map(written, neighbours):
                return tick
        raise SynthflowWindowError(_no_such_partition(key))

    def _around(self, moment: dt.datetime) -> tuple[dt.datetime, dt.datetime, dt.datetime]:
        """Return the last two ticks at the moment or before it, and the first after it."""
        advance = self._advance()
        moment = utc(moment)
        for reach in _REACHES:
            before = None
            first = last = advance((moment - reach).replace(microsecond=0))  # croniter counts in whole seconds
            for following in _walk(last, advance):
                if following > moment:
                    break
                before, last = last, following
            if before is not None and before - first >= _SETTLED:
                return before, last, following
        raise SynthflowWindowError(_no_ticks(self.timetable, moment))

    def _advance(self) -> Callable[[dt.datetime], dt.datetime]:
        """Return the scheduler's step from one tick to the next, as it makes it when it catches up."""
        base, _ = _load_core()
        catch_up = base.TimeRestriction(earliest=None, latest=None, catchup=True)

        def advance(moment: dt.datetime) -> dt.datetime:
            last = base.DataInterval.exact(pendulum.instance(moment))
            try:
                info = self.timetable.next_dagrun_info(last_automated_data_interval=last, restriction=catch_up)
            except ValueError as error:  # croniter's errors are: such as a day that never comes
                raise SynthflowWindowError(_no_ticks(self.timetable, moment)) from error
            if info is None:
                raise SynthflowWindowError(_no_ticks(self.timetable, moment))
            return utc(info.data_interval.end)

        return advance


@dataclass(frozen=True)
class _DeltaSchedule:
    """The ticks of a timetable that counts on from its last run."""

    delta: _Step
    interval: _Step | None = None
    start: dt.datetime | None = None

    def period_before(self, moment: dt.datetime, *, automatic: bool = False) -> _Period:
        """Return the period of this schedule that ends at the moment, as every moment may be a tick of it."""
        end = utc(moment)
        if self.interval is not None:
            return end - self.interval, end
        if automatic and not isinstance(self.delta, dt.timedelta):
            return self._tick_before(end), end
        return end - self.delta, end

    def _tick_before(self, tick: dt.datetime) -> dt.datetime:
        """Return the one moment from which the delta leads to this tick."""
        # A month after any of January 28th to 31st is February 28th: then only counting from the start tells.
        guess: dt.datetime = tick - self.delta
        days = (dt.timedelta(days=days) for days in range(-_CLAMPED_DAYS, _CLAMPED_DAYS + 1))
        leading = [moment for moment in (guess + day for day in days) if moment + self.delta == tick]
        if len(leading) == 1:
            return leading[0]
        if self.start is not None:
            last = utc(self.start)
            for following in _walk(last, lambda moment: moment + self.delta):
                if following == tick:
                    return last
                if following > tick:
                    break
                last = following
        raise SynthflowWindowError(
            f"The tick before {tick.isoformat()} of this schedule is ambiguous: months differ in length, and it "
            "does not count from the DAG's start_date. Give from_date and to_date, or use a cron expression."
        )


def read_schedule(dag: Any) -> CronSchedule | _DeltaSchedule | None:
    """Return the schedule of a DAG where it is one of Airflow's own with cron expressions or a delta."""
    timetable = getattr(dag, "timetable", None)
    if _name(timetable) in _MIXED_TIMETABLES:
        timetable = getattr(timetable, "timetable", None)
    name = _name(timetable)
    if name in _DELTA_TIMETABLES:
        start = getattr(dag, "start_date", None)
        return _DeltaSchedule(
            _read(timetable, "delta"),
            _interval(timetable),
            start if isinstance(start, dt.datetime) and start.tzinfo is not None else None,
        )
    if name in _CRON_TIMETABLES:
        return CronSchedule(_core_timetable(timetable), _interval(timetable), name == "CronPartitionTimetable")
    if name == "MultipleCronTriggerTimetable":
        crons = _read(timetable, "timetables")
        return CronSchedule(_core_timetable(*crons), _interval(crons[0]))
    return None


def utc(moment: dt.datetime) -> dt.datetime:
    """Return the moment as a plain datetime in UTC, as the arithmetic of pendulum's follows rules of its own."""
    moment = moment.astimezone(_UTC)
    return dt.datetime.combine(moment.date(), moment.time(), _UTC)


def _core_timetable(*timetables: Any) -> Any:
    """Make the scheduler's timetable, with zero-length intervals, of one or several cron timetables."""
    _, trigger = _load_core()
    expressions = [_read(timetable, "expression") for timetable in timetables]
    zone = _read(timetables[0], "timezone")
    if len(timetables) > 1:
        return trigger.MultipleCronTriggerTimetable(*expressions, timezone=zone)
    if _name(timetables[0]) == _PARTITIONED:
        key_format = _read(timetables[0], "key_format")
        return trigger.CronPartitionTimetable(*expressions, timezone=zone, key_format=key_format)
    return trigger.CronTriggerTimetable(*expressions, timezone=zone)


def _load_core() -> tuple[Any, Any]:
    """Return the modules of the scheduler's timetables, which are loaded only where a schedule is asked for ticks."""
    try:
        from airflow.timetables import base, trigger  # noqa: PLC0415 - DAG files import this module
    except ImportError as error:
        raise SynthflowWindowError(
            "The ticks of the schedule cannot be computed here, as Airflow's core is not installed. "
            "Give from_date and to_date, or use a schedule with data intervals."
        ) from error
    return base, trigger


def _name(timetable: Any) -> str:
    """Return the class name of one of Airflow's own timetables, else an empty text."""
    cls = type(timetable)
    return cls.__name__ if cls.__module__ in _TIMETABLE_MODULES else ""


def _read(timetable: Any, name: str) -> Any:
    """Read what the task SDK's timetables have as an attribute, and the core's as a private one."""
    try:
        return getattr(timetable, name)
    except AttributeError:
        return getattr(timetable, f"_{name}")


def _interval(timetable: Any) -> _Step | None:
    """Return the interval of a trigger timetable where it is set, else None."""
    interval = getattr(timetable, "interval", None) or getattr(timetable, "_interval", None)
    return interval or None


def _walk(tick: dt.datetime, advance: Callable[[dt.datetime], dt.datetime]) -> Iterator[dt.datetime]:
    """Yield the ticks after this one, and refuse to go backward or for ever."""
    for _ in range(_MAX_STEPS):
        following = advance(tick)
        if following <= tick:
            break
        yield following
        tick = following
    raise SynthflowWindowError(f"The schedule has no tick after {tick.isoformat()}. Give from_date and to_date.")


def _no_ticks(timetable: Any, moment: dt.datetime) -> str:
    return (
        f"The schedule {timetable.summary!r} has no whole period around {moment.isoformat()}. "
        "Give from_date and to_date."
    )


def _no_such_partition(key: str) -> str:
    return (
        f"The partition key {key!r} does not name one period of the schedule. Give from_date and to_date, or a "
        "key_format that is different for every period."
    )
