# SPDX-License-Identifier: Apache-2.0
"""Each example DAG parses without a database, explains itself, and does what it says."""

from __future__ import annotations

import gzip
import json
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from tests.integration.airflow_home import AirflowHome, read_marked
from tests.synthflow_server import TEST_KEY, SynthflowApi, audio, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS
from tests.versions import AIRFLOW


def is_airflow_2() -> bool:
    return airflow.__version__.startswith("2.")


try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag

FOLDER = Path(__file__).resolve().parents[2] / "example_dags"
READ_FILES = {"synthflow_report", "synthflow_weekly_report"}
AUDITS = "synthflow_audit"
"""Which has nothing to mend here, so that its second half is skipped."""
BY_EVENTS = {"synthflow_new_calls_event": (3, 0), "synthflow_weekly_report": (3, 3)}
"""Started by asset events, which only a real scheduler has (test_waiting_scheduler.py, test_weekly_report.py), with the
first Airflow that has them."""
NEWER = {**BY_EVENTS, "synthflow_daily_partitions": (3, 2)}
"""What an older Airflow cannot read."""
TOO_NEW = {name for name, first in NEWER.items() if first > AIRFLOW}
FILES = sorted(path for path in FOLDER.glob("*.py") if path.stem not in TOO_NEW)
NOT_ALONE = NEWER.keys()
"""What a run by hand, as of a date, does not fit: a partition is none, see test_weekly_report.py."""
FROM_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
AGENTS = ["agent-a", "agent-b", "agent-c"]
RUN_AT = "2026-01-06T00:00:00+00:00"

