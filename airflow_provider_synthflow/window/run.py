# SPDX-License-Identifier: Apache-2.0
"""
The window of a run: which stretch of time its task reads, so that every run of a DAG reads its own.

The first rule that applies decides: explicit bounds, the run's data interval, its partition, the period of
its schedule, the cells that the asset events name which started it. There is no rule that guesses: a run
that none of them fits has no window, and the error says how to give it one.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowWindowError
from airflow_provider_synthflow.timestamps import to_milliseconds
from airflow_provider_synthflow.window.timetable import CronSchedule, read_schedule, utc
from airflow_provider_synthflow.window.window import Window

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = ["RunWindows", "windows_of_run"]

_AUTOMATIC_RUNS = frozenset({"scheduled", "backfill"})
_EVENT_RUNS = frozenset({"asset_triggered", "dataset_triggered"})
_CELL_KEYS = frozenset({"model_id", "from_date", "to_date", "window"})
_MAX_CELLS = 100_000

_CURES = (
    "Give from_date and to_date to the task; or give the DAG a schedule with periods (a cron expression, a "
    "timedelta, or one of Airflow's data interval timetables), also for runs triggered by hand, best with a "
    "logical date; or trigger it by an asset that an AssetWatcher with SynthflowNewCallsTrigger watches."
)


@dataclass(frozen=True)
class RunWindows:
    """
    The windows that a run reads.

    :param windows: exactly one window, except where asset events name several cells, or none of this agent
    :param many: whether the result is a list with one item a window, as it is for asset events
    """

    windows: tuple[Window, ...]
    many: bool


def windows_of_run(
    context: Mapping[str, Any] | None,
    *,
    from_date: InstantLike | None = None,
    to_date: InstantLike | None = None,
    model_id: str | None = None,
    agents: Collection[str] = (),
) -> RunWindows:
    """
    Return the windows that a run reads.

    :param context: the task's context; with explicit bounds nothing is read from it, and it may be None
    :param from_date: the explicit start, inclusive; what a template renders of None, or of nothing, is none
    :param to_date: the explicit end, exclusive, likewise
    :param model_id: the agent whose asset events count; None for those of every agent
    :param agents: the agents that the task reads: where the events name cells of some of them, the others have no
        window
    :raises SynthflowWindowError: where no rule gives a window, or one gives an impossible one
    """
    explicit = _explicit(_given(from_date), _given(to_date))
    if explicit is not None:
        return _one(explicit)
    run = _Run.of(context or {})
    if run.interval is not None and run.interval[0] != run.interval[1]:
        return _one(Window(*run.interval))
    schedule = None if run.by_events else read_schedule(run.dag)
    if isinstance(schedule, CronSchedule) and schedule.partitioned:
        date = run.partition_date
        if date is None and run.partition_key is not None:
            date = schedule.partition_date(run.partition_key)
        if date is not None:
            return _one(_window(date, schedule.next_after(date)))
    if schedule is not None and run.moment is not None and run.partition_date is None:
        return _one(_window(*schedule.period_before(run.moment, automatic=run.automatic)))
    cells = _cells(run.events, model_id, agents)
    if cells is not None:
        return RunWindows(cells, many=True)
    raise SynthflowWindowError(f"This run has no window: {run.why_none()}. {_CURES}")


@dataclass(frozen=True)
class _Run:
    """The run, as a task's context describes it."""

    dag: Any
    run_type: str
    interval: tuple[int, int] | None
    moment: dt.datetime | None
    partition_date: dt.datetime | None
    partition_key: str | None
    events: Any

    @classmethod
    def of(cls, context: Mapping[str, Any]) -> _Run:
        """Read the context, where any key may be absent, and the run, where it is None."""
        dag_run = context.get("dag_run")

        def moment(name: str) -> dt.datetime | None:
            for value in (context.get(name), getattr(dag_run, name, None)):
                if isinstance(value, dt.datetime) and value.utcoffset() is not None:
                    return utc(value)
            return None

        start, end = moment("data_interval_start"), moment("data_interval_end")
        key = context.get("partition_key") or getattr(dag_run, "partition_key", None)
        dag = context.get("dag")
        return cls(
            dag=getattr(context.get("task"), "dag", None) if dag is None else dag,
            run_type=_text(getattr(dag_run, "run_type", None)),
            interval=(to_milliseconds(start), to_milliseconds(end)) if start and end else None,
            # The command line gives a run with a logical date an interval that ends now: the date comes first.
            moment=moment("logical_date") or end or moment("run_after"),
            partition_date=moment("partition_date"),
            partition_key=key if isinstance(key, str) and key else None,
            events=context.get("triggering_asset_events"),
        )

    @property
    def automatic(self) -> bool:
        """Tell whether the scheduler or a backfill chose the moment of the run."""
        return self.run_type in _AUTOMATIC_RUNS

    @property
    def by_events(self) -> bool:
        """Tell whether asset events started the run, so that a schedule beside them does not count."""
        return self.run_type in _EVENT_RUNS

    def why_none(self) -> str:
        """Return why the run has no window."""
        if self.by_events:
            return "asset events started it, but none of them comes from SynthflowNewCallsTrigger"
        if self.partition_date is not None or self.partition_key is not None:
            return "it has a partition, but its DAG has no schedule that says where the partition ends"
        name = type(getattr(self.dag, "timetable", None)).__name__
        if name == "NoneType":
            return "it has no data interval, and its DAG is not known"
        if self.moment is None:
            return "it has no data interval and no date"
        return f"it has no data interval, and its schedule ({name}) has no periods that this package knows"


