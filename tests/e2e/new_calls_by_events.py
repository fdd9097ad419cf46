# SPDX-License-Identifier: Apache-2.0
"""
Calls arrive in bursts over two minutes while the triggerer is killed twice: the files of each DAG hold each once.

One DAG reads an agent, one two agents by two assets, one is paused for the first minute. Takes three minutes, so that
it is no part of `make test`: ``make e2e-events``.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, SynthflowApi, serve
from tests.unit.making import FROM_MS, make_call, read_file
from tests.versions import needs_airflow

DAGS = Path(__file__).parent / "event_dags"
AGENT = "watched"
BESIDE = "beside"
"""Another agent, which one of the DAGs reads in the same task; it has a call in each burst."""

DAG_IDS = ("events", "events_of_two", "events_paused")
CALLS = 500
SECONDS = 120
BURSTS = 25
KILLS = (35, 80)
"""Seconds after the start."""

NEW_CALLS = ("new_calls", "new_calls_later")
UNPAUSED = 60
"""Seconds after the start, for the DAG that is paused until then."""

pytestmark = needs_airflow("3.0", "asset watchers")


class Outcome:
    """
    Hold what there is in the end.

    :param api: the server, which knows every call
    :param output: where the files are
    """

    def __init__(self, api: SynthflowApi, output: Path) -> None:
        self.api = api
        self.output = output
        self.events: list[tuple[str, dict[str, Any]]] = []
        """The asset's name and the payload of each event that Airflow stored."""
        self.cursors: list[tuple[str, str]] = []
        """The asset's name and the value of each cursor in the assets' states."""

    def written(self, dag_id: str) -> list[str]:
        return [call["call_id"] for path in (self.output / dag_id).rglob("calls.jsonl") for call in read_file(path)]

    def expected(self, dag_id: str) -> set[str]:
        agents = [AGENT, BESIDE] if dag_id == "events_of_two" else [AGENT]
        return {call.call_id for agent in agents for call in self.api.all_calls(agent)}

    def told(self, asset: str) -> int:
        return sum(payload["count"] for name, payload in self.events if name == asset)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("events")
    with serve(SynthflowApi()) as server:
        deployment = AirflowDeployment(
            folder / "home",
            DAGS,
            {
                "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                    {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
                ),
                "SYNTHFLOW_OUTPUT_PATH": str(folder / "output"),
            },
        )
        with deployment:
            deployment.wait_for(lambda: set(DAG_IDS) <= deployment.dag_ids(), "the DAGs are known")
            let_calls_come(server.api, deployment)
            outcome = Outcome(server.api, folder / "output")
            deployment.wait_for(
                lambda: all(set(outcome.written(dag_id)) >= outcome.expected(dag_id) for dag_id in DAG_IDS),
                "every call is in a file",
                timeout=120,
            )
            time.sleep(8)  # what might come twice would come now
            outcome.events = [
                (name, json.loads(extra)["payload"])
                for name, extra in query(
                    deployment,
                    "SELECT name, asset_event.extra FROM asset_event JOIN asset ON asset.id = asset_event.asset_id",
                )
            ]
            with contextlib.suppress(sqlite3.OperationalError):  # before Airflow 3.3
                outcome.cursors = query(
                    deployment,
                    "SELECT name, value FROM asset_state_store JOIN asset ON asset.id = asset_state_store.asset_id",
                )
        yield outcome


def let_calls_come(api: SynthflowApi, deployment: AirflowDeployment) -> None:
    """Add calls in bursts, each a little after its start as the API lists it, and kill the triggerer on the way."""
    drawn = random.Random(5)  # noqa: S311 - places calls, guards nothing
    begun, kills, made, is_paused = time.monotonic(), list(KILLS), 0, True
    while made < CALLS:
        elapsed = time.monotonic() - begun
        if is_paused and elapsed > UNPAUSED:
            is_paused = False
            deployment.commands([["dags", "unpause", "events_paused"]])
        if kills and elapsed > kills[0]:
            kills.pop(0)
            kill_and_restart_triggerer(deployment)
        if elapsed >= SECONDS * (made / CALLS):
            now_ms = time.time_ns() // 1_000_000
            burst = [
                make_call(f"call-{made + number:03}", now_ms - drawn.randint(0, 1500) - FROM_MS, agent=AGENT, lasts=500)
                for number in range(CALLS // BURSTS)
            ]
            beside = make_call(f"beside-{made:03}", now_ms - FROM_MS, agent=BESIDE, lasts=500)
            api.add(*burst, beside)
            made += len(burst)
        time.sleep(0.2)


def kill_and_restart_triggerer(deployment: AirflowDeployment) -> None:
    triggerer = deployment.components.pop("triggerer")
    os.killpg(triggerer.pid, signal.SIGKILL)  # and the process in which the triggers run
    triggerer.wait()
    deployment.start("triggerer", timeout=60)


def query(deployment: AirflowDeployment, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(deployment.database, timeout=30)) as database:
        return database.execute(sql).fetchall()


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_the_files_hold_all_calls_each_once(outcome, dag_id):
    written = outcome.written(dag_id)

    assert len(written) == len(set(written)) == CALLS + (BURSTS if dag_id == "events_of_two" else 0)
    assert set(written) == outcome.expected(dag_id)


def test_each_file_holds_what_its_cell_holds(outcome):
    for path in outcome.output.rglob("_manifest.json"):
        manifest = json.loads(path.read_text())
        assert manifest["count"] == len(read_file(path.parent / "calls.jsonl"))


def test_the_events_hold_bounds_and_counts_and_nothing_else(outcome):
    assert len(outcome.events) > 3
    for _, payload in outcome.events:
        assert payload.keys() == {"model_id", "from_date", "to_date", "window", "count"}


@needs_airflow("3.3", "the state of assets")
def test_the_cursors_are_kept_so_that_a_restart_repeats_little(outcome):
    """Two assets with equal watchers have one trigger, and each a cursor of its own."""
    assert sorted(name for name, _ in outcome.cursors) == ["also_new_calls", "calls_beside", *NEW_CALLS]
    for asset in ("also_new_calls", *NEW_CALLS):
        assert CALLS <= outcome.told(asset) < 1.5 * CALLS
    assert BURSTS <= outcome.told("calls_beside") < 2 * BURSTS