# Runs each DAG once, as of the same date, and prints its tasks' states and what they returned.
PROGRAM = """
import json, sys
import pendulum
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:
    from airflow.models.dagbag import DagBag

bag = DagBag(sys.argv[1])
found = {}
for dag_id in sorted(set(bag.dag_ids) - set(sys.argv[4].split(","))):
    run = bag.get_dag(dag_id).test(**{sys.argv[2]: pendulum.parse(sys.argv[3])})
    # Airflow 3.4 has another name for the index of a mapped task.
    instances = [(each, getattr(each, "region_index", None)) for each in run.get_task_instances()]
    instances = [(each, each.map_index if index is None else index) for each, index in instances]
    found[dag_id] = {
        "state": str(run.state),
        "tasks": {f"{each.task_id}[{index}]": str(each.state) for each, index in instances},
        "returned": {
            f"{each.task_id}[{index}]": each.xcom_pull(task_ids=each.task_id, map_indexes=index)
            for each, index in instances
        },
    }
print("\\nFOUND " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def bag():
    with warnings.catch_warnings():  # Airflow's own `@task.sensor` uses a name that Airflow has moved
        warnings.filterwarnings("ignore", "The `airflow.utils.operator_helpers.determine_kwargs` attribute")
        return DagBag(str(FOLDER))


class TestParsing:
    def test_needs_no_database(self, bag):
        assert {Path(path).stem for path in bag.import_errors} == TOO_NEW
        assert len(bag.dags) == len(FILES) > 0

    def test_finds_each_dag_in_the_file_of_its_name(self, bag):
        assert {dag_id: Path(dag.fileloc).stem for dag_id, dag in bag.dags.items()} == {
            path.stem: path.stem for path in FILES
        }

    @pytest.mark.parametrize("dag_id", [path.stem for path in FILES])
    def test_finds_an_explanation_and_a_start(self, bag, dag_id):
        dag = bag.dags[dag_id]

        assert dag.doc_md.strip().startswith("### ")
        assert set(dag.tags) == {"synthflow"}
        assert dag.start_date.utcoffset() is not None
        assert dag.catchup is False

    def test_finds_the_operator_in_each_dag_and_the_sensor_in_one(self, bag):
        kinds = {dag_id: {kind_of(each) for each in dag.tasks} for dag_id, dag in bag.dags.items()}

        assert {dag_id for dag_id, each in kinds.items() if SynthflowListCallsOperator not in each} == {
            *READ_FILES - TOO_NEW,
            AUDITS,
        }
        assert any(SynthflowNewCallsSensor in each for each in kinds.values())


def kind_of(task: Any) -> type:
    return type(task) if isinstance(task, BaseOperator) else task.operator_class


class Ran:
    """
    What the DAGs did.

    :param found: by DAG, its state, its tasks' states and what they returned
    :param output: the directory of the files
    :param api: the server that they asked
    """

    def __init__(self, found: dict[str, Any], output: Path, api: SynthflowApi) -> None:
        self.found = found
        self.output = output
        self.api = api

    def returned(self, dag_id: str, task: str) -> Any:
        return self.found[dag_id]["returned"][task]

    def expected(self, agent: str, from_ms: int, to_ms: int) -> set[str]:
        return {call.call_id for call in self.api.all_calls(agent) if from_ms <= call.start_ms < to_ms}


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    output = tmp_path_factory.mktemp("output")
    calls = make_calls(5, 400, agents=AGENTS, from_ms=FROM_MS - DAY_MS, to_ms=FROM_MS + 3 * DAY_MS)
    with serve(SynthflowApi(calls)) as server:
        airflow = AirflowHome(
            home,
            {
                "AIRFLOW__CORE__DAGS_FOLDER": str(FOLDER),
                "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                    {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
                ),
                "SYNTHFLOW_MODEL_ID": ",".join(AGENTS[:2]),
                "SYNTHFLOW_OUTPUT_PATH": str(output),
            },
        )
        if AIRFLOW == (3, 0):  # its `dag.test()` fails a task whose assets Airflow does not know
            airflow.airflow("dags", "reserialize")
        date = "execution_date" if is_airflow_2() else "logical_date"
        done = airflow.run("-c", PROGRAM, str(FOLDER), date, RUN_AT, ",".join(NOT_ALONE), timeout=900)
        yield Ran(read_marked(done.stdout), output, server.api)


class TestRunning:
    @pytest.mark.parametrize("dag_id", [path.stem for path in FILES if path.stem not in NOT_ALONE])
    def test_ends_well(self, ran, dag_id):
        assert ran.found[dag_id]["state"].endswith("success")
        states = {state.rpartition(".")[2].lower() for state in ran.found[dag_id]["tasks"].values()}
        assert states == ({"success", "skipped"} if dag_id == AUDITS else {"success"})

    def test_writes_the_day_s_calls_of_each_agent_into_files(self, ran):
        results = ran.returned("synthflow_daily_to_files", "calls[-1]")

        assert [result["model_id"] for result in results] == AGENTS[:2]
        for result in results:
            assert (result["from_date"], result["to_date"]) == ("2026-01-05T00:00:00.000Z", "2026-01-06T00:00:00.000Z")
            self.check(ran, result)

    def test_brings_the_hour_s_calls_to_the_next_task(self, ran):
        result = ran.returned("synthflow_hourly_to_xcom", "calls[-1]")
        told = ran.returned("synthflow_hourly_to_xcom", "answered[-1]")

        ids = {call["call_id"] for call in result["calls"]}
        assert result["from_date"] == "2026-01-05T23:00:00.000Z"
        assert ids == ran.expected(AGENTS[0], FROM_MS + DAY_MS - 3_600_000, FROM_MS + DAY_MS)
        assert not any({"transcript", "recording_url"} & call.keys() for call in result["calls"])
        assert told["calls"] == result["count"] == len(ids)
        assert told["answered"] == sum(call["call_status"] == "completed" for call in result["calls"])

    def test_waits_for_calls_and_then_writes_them(self, ran):
        sensed = ran.returned("synthflow_sensor_then_files", "new_calls[-1]")
        result = ran.returned("synthflow_sensor_then_files", "calls[-1]")

        assert sensed["model_id"] == result["model_id"] == AGENTS[0]
        assert sensed["count"] >= 1
        self.check(ran, result)

    def test_maps_over_all_agents_of_the_workspace(self, ran):
        results = [ran.returned("synthflow_all_agents", f"calls[{number}]") for number in range(len(AGENTS))]

        assert sorted(result["model_id"] for result in results) == AGENTS
        for result in results:
            self.check(ran, result)

    def test_reads_many_agents_a_task_with_as_many_slots_as_pages_in_flight(self, ran, bag):
        task = bag.dags["synthflow_pool"].get_task("calls").partial_kwargs

        assert (task["pool"], task["pool_slots"]) == ("synthflow", task["concurrency"])
        results = ran.returned("synthflow_pool", "calls[0]")
        assert [result["model_id"] for result in results] == AGENTS
        for result in results:
            self.check(ran, result)

    def test_stores_the_recordings_of_the_day_and_makes_one_table_of_both(self, ran):
        listed = [ran.returned("synthflow_recordings", f"calls[{number}]") for number in range(2)]
        stored = [ran.returned("synthflow_recordings", f"recordings[{number}]") for number in range(2)]

        for of_calls, result in zip(listed, stored, strict=True):
            self.check(ran, of_calls)
            assert result["calls"] == of_calls["count"]
            items = json.loads((Path(result["path"]) / "_recordings.json").read_bytes())["items"]
            files = {item["file"]: item for item in items if item["status"] == "stored"}
            assert len(files) == result["recordings"] == result["downloaded"] > 0
            assert {path.name for path in Path(result["path"]).iterdir()} == {*files, "_recordings.json"}
            for name, item in files.items():
                assert (Path(result["path"]) / name).read_bytes() == audio(item["call_id"])
        assert ran.returned("synthflow_recordings", "table[-1]") == {
            "calls": sum(each["count"] for each in listed),
            "recordings": sum(each["recordings"] for each in stored),
        }

    def test_makes_views_of_the_agents_their_calls_tables_and_recordings(self, ran):
        listed = [ran.returned("synthflow_lake", f"calls[{number}]") for number in range(len(AGENTS))]
        stored = [ran.returned("synthflow_lake", f"recordings[{number}]") for number in range(len(AGENTS))]

        rows = {table: sum(each["tables"][table]["rows"] for each in listed) for table in listed[0]["tables"]}
        views = ran.returned("synthflow_lake", "refresh[-1]")
        assert views == {
            **rows,
            "calls": sum(each["count"] for each in listed),
            "agents": len(AGENTS),
            "recordings": sum(
                len(json.loads(Path(each["path"], "_recordings.json").read_bytes())["items"]) for each in stored
            ),
        }
        assert rows.keys() == {"turns", "actions", "variables", "judgements"}
        assert views["calls"] > 0

    def test_reads_the_last_days_again_and_replaces_only_what_differs(self, ran):
        results = [ran.returned("synthflow_reread_late_data", f"calls[{number}]") for number in range(7)]

        bounds = sorted((result["from_date"], result["to_date"]) for result in results)
        assert bounds[0][0] == "2025-12-30T00:00:00.000Z"
        assert bounds[-1][1] == "2026-01-06T00:00:00.000Z"
        assert all(end == start for (_, end), (start, _) in pairwise(bounds))
        written_before = "2026-01-05"
        days = [result["from_date"][:10] for result in results]
        assert ran.returned("synthflow_reread_late_data", "changed[-1]") == sorted(set(days) - {written_before})

    def test_audits_what_was_written_before_it_and_reports_beside_the_lake(self, ran):
        result = ran.returned("synthflow_audit", "audit[-1]")

        assert (result["agents"], result["windows"]) == (len(AGENTS), len(AGENTS))
        assert {kind for kind, count in result["counts"].items() if count} <= {"unsettled"}
        assert Path(result["report"]).parent == ran.output.with_name(f"{ran.output.name}-audit")
        assert Path(result["report"]).read_text(encoding="utf-8").startswith("<!doctype html>")

    def check(self, ran: Ran, result: dict[str, Any]) -> None:
        with gzip.open(result["path"]) as lines:
            ids = [json.loads(line)["call_id"] for line in lines]
        assert result["path"].startswith(str(ran.output))
        assert len(ids) == result["count"] > 0
        assert set(ids) == ran.expected(result["model_id"], FROM_MS, FROM_MS + DAY_MS)
        manifest = json.loads((Path(result["path"]).parent / "_manifest.json").read_bytes())
        assert (manifest["sha256"], manifest["count"]) == (result["sha256"], result["count"])