def _explicit(from_date: InstantLike | None, to_date: InstantLike | None) -> Window | None:
    """Return the window of explicit bounds, or None where there are none."""
    if from_date is None and to_date is None:
        return None
    if from_date is None or to_date is None:
        given, missing = ("from_date", "to_date") if to_date is None else ("to_date", "from_date")
        raise SynthflowWindowError(
            f"{given} is given and {missing} is not. Give both, or neither for the window of the run."
        )
    try:
        return Window.of(from_date, to_date)
    except ValueError as error:
        raise SynthflowWindowError(str(error)) from error


def _given(bound: InstantLike | None) -> InstantLike | None:
    """Return the bound, or None for what a template renders of a value that is not there."""
    return None if isinstance(bound, str) and bound.strip() in ("", "None") else bound


def _one(window: Window) -> RunWindows:
    return RunWindows((window,), many=False)


def _window(start: dt.datetime, end: dt.datetime) -> Window:
    return Window(to_milliseconds(start), to_milliseconds(end))


def _text(run_type: Any) -> str:
    """Return the run's type as text, be it an enumeration's member or a text already."""
    return str(getattr(run_type, "value", run_type))


def _cells(events: Any, model_id: str | None, agents: Collection[str]) -> tuple[Window, ...] | None:
    """Return the grid cells of an agent that the trigger's events name, or None where there is no such event."""
    payloads = list(_payloads(events))
    if not payloads:
        return None
    counting = [payload for payload in payloads if model_id is None or payload["model_id"] == model_id]
    if not counting and not any(payload["model_id"] in agents for payload in payloads):
        raise SynthflowWindowError(
            f"The asset events that started this run contain no window of agent {model_id!r}, only of "
            "other agents. Use the model_id of the asset's watcher, or set from_date and to_date."
        )
    cells: set[Window] = set()
    for payload in counting:
        cells.update(_read_cells(payload))
        if len(cells) > _MAX_CELLS:
            raise SynthflowWindowError(_bad_event(f"it names more than {_MAX_CELLS} cells"))
    return tuple(sorted(cells))


def _payloads(events: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the payload of every event that has the shape of the trigger's, whatever asset it came by."""
    if not isinstance(events, Mapping):
        return
    for group in events.values():
        for event in group:
            extra = getattr(event, "extra", None)
            if not isinstance(extra, Mapping) or extra.get("from_trigger") is not True:
                continue
            payload = extra.get("payload")
            if isinstance(payload, Mapping) and payload.keys() >= _CELL_KEYS:
                yield payload


def _read_cells(payload: Mapping[str, Any]) -> Iterator[Window]:
    """Yield the cells of one event, after a check that its bounds lie on the grid of its cells."""
    width = payload["window"]
    if not isinstance(width, int) or isinstance(width, bool) or width <= 0:
        raise SynthflowWindowError(_bad_event("its window is not a whole number of seconds above zero"))
    width *= 1000
    try:
        start = to_milliseconds(payload["from_date"], name="its from_date")
        end = to_milliseconds(payload["to_date"], name="its to_date")
    except ValueError as error:
        raise SynthflowWindowError(_bad_event(str(error))) from error
    if start % width or end % width:
        raise SynthflowWindowError(_bad_event("its bounds are not on the grid of its window"))
    if start >= end:
        raise SynthflowWindowError(_bad_event("its from_date is not before its to_date"))
    if (end - start) // width > _MAX_CELLS:
        raise SynthflowWindowError(_bad_event(f"it names more than {_MAX_CELLS} cells"))
    for cell in range(start, end, width):
        yield Window(cell, cell + width)


def _bad_event(why: str) -> str:
    return f"An asset event that started this run is not a valid event of SynthflowNewCallsTrigger: {why}. {_CURES}"
