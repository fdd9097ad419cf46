# SPDX-License-Identifier: Apache-2.0
"""On a real Airflow, the weekly audit has what it found run again, and the second audit finds nothing of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from airflow_provider_synthflow.timestamps import format_instant
from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, SynthflowApi, serve, serve_recordings
from tests.unit.auditing.lakes import directory, record, rewrite
from tests.unit.making import DAY, FROM_MS, HOUR, make_call
from tests.versions import needs_airflow

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.long, needs_airflow("3.0", "runs without a logical date")]

ROOT = Path(__file__).resolve().parents[2]
WEEKLY = "synthflow_audit"
DAYS = 9
GAP, CUT, DUPLICATE = 2, 4, 6
# What takes an hour for people takes some seconds here. Only the test's run is there: the schedule's own would run its
# cures beside it.
CHANGES = {
    "TIME_TO_MEND = dt.timedelta(hours=1)": "TIME_TO_MEND = dt.timedelta(seconds=45)",
    "=300": "=5",
    'schedule="@weekly"': "schedule=None",
}


def day(lake: Path, number: int) -> Path:
    return directory(lake, FROM_MS + number * DAY, FROM_MS + (number + 1) * DAY)


def harm(lake: Path) -> None:
    shutil.rmtree(day(lake, GAP).parent)
    (day(lake, CUT) / "calls.jsonl.gz").write_bytes(b"\x1f\x8b")
    calls = [record(f"call-{number}", FROM_MS + number * DAY) for number in (DUPLICATE, 0)]
    rewrite(day(lake, DUPLICATE), calls)


def test_what_the_weekly_audit_finds_is_run_again_and_the_lake_is_whole(tmp_path):
    dags, lake, reports = tmp_path / "dags", tmp_path / "lake", tmp_path / "reports"
    dags.mkdir()
    text = (ROOT / "example_dags" / f"{WEEKLY}.py").read_text(encoding="utf-8")
    for old, new in CHANGES.items():
        assert old in text
        text = text.replace(old, new)
    (dags / f"{WEEKLY}.py").write_text(text, encoding="utf-8")
    shutil.copy(Path(__file__).parent / "cures_dags" / "cures.py", dags)
    api = SynthflowApi([make_call(f"call-{number}", number * DAY + HOUR) for number in range(DAYS)])
    with serve(api) as server, serve_recordings(api):
        env = {
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
            ),
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "120",  # a beat writes, beside which a command fails
            "CURES_LAKE": str(lake),
            "SYNTHFLOW_AIRFLOW_DATABASE": f"sqlite:///{tmp_path / 'home' / 'airflow.db'}",
            "SYNTHFLOW_OUTPUT_PATH": str(lake),
            "SYNTHFLOW_REPORT_PATH": f"{reports}/",
        }
        with AirflowDeployment(tmp_path / "home", dags, env) as airflow:
            airflow.wait_for(lambda: {"daily", WEEKLY} <= airflow.dag_ids(), "the DAGs are known")
            airflow.wait_for(lambda: count(airflow, "daily", "success") == DAYS, "the lake is made", timeout=240)
            harm(lake)
            airflow.rest("POST", f"/dags/{WEEKLY}/dagRuns", {"dag_run_id": "week", "logical_date": None})
            airflow.wait_for(lambda: state(airflow, "cure") == "running", "the cures begin", timeout=120)
            with paused(airflow):
                airflow.wait_for(lambda: state(airflow, "cure") != "running", "the cures have run", timeout=120)
            airflow.wait_for(lambda: state(airflow) in {"success", "failed"}, "the week's audit is done", timeout=240)
            tasks = airflow.rest("GET", f"/dags/{WEEKLY}/dagRuns/week/taskInstances")["task_instances"]
            found = airflow.rest("GET", f"/dags/{WEEKLY}/dagRuns/week/taskInstances/audit/xcomEntries/return_value")
            log = airflow.log.read_text(errors="replace")[-3000:]

    assert {each["task_id"]: each["state"] for each in tasks} == dict.fromkeys(
        ["audit", "cure", "mended", "audit_again"], "success"
    ), log
    first = json.loads(found["value"]) if isinstance(found["value"], str) else found["value"]
    assert {(each["finding"], each["from_date"]) for each in first["findings"]} >= {
        (kind, format_instant(FROM_MS + number * DAY))
        for kind, number in (("gap", GAP), ("damaged", CUT), ("duplicate", DUPLICATE))
    }
    assert [path.name for path in reports.iterdir()] == ["synthflow-audit.html"]


def count(airflow: AirflowDeployment, dag_id: str, state: str) -> int:
    number: int = airflow.rest("GET", f"/dags/{dag_id}/dagRuns?state={state}")["total_entries"]
    return number


def state(airflow: AirflowDeployment, task_id: str | None = None) -> str:
    task = "" if task_id is None else f"/taskInstances/{task_id}"
    told: str = airflow.rest("GET", f"/dags/{WEEKLY}/dagRuns/week{task}")["state"]
    return told


@contextlib.contextmanager
def paused(airflow: AirflowDeployment) -> Iterator[None]:
    """Hold on what makes SQLite busy, since a command finds no room there beside it; its tasks go on."""
    busy = [psutil.Process(airflow.components[name].pid) for name in ("scheduler", "dag-processor", "triggerer")]
    while True:
        for process in busy:
            process.suspend()
        with contextlib.closing(sqlite3.connect(airflow.database, timeout=0.2)) as database:
            try:
                database.execute("BEGIN IMMEDIATE")
                break
            except sqlite3.OperationalError:  # held on in the middle of a change
                for process in busy:
                    process.resume()
                time.sleep(0.1)
    try:
        yield
    finally:
        for process in busy:
            process.resume()
