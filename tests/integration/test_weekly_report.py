# SPDX-License-Identifier: Apache-2.0
"""On a real Airflow, the events of daily partitions start a week's report once, when the last of its days is there."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, SynthflowApi, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS
from tests.versions import needs_airflow

pytestmark = [pytest.mark.long, needs_airflow("3.3", "rolling partitions up")]

FOLDER = Path(__file__).resolve().parents[2] / "example_dags"
DAYS_DAG, WEEK_DAG = "synthflow_daily_partitions", "synthflow_weekly_report"
MONDAY_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
DAYS = [f"2026-01-{day:02}" for day in range(5, 12)]
AGENTS = ["agent-a", "agent-b"]


def test_a_week_is_reported_once_all_seven_days_are_there(tmp_path):
    dags, output = tmp_path / "dags", tmp_path / "output"
    dags.mkdir()
    for name in (DAYS_DAG, WEEK_DAG):
        (dags / f"{name}.py").write_text((FOLDER / f"{name}.py").read_text(encoding="utf-8"), encoding="utf-8")
    calls = make_calls(3, 400, agents=AGENTS, from_ms=MONDAY_MS, to_ms=MONDAY_MS + 7 * DAY_MS)
    with serve(SynthflowApi(calls)) as server:
        env = {
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
            ),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "SYNTHFLOW_MODEL_ID": ",".join(AGENTS),
            "SYNTHFLOW_OUTPUT_PATH": str(output),
        }
        with AirflowDeployment(tmp_path / "home", dags, env) as airflow:
            airflow.wait_for(lambda: {DAYS_DAG, WEEK_DAG} <= airflow.dag_ids(), "the DAGs are known")
            # Not in their order, one of them twice, and the last once the others are done.
            for number, day in enumerate([*DAYS[3:6], *DAYS[:3], DAYS[0]]):
                extract(airflow, day, f"{number}")
            before = airflow.rest("GET", f"/dags/{WEEK_DAG}/dagRuns")["total_entries"]
            extract(airflow, DAYS[6], "last")
            airflow.wait_for(
                lambda: airflow.rest("GET", f"/dags/{WEEK_DAG}/dagRuns?state=success")["total_entries"] == 1,
                "the week's report is done",
                timeout=120,
            )
            keys = Counter(
                event["partition_key"]
                for event in airflow.rest("GET", f"/assets/events?source_dag_id={DAYS_DAG}&limit=100")["asset_events"]
            )

    assert before == 0
    assert {f"{day}T00:00:00" for day in DAYS} <= keys.keys()
    assert keys[f"{DAYS[0]}T00:00:00"] == 2
    with (output / f"weekly/{DAYS[0]}.csv").open() as lines:
        rows = {row.pop("model_id"): {name: int(value) for name, value in row.items()} for row in csv.DictReader(lines)}
    for agent in AGENTS:
        counts = Counter((call.start_ms - MONDAY_MS) // DAY_MS for call in server.api.all_calls(agent))
        expected = {day: counts[number] for number, day in enumerate(DAYS)}
        assert rows[agent] == {**expected, "week": sum(expected.values())}


def extract(airflow: AirflowDeployment, day: str, run_id: str) -> None:
    """Run the day's extraction, and wait until it is done."""
    body = {"dag_run_id": run_id, "logical_date": None, "partition_key": f"{day}T00:00:00"}
    airflow.rest("POST", f"/dags/{DAYS_DAG}/dagRuns", body)
    airflow.wait_for(
        lambda: airflow.rest("GET", f"/dags/{DAYS_DAG}/dagRuns/{run_id}")["state"] == "success",
        f"the calls of {day} are written",
        timeout=120,
    )
