# SPDX-License-Identifier: Apache-2.0
"""
The windows of the runs that a real Airflow makes, in every way it makes them.

One deployment runs everything: the scheduler's runs over a stretch of the past, runs by hand through the
command line and the API, a backfill, and runs that asset events start.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_deployment import COMPONENTS, AirflowDeployment
from tests.versions import AIRFLOW as VERSION
from tests.versions import needs_airflow

pytestmark = pytest.mark.long

DAGS = Path(__file__).parent / "run_window_dags"
TIMEOUT = 420  # Airflow 2 runs one task at a time over SQLite, and a busy machine is slow

airflow_3 = needs_airflow("3.0", "runs without a logical date")
watchers = needs_airflow("3.0", "asset watchers")
airflow_3_2 = needs_airflow("3.2", "runs with a partition date")
airflow_3_3 = needs_airflow("3.3", "backfills of partitions")

# The boundaries of the windows that the scheduler's runs read one after the other: one run less than these.
TILES = {
    "daily": ["26T23:00", "27T23:00", "28T23:00", "29T22:00", "30T22:00"],  # of March
    "cron_text": ["24T22:00", "24T23:00", "25T00:00", "25T01:00", "25T02:00", "25T03:00"],
    "delta": ["-1T18:00", "01T00:00", "01T06:00", "01T12:00"],
    "cron_trigger": ["23T00:30", "24T00:30", "25T01:30", "26T01:30"],
    "delta_trigger": ["-1T22:30", "01T00:00", "01T01:30", "01T03:00"],
    "cron_trigger_interval": ["01T00:00", "02T00:00", "03T00:00"],
    "cron_interval": ["23T22:00", "24T22:00", "25T23:00", "26T23:00"],
    "delta_interval": ["01T00:00", "01T06:00", "01T12:00", "01T18:00"],
    "several_crons": ["-1T18:30", "01T06:00", "01T18:30", "02T06:00"],
    "partition_0": ["23T22:00", "24T22:00", "25T23:00", "26T23:00"],
    "partition_1": ["22T22:00", "23T22:00", "24T22:00", "25T23:00"],
}
if VERSION < (3, 0):  # its texts and timedeltas have data intervals that start at the tick
    TILES |= {
        "daily": ["27T23:00", "28T23:00", "29T22:00", "30T22:00", "31T22:00"],
        "cron_text": ["24T23:00", "25T00:00", "25T01:00", "25T02:00", "25T03:00", "25T04:00"],
        "delta": ["01T00:00", "01T06:00", "01T12:00", "01T18:00"],
    }
    del TILES["several_crons"]
if VERSION < (3, 2):
    TILES = {dag_id: tiles for dag_id, tiles in TILES.items() if not dag_id.startswith("partition")}

EXPLICIT = {"from": "2026-11-23T00:00:00Z", "to": "1795395600000"}

ANY_DATE = None if VERSION >= (3, 0) else "2026-10-26T14:00:00Z"
BY_API: dict[str, tuple[str, dict[str, Any]]] = {
    "api_no_date": ("by_hand", {"logical_date": None}),
    "api_date": ("by_hand", {"logical_date": "2026-10-26T12:00:00Z"}),
    "api_bounds": (
        "by_hand",
        {
            "logical_date": "2026-10-26T13:00:00Z",
            "data_interval_start": "2026-10-20T00:00:00Z",
            "data_interval_end": "2026-10-20T05:00:00Z",
        },
    ),
    "api_interval_no_date": ("by_hand_interval", {"logical_date": None}),
    "api_interval_date": ("by_hand_interval", {"logical_date": "2026-10-26T12:00:00Z"}),
    "api_delta_no_date": ("by_hand_delta", {"logical_date": None}),
    "api_no_schedule": ("no_schedule", {"logical_date": ANY_DATE}),
    "api_explicit": ("explicit", {"logical_date": ANY_DATE, "conf": EXPLICIT}),
    "api_explicit_none": (
        "explicit",
        {"logical_date": ANY_DATE and "2026-10-26T15:00:00Z", "conf": EXPLICIT | {"to": None}},
    ),
}
if VERSION < (3, 0):  # every run has a logical date
    BY_API = {run_id: (dag_id, body) for run_id, (dag_id, body) in BY_API.items() if body["logical_date"]}
if VERSION >= (3, 2):
    BY_API["api_partition"] = ("partition_1", {"logical_date": None, "partition_key": "2026-10-20"})
    BY_API["api_partition_none"] = ("partition_0", {"logical_date": None})
# Airflow 3.2 writes the key of a tick in UTC, where the day in Berlin begins on the evening before.
PARTITION_OF_THE_20TH = ("2026-10-20T00:00+02:00", "2026-10-21T00:00+02:00")
if VERSION < (3, 3):
    PARTITION_OF_THE_20TH = ("2026-10-21T00:00+02:00", "2026-10-22T00:00+02:00")
BY_CLI = {
    "cli_no_date": ["by_hand"],
    "cli_date": ["by_hand", "--exec-date" if VERSION < (3, 0) else "--logical-date", "2026-10-27T00:00:00+01:00"],
    "cli_explicit": ["explicit", "--conf", json.dumps(EXPLICIT)],
}
BACKFILLS = {"backfilled": ("2026-10-24T00:00:00+02:00", "2026-10-27T00:00:00+01:00", 4)}
if VERSION >= (3, 3):
    BACKFILLS["partition_backfilled"] = ("2026-03-28", "2026-03-29", 2)


class Runs:
    """Know what the tasks of all runs wrote."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.left_behind: list[str] = []

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []

    def of(self, dag_id: str, run_type: str) -> list[dict[str, Any]]:
        return [run for run in self.all() if (run["dag_id"], run["run_type"]) == (dag_id, run_type)]

    def run(self, run_id: str) -> dict[str, Any]:
        (found,) = [run for run in self.all() if run["run_id"] == run_id]
        return found

    def missing(self) -> list[str]:
        """Name what has not yet come."""
        missing = [dag_id for dag_id, tiles in TILES.items() if len(self.of(dag_id, "scheduled")) < len(tiles) - 1]
        missing += [
            f"backfill of {dag_id}"
            for dag_id, (_, _, count) in BACKFILLS.items()
            if len(self.of(dag_id, "backfill")) < count
        ]
        if (
            VERSION >= (3, 0)
            and len({cell for run in self.of("by_events", "asset_triggered") for cell in cells(run)}) < 2
        ):
            missing.append("by_events")
        return missing + sorted({*BY_API, *BY_CLI} - {run["run_id"] for run in self.all()})


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow") / "home"
    runs = Runs(home / "records.jsonl")
    deployment = AirflowDeployment(home, DAGS, {"WINDOW_RECORDS": str(runs.file)})
    try:
        # The runs by hand and the backfills come first: SQLite has no room for them beside a busy scheduler.
        deployment.start(*(COMPONENTS[:2]))
        deployment.wait_for(lambda: {"explicit", "by_hand"} <= deployment.dag_ids(), "the DAGs are known")
        deployment.commands(commands())
        for call in calls():
            deployment.rest("POST", *call)
        deployment.start(*(COMPONENTS[2:]))
        deployment.wait_for(lambda: not runs.missing(), "all runs wrote their windows", timeout=TIMEOUT)
    except AssertionError as error:
        pytest.fail(f"Missing: {runs.missing()}. {error}")
    finally:
        deployment.stop()
    runs.left_behind = [process.name() for process in deployment.processes()]
    return runs


