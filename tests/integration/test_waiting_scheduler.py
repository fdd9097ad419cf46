# SPDX-License-Identifier: Apache-2.0
"""
Waiting on a real Airflow: the same answers in every mode, no worker held, nothing secret in the database.

One deployment runs everything: tasks that wait in each way, and the example DAGs that wait or are started by events.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import shutil
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.airflow_deployment import COMPONENTS, AirflowDeployment
from tests.synthflow_server import TEST_KEY, SynthflowApi, make_calls, serve
from tests.unit.making import FROM_MS, make_call, read_file
from tests.versions import AIRFLOW as VERSION
from tests.versions import needs_airflow

pytestmark = pytest.mark.long

DAGS = Path(__file__).parent / "waiting_dags"
EXAMPLES = DAGS.parents[2] / "example_dags"
AGENT = "waited-for"
BUSY_AGENT = "busy"
BEGIN_MS = FROM_MS
HOUR_MS = 3_600_000
TIMEOUT = 150 if VERSION >= (3, 0) else 400  # Airflow 2 runs one task at a time over SQLite
ENDED = {"success", "failed", "skipped", "upstream_failed"}

watchers = needs_airflow("3.0", "asset watchers")


class Waits:
    """Run the DAGs, and keep what was seen of them."""

    def __init__(self, deployment: AirflowDeployment, api: SynthflowApi, folder: Path) -> None:
        self.deployment = deployment
        self.api = api
        self.records = folder / "records.jsonl"
        self.output = folder / "output"
        self.stored: set[str] = set()
        self.seen_waiting: set[tuple[str, str]] = set()
        self.left_behind: list[str] = []

    def query(self, sql: str, *values: Any) -> list[Any]:
        with contextlib.closing(sqlite3.connect(self.deployment.database, timeout=30)) as database:
            return database.execute(sql, values).fetchall()

    def states(self, dag_id: str = "waits") -> dict[str, str]:
        found = dict(self.query("SELECT task_id, state FROM task_instance WHERE dag_id = ?", dag_id))
        if dag_id == "waits":
            self.seen_waiting |= {(task, state) for task, state in found.items() if state}
            if "deferred" in found.values():
                self.keep_what_is_stored()
        return found

    def returned(self) -> dict[str, Any]:
        lines = self.records.read_text().splitlines() if self.records.exists() else []
        return {record["task"]: record["returned"] for record in map(json.loads, lines)}

    def keep_what_is_stored(self) -> None:
        """Read all that Airflow has in its database of the deferred tasks, decrypted where it is encrypted."""
        fernet = Fernet(self.deployment.env["AIRFLOW__CORE__FERNET_KEY"].encode())
        rows = self.query("SELECT classpath, kwargs FROM trigger")
        texts = []
        for classpath, kwargs in rows:
            plain = kwargs if kwargs.startswith("{") else fernet.decrypt(kwargs.encode()).decode()
            texts.append(f"{classpath} {plain}")
        texts += [str(row) for row in self.query("SELECT task_id, next_method, next_kwargs FROM task_instance")]
        self.stored |= set(texts)

    def reschedules(self, task_id: str) -> int:
        columns = {row[1] for row in self.query("PRAGMA table_info(task_reschedule)")}
        by = "ti_id = task_instance.id" if "ti_id" in columns else "task_reschedule.task_id = task_instance.task_id"
        return self.query(
            f"SELECT count(*) FROM task_reschedule JOIN task_instance ON {by} WHERE task_instance.task_id = ?",  # noqa: S608
            task_id,
        )[0][0]


def connection(url: str, key: str) -> str:
    return json.dumps({"conn_type": "synthflow", "host": url, "password": key})


@pytest.fixture(scope="module")
def waits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("waiting")
    dags = folder / "dags"
    shutil.copytree(DAGS, dags)
    shutil.copy(EXAMPLES / "synthflow_sensor_then_files.py", dags)
    if VERSION >= (3, 0):
        shutil.copy(EXAMPLES / "synthflow_new_calls_event.py", dags)
    now_ms = time.time_ns() // 1_000_000
    day_ms = now_ms // 86_400_000 * 86_400_000
    calls = make_calls(3, 300, agents=[BUSY_AGENT], from_ms=day_ms - 86_400_000, to_ms=now_ms - HOUR_MS)
    calls.append(make_call("the-first-one", agent=AGENT))
    with serve(SynthflowApi(calls)) as server:
        deployment = AirflowDeployment(
            folder / "home",
            dags,
            {
                "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": connection(server.url, TEST_KEY),
                # what Airflow itself has over SQLite on a busy machine is not what is tested
                "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "3",
                "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "1",
                "AIRFLOW_CONN_WRONG": connection(server.url, "wrong-key-987654"),
                "SYNTHFLOW_MODEL_ID": BUSY_AGENT,
                "SYNTHFLOW_MIN_CALLS": "20",
                "SYNTHFLOW_OUTPUT_PATH": str(folder / "output"),
                "WAITING_RECORDS": str(folder / "records.jsonl"),
            },
        )
        waits = Waits(deployment, server.api, folder)
        try:
            run(waits)
        finally:
            deployment.stop()
        waits.left_behind = [process.name() for process in deployment.processes()]
        yield waits


def run(waits: Waits) -> None:
    deployment = waits.deployment
    begun = time.monotonic()
    deployment.start(*COMPONENTS[:2])
    deployment.wait_for(
        lambda: {"waits", "synthflow_sensor_then_files"} <= deployment.dag_ids(), "the DAGs are known", timeout=60
    )
    deployment.start(*COMPONENTS[2:])
    start = dt.datetime.fromtimestamp(BEGIN_MS / 1000, dt.timezone.utc)
    # The window ends once the tasks that are to wait for it wait, however slow the machine is today.
    seconds = max(35.0, 2 * (time.monotonic() - begun)) if VERSION >= (3, 0) else 150.0
    end = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=seconds)
    conf = {"from": start.isoformat(), "to": end.isoformat(timespec="milliseconds")}
    deployment.commands([["dags", "trigger", "waits", "--conf", json.dumps(conf)]])
    both = {("deferred", "deferred"), ("operator_deferred", "deferred")}
    deployment.wait_for(lambda: waits.states() and both <= waits.seen_waiting, "tasks are deferred", timeout=TIMEOUT)
    waits.api.add(*[make_call(f"later-{number}", 1000 + number, agent=AGENT) for number in range(2)])
    deployment.wait_for(
        lambda: (states := waits.states()) and set(states.values()) <= ENDED and len(states) == 13,
        "all tasks ended",
        timeout=TIMEOUT,
    )
    for dag_id in ("synthflow_sensor_then_files", *(["synthflow_new_calls_event"] if VERSION >= (3, 0) else [])):
        deployment.wait_for(
            lambda dag_id=dag_id: (states := waits.states(dag_id)) and set(states.values()) <= ENDED,
            f"{dag_id} ran",
            timeout=TIMEOUT,
        )


def test_a_sensor_gives_the_same_xcom_in_every_mode(waits):
    returned = waits.returned()

    assert returned["poke"]["count"] == 3
    assert returned["poke"] == returned["reschedule"] == returned["deferred"]
    assert returned["poke"].keys() == {"model_id", "from_date", "count", "newest_start_time"}


def test_an_operator_gives_the_same_result_whichever_way_it_waited(waits):
    deferred, rescheduled = (waits.returned()[f"operator_{way}"] for way in ("deferred", "rescheduled"))
    changing = {"extracted_at": None, "requests": None, "task_id": None}

    assert {**deferred, **changing} == {**rescheduled, **changing}
    assert deferred["count"] == 3


def test_no_worker_is_held_while_a_task_waits(waits):
    assert ("deferred", "deferred") in waits.seen_waiting
    assert ("operator_deferred", "deferred") in waits.seen_waiting
    assert ("operator_rescheduled", "up_for_reschedule") in waits.seen_waiting
    assert waits.reschedules("operator_rescheduled") == 1  # not again and again


def test_a_deferred_sensor_ends_at_its_timeout_and_softly_where_it_is_to(waits):
    assert waits.states()["late"] == "failed"
    assert waits.states()["late_softly"] == "skipped"


def test_a_wrong_key_fails_at_once_and_without_retries(waits):
    assert waits.states()["wrong_key"] == "failed"
    assert waits.query("SELECT try_number FROM task_instance WHERE task_id = 'wrong_key'")[0][0] == 1


def test_the_database_holds_of_a_deferred_task_neither_call_nor_key(waits):
    stored = "\n".join(waits.stored)
    for name in ("SynthflowNewCallsTrigger", "DateTimeTrigger", "execute_complete"):
        assert name in stored
    calls = [*waits.api.all_calls(AGENT), *waits.api.all_calls(BUSY_AGENT)]
    secrets = {TEST_KEY, *(call.call_id for call in calls)}
    secrets |= {call.record.get(name) or TEST_KEY for call in calls for name in ("phone_number_from", "transcript")}
    assert {secret for secret in secrets if secret in stored} == set()


@watchers
def test_the_example_that_new_calls_start_writes_each_call_once(waits):
    cell = 900_000
    files = [path for path in waits.output.rglob("calls.jsonl.gz") if "T000000Z" not in str(path)]
    assert len(files) > 1
    for path in files:
        manifest = json.loads((path.parent / "_manifest.json").read_text())
        from_ms = int(dt.datetime.fromisoformat(manifest["from_date"].replace("Z", "+00:00")).timestamp() * 1000)
        assert from_ms % cell == 0
        expected = {c.call_id for c in waits.api.all_calls(BUSY_AGENT) if from_ms <= c.start_ms < from_ms + cell}
        ids = [call["call_id"] for call in read_file(path)]
        assert len(ids) == len(set(ids))
        assert set(ids) == expected


def test_the_example_that_waits_for_calls_writes_the_day(waits):
    states = waits.states("synthflow_sensor_then_files")

    assert states == {"new_calls": "success", "calls": "success"}


def test_the_deployment_leaves_no_process_behind(waits):
    assert waits.left_behind == []
