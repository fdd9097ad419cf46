# SPDX-License-Identifier: Apache-2.0
"""What a task costs, with 1, 2 and 4 workers, by how many agents it reads and how long its window is."""

from __future__ import annotations

import datetime as dt
import json
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import TYPE_CHECKING, Any

from dev.fleet.check import open_bucket
from dev.fleet.fleet import open_fleet
from dev.fleet.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.fleet.fleet import Fleet

__all__ = ["Cost", "format_table", "measure_costs"]

_WORKERS = (1, 2, 4)
_HEADINGS = (
    "a task reads",
    "workers",
    "tasks",
    "calls/s",
    "tasks/min",
    "a task holds its worker",
    "of that start-up",
    "operator",
    "end and between",
    "Airflow's share",
    "CPU of start-up",
    "CPU of operator",
)
_PATIENCE_SECONDS = 400
_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class _Shape:
    """
    Say how the work is cut into tasks.

    :param name: what the table says
    :param short: for the DAG's name
    :param agents_a_task: how many agents a task reads
    :param hours: the length of a window
    :param windows: how many windows
    :param workers: with how many workers it is measured
    """

    name: str
    short: str
    agents_a_task: int
    hours: int
    windows: int
    workers: tuple[int, ...] = _WORKERS


_SHAPES = (
    _Shape("1 agent, a day", "agent", agents_a_task=1, hours=24, windows=4),
    _Shape("10 agents, a day", "agents", agents_a_task=10, hours=24, windows=16),
    _Shape("10 agents, an hour", "hour", agents_a_task=10, hours=1, windows=12, workers=(2,)),
)


@dataclass(frozen=True)
class Cost:
    """
    Hold what was measured of one backfill; seconds and CPU seconds are medians of its tasks.

    :param shape: how the work was cut
    :param workers: how many workers there were, each with one task at a time
    :param tasks: how many tasks
    :param calls: how many calls they wrote
    :param seconds: from the first task's start to the last one's end
    :param startup: from the birth of the task's process to the operator's beginning
    :param work: the operator's own
    :param startup_cpu: CPU seconds of the task's process before the operator
    :param work_cpu: those of the operator
    """

    shape: str
    workers: int
    tasks: int
    calls: int
    seconds: float
    startup: float
    work: float
    startup_cpu: float
    work_cpu: float

    @property
    def held(self) -> float:
        """Return the seconds for which a task holds a worker, until the next one can begin."""
        return self.seconds * self.workers / self.tasks

    @property
    def overhead(self) -> float:
        """Return the share of these seconds that is not the operator's."""
        return 1 - self.work / self.held


def measure_costs(say: Callable[[str], None], *, until: float | None = None) -> list[Cost]:
    """
    Run a backfill of each shape with each number of workers, one after the other.

    :param say: takes a line about each
    :param until: when to begin no further one, by the monotonic clock; None: never
    """
    plan = replace(Plan.of_today(quick=False), limit=0, faults=0, latency=0.3)
    cuts = [(shape, workers) for workers in _WORKERS for shape in _SHAPES if workers in shape.workers]
    shapes = [_described(plan, shape, workers) for shape, workers in cuts]
    costs = []
    with open_fleet(plan, shapes=shapes) as fleet:
        fleet.start(workers=0)
        started = 0
        for shape, workers in cuts:
            if until is not None and time.monotonic() > until:
                say("there is no time for the rest of the table: `make fleet-costs` measures all of it")
                break
            while started < workers:
                started += 1
                fleet.start_worker(f"worker-{started}", concurrency=1)
            fleet.await_workers()
            cost = _measure(fleet, shape, workers)
            say(f"{cost.shape} a task, {workers} workers: {cost.tasks} tasks in {cost.seconds:.0f} s")
            costs.append(cost)
    return costs


def format_table(costs: list[Cost]) -> list[str]:
    """
    Return the table, as Markdown.

    :param costs: its rows
    """
    lines = [
        f"| {' | '.join(_HEADINGS)} |",
        f"| --- |{' ---: |' * (len(_HEADINGS) - 1)}",
    ]
    lines += [
        f"| {cost.shape} | {cost.workers} | {cost.tasks} | {cost.calls / cost.seconds:.0f} "
        f"| {60 * cost.tasks / cost.seconds:.0f} | {cost.held:.1f} s | {cost.startup:.1f} s | {cost.work:.1f} s "
        f"| {cost.held - cost.startup - cost.work:.1f} s | {cost.overhead:.0%} | {cost.startup_cpu:.2f} s "
        f"| {cost.work_cpu:.2f} s |"
        for cost in costs
    ]
    return lines


def _dag_id(shape: _Shape, workers: int) -> str:
    return f"costs_{shape.short}_{workers}"


def _described(plan: Plan, shape: _Shape, workers: int) -> dict[str, Any]:
    """Return what the DAG file needs to know of a shape."""
    ids = plan.agent_ids
    groups: list[Any] = [ids[at : at + shape.agents_a_task] for at in range(0, len(ids), shape.agents_a_task)]
    return {
        "dag_id": _dag_id(shape, workers),
        "schedule": "@daily" if shape.hours == 24 else "@hourly",
        "groups": groups,
    }


def _measure(fleet: Fleet, shape: _Shape, workers: int) -> Cost:
    dag_id = _dag_id(shape, workers)
    length = shape.hours * _HOUR
    # By day there is more to read: the hours begin at noon. The run of a window fires at its end.
    begin = fleet.plan.start if shape.hours == 24 else fleet.plan.start + 12 * _HOUR
    fleet.backfill(dag_id, begin + length, begin + shape.windows * length)
    _await_end(fleet, dag_id, shape.windows)
    rows = fleet.query(
        "SELECT id::text, queued_dttm, start_date, end_date FROM task_instance WHERE dag_id = %s", dag_id
    )
    notes: dict[tuple[str, str], dict[str, Any]] = {}
    with (fleet.folder / "moments.jsonl").open(encoding="utf-8") as file:
        for line in file:
            note = json.loads(line)
            notes[note["ti"], note["moment"]] = note
    tasks = [(notes[ti, "begin"], notes[ti, "end"], *(each.timestamp() for each in times)) for ti, *times in rows]
    return Cost(
        shape=shape.name,
        workers=workers,
        tasks=len(tasks),
        calls=_calls(fleet, dag_id),
        seconds=max(ended for *_, ended in tasks) - min(started for *_, started, _ in tasks),
        startup=median(begin["at"] - begin["born"] for begin, *_ in tasks),
        work=median(end["at"] - begin["at"] for begin, end, *_ in tasks),
        startup_cpu=median(begin["cpu"] for begin, *_ in tasks),
        work_cpu=median(end["cpu"] - begin["cpu"] for begin, end, *_ in tasks),
    )


def _await_end(fleet: Fleet, dag_id: str, runs: int) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while fleet.states("dag_run", dag_id) != {"success": runs}:
        if time.monotonic() > deadline:
            msg = f"{dag_id} did not end: {fleet.states('task_instance', dag_id)}"
            raise RuntimeError(msg)
        time.sleep(0.5)


def _calls(fleet: Fleet, dag_id: str) -> int:
    """Return how many calls the manifests of a backfill count."""
    bucket = open_bucket((fleet.s3.folder / "connection.json").read_text())
    pages = bucket.get_paginator("list_objects_v2").paginate(Bucket="lake", Prefix=f"{dag_id}/")
    keys = [each["Key"] for page in pages for each in page.get("Contents", ()) if each["Key"].endswith("json")]
    return sum(json.loads(bucket.get_object(Bucket="lake", Key=key)["Body"].read())["count"] for key in keys)