def commands() -> list[list[str]]:
    commands = [["dags", "trigger", "--run-id", run_id, *arguments] for run_id, arguments in BY_CLI.items()]
    for dag_id, (start, end, _) in BACKFILLS.items():
        if VERSION >= (3, 0):
            commands.append(["backfill", "create", "--dag-id", dag_id, "--from-date", start, "--to-date", end])
        else:
            commands.append(["dags", "backfill", "--start-date", start, "--end-date", end, dag_id])
    return commands


def calls() -> list[tuple[str, dict[str, Any]]]:
    return [(f"/dags/{dag_id}/dagRuns", {"dag_run_id": run_id, **body}) for run_id, (dag_id, body) in BY_API.items()]


def cells(run: dict[str, Any]) -> list[tuple[str, str]]:
    return [tuple(window) for window in run.get("windows", [])]


def bounds(run: dict[str, Any]) -> tuple[dt.datetime, dt.datetime]:
    """Return the bounds of a run's only window."""
    assert not run.get("error")
    assert run["many"] is False
    ((start, end),) = run["windows"]
    return dt.datetime.fromisoformat(start[:-1] + "+00:00"), dt.datetime.fromisoformat(end[:-1] + "+00:00")


def instant(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.timezone.utc)


def tiles_of(dag_id: str) -> list[dt.datetime]:
    month = "2026-03-" if dag_id == "daily" else "2026-10-"
    return [
        instant(f"2026-09-30{tile[2:]}+00:00" if tile.startswith("-1") else f"{month}{tile}+00:00")
        for tile in TILES[dag_id]
    ]


@pytest.mark.parametrize("dag_id", TILES)
def test_scheduled_runs_read_every_stretch_of_time_once(runs, dag_id):
    windows = sorted(bounds(run) for run in runs.of(dag_id, "scheduled"))

    assert windows == list(itertools.pairwise(tiles_of(dag_id)))


