# SPDX-License-Identifier: Apache-2.0
"""
The command that an audit gives for each of its findings, run in a real Airflow: afterwards it finds nothing.

Two DAGs make a lake, which is then harmed, a day for each kind of finding, while calls come late at the API. The
commands are run as they stand, by a shell.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, SynthflowApi, serve, serve_recordings
from tests.unit.auditing.lakes import directory, record, rewrite, write_window
from tests.unit.making import DAY, FROM_MS, HOUR, make_call
from tests.versions import needs_airflow

pytestmark = [pytest.mark.long, needs_airflow("3.0", "runs without a logical date")]

DAGS = Path(__file__).parent / "cures_dags"
DAYS = 9
PROMISE = {"recording_url": "https://recordings.invalid/a", "recording_duration": "60"}
OVERLAP, GAP, CUT, STRAY, DUPLICATE, UNSETTLED, CHANGED, UNRECORDED, REMOVED = range(DAYS)
"""The day of each harm, as days since the first of March."""

HARMS = {
    ("agent-1", OVERLAP, "overlap"): "rm -r -- ",
    ("agent-1", GAP, "gap"): "airflow backfill create --dag-id daily --from-date 2024-03-02T00:00:01Z ",
    ("agent-1", CUT, "damaged"): "airflow tasks clear daily --task-regex extract ",
    ("agent-1", STRAY, "damaged"): "rm -- ",
    ("agent-1", DUPLICATE, "duplicate"): "airflow tasks clear daily --task-regex extract ",
    ("agent-1", UNSETTLED, "unsettled"): "airflow tasks clear daily --task-regex extract --downstream ",
    ("agent-1", CHANGED, "changed"): "airflow tasks clear daily --task-regex extract --downstream ",
    ("agent-1", CHANGED, "differs"): f"{Path(sys.executable).name} -m airflow_provider_synthflow.audit ",
    ("agent-1", UNRECORDED, "unrecorded"): "airflow tasks clear daily --task-regex record ",
    ("agent-1", REMOVED, "damaged"): "airflow tasks clear daily --task-regex record ",
    ("agent-2", 0, "damaged"): 'curl --fail --request POST "$AIRFLOW_URL/api/v2/dags/dateless/clearTaskInstances" ',
}
"""What is found, and how the command begins that cures it."""


def make_api() -> SynthflowApi:
    calls = [
        make_call(f"call-{day}-{number}", day * DAY + number * HOUR, **PROMISE)
        for day in range(DAYS)
        for number in range(3)
    ]
    calls.append(make_call("open", UNSETTLED * DAY + 5 * HOUR, lasts=None))
    calls.append(make_call("other", HOUR, agent="agent-2"))
    api = SynthflowApi(calls)
    api.recordings.statuses[f"call-{UNRECORDED}-1"] = 404
    return api


class World:
    """A lake, the Airflow that makes it, and the API that it is of."""

    def __init__(self, deployment: AirflowDeployment, api: SynthflowApi, lake: Path) -> None:
        self.deployment = deployment
        self.api = api
        self.lake = lake
        self.before: list[dict[str, str]] = []
        self.after: list[dict[str, str]] = []
        self.told: dict[str, tuple[int, str]] = {}

    def wait_for_runs(self, count: int) -> None:
        self.deployment.wait_for(
            lambda: self._count_by_state() == {"success": count}, f"{count} runs succeed", timeout=420
        )

    def _count_by_state(self) -> dict[str, int]:
        with contextlib.closing(sqlite3.connect(self.deployment.database)) as database:
            return dict(database.execute("SELECT state, count(*) FROM dag_run GROUP BY state"))

    def audit(self) -> list[dict[str, str]]:
        command = [sys.executable, "-m", "airflow_provider_synthflow.audit", str(self.lake), "--analytics", "--json"]
        done = subprocess.run(  # noqa: S603 - our own
            command, env=self.deployment.env, capture_output=True, text=True, check=False
        )
        assert done.returncode in {0, 1}, done.stderr
        found: list[dict[str, str]] = json.loads(done.stdout)["findings"]
        return found

    def day(self, number: int, agent: str = "agent-1") -> Path:
        return directory(self.lake, FROM_MS + number * DAY, FROM_MS + (number + 1) * DAY, agent)

    def harm(self) -> None:
        begin = FROM_MS + OVERLAP * DAY
        calls = [record("call-0-0", begin)]
        write_window(self.lake, begin, begin + 6 * HOUR, calls, dag_id=None, total_records=None)
        shutil.rmtree(self.day(GAP).parent)
        (self.day(CUT) / "calls.jsonl.gz").write_bytes(b"\x1f\x8b")
        (self.day(STRAY) / "calls.jsonl").write_bytes(b"{}\n")
        begin = FROM_MS + DUPLICATE * DAY
        stored = [record(f"call-{DUPLICATE}-{number}", begin + number * HOUR, **PROMISE) for number in range(3)]
        rewrite(self.day(DUPLICATE), [record(f"call-{STRAY}-0", FROM_MS + STRAY * DAY), *stored])
        self.api.remove("open")
        self.api.add(make_call("open", UNSETTLED * DAY + 5 * HOUR, **PROMISE))
        self.api.add(make_call("late", CHANGED * DAY + 5 * HOUR, **PROMISE))
        del self.api.recordings.statuses[f"call-{UNRECORDED}-1"]
        (self.day(REMOVED) / "recordings" / f"call-{REMOVED}-0.mp3").unlink()
        (self.day(0, "agent-2") / "calls.jsonl.gz").unlink()

    def cure(self) -> None:
        """Run each command as it stands."""
        deployment = self.deployment
        others = ("scheduler", "dag-processor", "triggerer")
        for component in others:  # SQLite has no room for commands beside those that write all the time
            deployment.kill(component)
        token = json.loads(deployment._send("GET", "/auth/token"))["access_token"]
        env = deployment.env | {"AIRFLOW_URL": deployment.url, "AIRFLOW_TOKEN": token}
        for command in dict.fromkeys(finding["cure"] for finding in self.before):
            done = subprocess.run(["/bin/bash", "-c", command], env=env, capture_output=True, text=True, check=False)  # noqa: S603
            self.told[command] = done.returncode, done.stdout + done.stderr
            assert done.returncode == 0 or "synthflow.audit" in command, f"{command}\n{done.stdout}\n{done.stderr}"
        deployment.start(*others)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cures")
    api, lake = make_api(), folder / "lake"
    with serve(api) as server, serve_recordings(api):
        connection = {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
        env = {"AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(connection), "CURES_LAKE": str(lake)}
        with AirflowDeployment(folder / "airflow", DAGS, env) as deployment:
            world = World(deployment, api, lake)
            deployment.wait_for(lambda: deployment.dag_ids() >= {"daily", "dateless"}, "the DAGs are known")
            deployment.rest("POST", "/dags/dateless/dagRuns", {"logical_date": None, "dag_run_id": "once"})
            world.wait_for_runs(DAYS + 1)
            world.harm()
            world.before = world.audit()
            world.cure()
            deployment.wait_for((world.day(GAP) / "_manifest.json").exists, "the gap is filled", timeout=240)
            world.wait_for_runs(DAYS + 1)
            world.after = world.audit()
    return world


def key(finding: dict[str, str]) -> tuple[Any, ...]:
    return finding["model_id"], int(finding["from_date"][8:10]) - 1, finding["finding"]


def test_each_harm_is_found_and_its_cure_is_of_its_kind(world):
    # What is not final counts for the API's analytics, and a day's late call counts for them, too.
    found = {key(finding): finding["cure"] for finding in world.before}

    assert found.keys() == HARMS.keys()
    assert {each: found[each].startswith(begin) for each, begin in HARMS.items()} == dict.fromkeys(HARMS, True)


def test_after_the_cures_nothing_is_found(world):
    assert world.after == [], world.told
