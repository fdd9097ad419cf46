# SPDX-License-Identifier: Apache-2.0
"""On a real Airflow whose task state outlives a try, the retry of a killed task takes up its pages."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.airflow_deployment import COMPONENTS, AirflowDeployment
from tests.synthflow_server import Behaviour, SynthflowApi, serve
from tests.unit.making import many_calls
from tests.versions import needs_airflow

pytestmark = [
    pytest.mark.long,
    needs_airflow("3.3", "the state of a task, which `resume_path` needs"),
]

DAGS = Path(__file__).parent / "resuming_dags"
CALLS = 600
ROWS = 10
ENOUGH = 15


def query(deployment: AirflowDeployment, sql: str) -> list:
    with contextlib.closing(sqlite3.connect(deployment.database, timeout=30)) as database:
        return database.execute(sql).fetchall()


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    """Run the task, kill its process twice in the middle of its window, and return what came of it."""
    folder = tmp_path_factory.mktemp("resumed")
    with serve(SynthflowApi(many_calls(CALLS), behaviour=Behaviour(max_rows=ROWS, latency_s=0.3))) as server:
        connection = json.dumps({"conn_type": "synthflow", "host": server.url, "password": "test-key-0123456789"})
        env = {"AIRFLOW_CONN_SYNTHFLOW_DEFAULT": connection, "RESUMED_FOLDER": str(folder)}
        deployment = AirflowDeployment(folder / "home", DAGS, env)
        try:
            deployment.start(*COMPONENTS[:3])
            deployment.wait_for(lambda: "resumed" in deployment.dag_ids(), "the DAG is known")
            deployment.cli("dags", "trigger", "resumed")
            for number in (1, 2):
                kill(deployment, folder, number)
            deployment.wait_for(
                # Airflow 3.4 has a row for each try, an older one only that of the last.
                lambda: query(deployment, "SELECT state FROM task_instance WHERE try_number = 3") == [("success",)],
                "the third try succeeded",
                timeout=120,
            )
            yield SimpleNamespace(
                folder=folder,
                states=query(deployment, "SELECT * FROM task_state_store"),
                logs={path.name: path.read_text() for path in (folder / "home" / "logs").rglob("attempt=*.log")},
            )
        finally:
            deployment.stop()


def kill(deployment: AirflowDeployment, folder: Path, number: int) -> None:
    """Kill a try's process once it has kept enough more pages."""
    told = folder / f"try-{number}.pid"
    deployment.wait_for(told.exists, f"try {number} began", timeout=120)
    deployment.wait_for(
        lambda: len(list((folder / "resume").rglob("*.pages"))) >= number * ENOUGH, f"try {number} kept pages"
    )
    os.kill(int(told.read_text()), signal.SIGKILL)


def test_the_retry_takes_up_what_both_killed_tries_had_read(resumed):
    (manifest,) = (json.loads(path.read_text()) for path in (resumed.folder / "output").rglob("_manifest.json"))

    assert manifest["count"] == CALLS
    assert manifest["walks"] == 1
    assert manifest["requests"] <= manifest["pages"] - 2 * ENOUGH + 4
    assert "pages of an earlier try are used again" in resumed.logs["attempt=3.log"]


def test_every_call_is_in_the_file_once_and_in_order(resumed):
    (file,) = (resumed.folder / "output").rglob("calls.jsonl")
    ids = [json.loads(line)["call_id"] for line in file.read_text().splitlines()]

    assert ids == [f"call-{number:04}" for number in range(CALLS)]


def test_neither_pages_nor_what_was_remembered_of_them_are_left(resumed):
    assert list((resumed.folder / "resume").iterdir()) == []
    assert resumed.states == []