def test_a_backfill_over_a_change_of_the_clocks_tiles(runs):
    windows = sorted(bounds(run) for run in runs.of("backfilled", "backfill"))

    edges = ["22T22:00", "23T22:00", "24T22:00", "25T23:00", "26T23:00"]
    assert windows == list(itertools.pairwise(instant(f"2026-10-{edge}+00:00") for edge in edges))


@airflow_3_3
def test_a_backfill_of_partitions_tiles(runs):
    windows = sorted(bounds(run) for run in runs.of("partition_backfilled", "backfill"))

    edges = ["27T23:00", "28T23:00", "29T22:00"]
    assert windows == list(itertools.pairwise(instant(f"2026-03-{edge}+00:00") for edge in edges))


@pytest.mark.parametrize(
    "run_id",
    [
        pytest.param("api_no_date", marks=airflow_3),
        "cli_no_date",
        pytest.param("api_partition_none", marks=airflow_3_2),
    ],
)
def test_a_run_by_hand_without_a_date_reads_the_last_whole_day_of_its_zone(runs, run_id):
    start, end = bounds(runs.run(run_id))

    day = dt.timedelta(days=1)
    assert end - start in (day, day - dt.timedelta(hours=1), day + dt.timedelta(hours=1))
    assert (
        dt.timedelta(0) <= dt.datetime.fromtimestamp(time.time(), dt.timezone.utc) - end < day + dt.timedelta(hours=2)
    )
    assert end.hour in (22, 23)


@airflow_3
def test_a_run_by_hand_without_a_date_lacks_the_keys_of_dates(runs):
    assert set(runs.run("api_no_date")["keys"]) <= {"partition_date"}


@airflow_3
def test_a_run_by_hand_of_a_data_interval_timetable_without_a_date_reads_the_last_whole_interval(runs):
    start, end = bounds(runs.run("api_interval_no_date"))

    assert (end - start, end.hour, end.minute) == (dt.timedelta(days=1), 0, 0)


@airflow_3
def test_a_run_by_hand_of_a_delta_without_a_date_reads_up_to_its_start(runs):
    start, end = bounds(runs.run("api_delta_no_date"))

    assert end - start == dt.timedelta(hours=1)
    assert dt.timedelta(0) <= dt.datetime.now(dt.timezone.utc) - end < dt.timedelta(hours=1)


@pytest.mark.parametrize(
    ("run_id", "start", "end"),
    [
        ("api_date", "2026-10-25T00:00+02:00", "2026-10-26T00:00+01:00"),
        ("api_bounds", "2026-10-20T00:00+00:00", "2026-10-20T05:00+00:00"),
        ("api_interval_date", "2026-10-25T00:00+00:00", "2026-10-26T00:00+00:00"),
        pytest.param("api_partition", *PARTITION_OF_THE_20TH, marks=airflow_3_2),
        ("api_explicit", "2026-11-23T00:00+00:00", "2026-11-23T01:00+00:00"),
        pytest.param("cli_date", "2026-10-26T00:00+01:00", "2026-10-27T00:00+01:00"),
        pytest.param("cli_explicit", "2026-11-23T00:00+00:00", "2026-11-23T01:00+00:00"),
    ],
)
def test_a_run_by_hand_reads_what_it_was_asked_for(runs, run_id, start, end):
    assert bounds(runs.run(run_id)) == (instant(start), instant(end))


def test_a_bound_that_a_template_renders_of_none_is_not_given(runs):
    assert "from_date is given and to_date is not" in runs.run("api_explicit_none")["error"]


def test_a_run_without_a_schedule_has_no_window_and_is_told_the_cures(runs):
    assert "from_date and to_date" in runs.run("api_no_schedule")["error"]


@watchers
def test_asset_events_give_each_cell_once_a_run_and_only_those_of_the_agent(runs):
    triggered = runs.of("by_events", "asset_triggered")
    first, second = (
        ("2026-11-23T10:00:00.000Z", "2026-11-23T10:15:00.000Z"),
        ("2026-11-23T10:15:00.000Z", "2026-11-23T10:30:00.000Z"),
    )

    # Airflow puts events that come close together into one run or several, so only some is certain of a run.
    assert {cell for run in triggered if "windows" in run for cell in cells(run)} == {first, second}
    for run in triggered:
        if "error" in run:
            assert "no window of agent 'm1', only of other agents" in run["error"]
        else:
            assert run["many"]
            assert cells(run) in ([first], [first, second])


def test_the_deployment_leaves_no_process_behind(runs):
    assert runs.left_behind == []
