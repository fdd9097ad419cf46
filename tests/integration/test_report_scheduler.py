# SPDX-License-Identifier: Apache-2.0
"""On a real Airflow, an extraction tells its asset, and the report that is scheduled on it has the right numbers."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, SynthflowApi, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS
from tests.versions import AIRFLOW

pytest.importorskip("duckdb")
pytestmark = pytest.mark.long

FOLDER = Path(__file__).resolve().parents[2] / "example_dags"
NAMES = ("synthflow_daily_to_files", "synthflow_report")
FROM_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
AGENTS = ["agent-a", "agent-b"]
ASSET = "asset" if AIRFLOW >= (3, 0) else "dataset"
"""What Airflow calls it."""


class Ran:
    """
    Hold what the DAGs did.

    :param output: the directory of the files
    :param api: the server that they asked
    :param event: the asset's event
    :param returned: what the extraction returned
    """

    def __init__(self, output: Path, api: SynthflowApi, event: dict[str, Any], returned: Any) -> None:
        self.output = output
        self.api = api
        self.event = event
        self.returned = returned


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    dags, output = folder / "dags", folder / "output"
    dags.mkdir()
    for name in NAMES:
        (dags / f"{name}.py").write_text((FOLDER / f"{name}.py").read_text(encoding="utf-8"), encoding="utf-8")
    calls = make_calls(5, 300, agents=AGENTS, from_ms=FROM_MS, to_ms=FROM_MS + DAY_MS)
    with serve(SynthflowApi(calls)) as server:
        connection = {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
        env = {
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(connection),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "SYNTHFLOW_MODEL_ID": ",".join(AGENTS),
            "SYNTHFLOW_OUTPUT_PATH": str(output),
        }
        with AirflowDeployment(folder / "home", dags, env) as deployment:

            def reported() -> bool:
                return deployment.rest("GET", f"/dags/{NAMES[1]}/dagRuns?state=success")["total_entries"] > 0

            deployment.wait_for(lambda: set(NAMES) <= deployment.dag_ids(), "the DAGs are known")
            # The daily run of today comes by itself, and Airflow keeps an event that arrives while it makes a run of an
            # earlier one until the next event: so that one's report is to be done before the day that is looked at.
            deployment.wait_for(reported, "the report of the daily run is done", timeout=120)
            body = {"dag_run_id": "by_test", "logical_date": "2026-01-06T00:00:00Z"}
            deployment.rest("POST", f"/dags/{NAMES[0]}/dagRuns", body)

            def ended() -> str | None:
                return deployment.rest("GET", f"/dags/{NAMES[0]}/dagRuns/by_test")["state"] == "success"

            deployment.wait_for(ended, "the extraction ended well", timeout=120)
            deployment.wait_for(lambda: list(output.glob("report/2026-01-05.html")), "the report is there", timeout=120)
            events = deployment.rest("GET", f"/{ASSET}s/events?source_dag_id={NAMES[0]}&source_run_id=by_test")
            place = f"/dags/{NAMES[0]}/dagRuns/by_test/taskInstances/calls/xcomEntries/return_value"
            returned = deployment.rest("GET", f"{place}?deserialize=false&stringify=false")["value"]
    return Ran(output, server.api, events[f"{ASSET}_events"][0], returned)


def test_the_event_says_what_the_task_returned(ran):
    told = ran.event["extra"]["results"]

    assert ran.event["name" if AIRFLOW >= (3, 0) else "dataset_uri"] == "synthflow_calls"
    assert told == ran.returned
    assert [each["model_id"] for each in told] == AGENTS
    assert all(Path(each["path"]).exists() and "calls" not in each for each in told)


def test_the_report_has_the_numbers_of_the_calls(ran):
    expected = []
    for agent in AGENTS:
        records = [c.record for c in ran.api.all_calls(agent) if FROM_MS <= c.start_ms < FROM_MS + DAY_MS]
        answered = sum(record["call_status"] == "completed" for record in records)
        minutes = sum(record["duration"] or 0 for record in records) / 60
        expected.append((agent, "2026-01-05", len(records), answered, answered / len(records), minutes))

    with (ran.output / "report/2026-01-05.csv").open() as lines:
        rows = list(csv.DictReader(lines))

    assert [(row["model_id"], row["day"], int(row["calls"]), int(row["answered"])) for row in rows] == [
        each[:4] for each in expected
    ]
    for row, each in zip(rows, expected, strict=True):
        assert float(row["answer_rate"]) == pytest.approx(each[4], abs=0.0001)
        assert float(row["minutes"]) == pytest.approx(each[5], abs=0.01)


def test_the_report_is_one_to_look_at(ran):
    page = (ran.output / "report/2026-01-05.html").read_text()

    assert page.count("<rect") == 2 * len(AGENTS)
    assert all(agent in page for agent in AGENTS)
