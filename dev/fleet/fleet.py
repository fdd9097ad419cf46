# SPDX-License-Identifier: Apache-2.0
"""All parts of the fleet, started and stopped together."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from dev.fleet.databases import Postgres, Redis
from dev.fleet.programs import find_programs
from dev.fleet.service import PythonService
from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from dev.fleet.plan import Plan

__all__ = ["Fleet", "open_fleet"]

_FOLDER = Path(__file__).resolve().parents[2] / ".cache" / "fleet" / "run"
_DAGS = Path(__file__).resolve().parent / "dags"
_ACTIVE_RUNS = 8
_PATIENCE_SECONDS = 1_000
_SHOWN_SECONDS = 30
_READY = re.compile(r" ready\. +\[celery\.apps\.worker\]")


class Fleet:
    """
    Hold the parts of a fleet that runs.

    :param folder: where all of their files are
    :param plan: how large it all is
    :param database: the server of Airflow's database
    :param redis: the server of Celery's queue
    :param s3: the server of the lake
    :param synthflow: the server of the API
    :param shapes: what the DAGs look like whose tasks are measured
    """

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        *,
        shapes: Sequence[Mapping[str, Any]],
        database: Postgres,
        redis: Redis,
        s3: PythonService,
        synthflow: PythonService,
    ) -> None:
        self.folder = folder
        self.plan = plan
        self.database = database
        self.redis = redis
        self.s3 = s3
        self.synthflow = synthflow
        self._shapes = shapes
        self._dag_ids = {shape["dag_id"] for shape in shapes} or {"fleet_backfill", "fleet_daily", "fleet_sensors"}
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self.airflow = AirflowDeployment(
            folder / "airflow", _DAGS, self._environment(), database_url=f"postgresql+psycopg2://{database.address}"
        )
        self._started_workers = 0

    def start(self, workers: int) -> None:
        """
        Start Airflow with some workers, and wait until it is well.

        :param workers: how many
        """
        self.airflow.prepare()
        for number in range(1, workers + 1):
            self.start_worker(f"worker-{number}")
        self.airflow.start()
        pool = {"name": "synthflow", "slots": self.plan.slots, "description": "one pace for the key"}
        self.airflow.rest("POST", "/pools", pool)
        self.airflow.wait_for(lambda: self.airflow.dag_ids() >= self._dag_ids, "the DAGs are known")

    def start_worker(self, name: str, *, concurrency: int = 2) -> None:
        """
        Start a Celery worker.

        :param name: its name
        :param concurrency: how many tasks it runs at a time
        """
        self._started_workers += 1  # a killed worker's name may be known for a while
        self.airflow.spawn(
            name,
            *("celery", "worker", "--concurrency", str(concurrency), "--skip-serve-logs"),
            *("--celery-hostname", f"{name}.{self._started_workers}"),
            *("--without-mingle", "--without-gossip"),
            *("--pid", str(self.folder / f"{name}.{self._started_workers}.pid")),
        )

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """
        Ask Airflow's database.

        :param sql: the query
        :param values: its parameters
        """
        with contextlib.closing(psycopg2.connect(f"postgresql://{self.database.address}")) as connection:
            connection.set_session(autocommit=True)
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return cursor.fetchall()

    def states(self, table: str, dag_id: str) -> dict[str, int]:
        """
        Count the states of a DAG's runs or tasks.

        :param table: ``dag_run`` or ``task_instance``
        :param dag_id: the DAG
        """
        rows = self.query(f"SELECT coalesce(state, 'none'), count(*) FROM {table} WHERE dag_id = %s GROUP BY 1", dag_id)  # noqa: S608
        return {str(state): int(count) for state, count in rows}

    def backfill(self, dag_id: str, first: dt.datetime, last: dt.datetime, *options: str) -> None:
        """
        Let Airflow backfill a DAG.

        :param dag_id: the DAG
        :param first: when the first run fires, at the end of its window
        :param last: when the last run fires
        :param options: more of ``airflow backfill create``
        """
        self.airflow.cli(
            *("backfill", "create", "--dag-id", dag_id, "--max-active-runs", str(_ACTIVE_RUNS)),
            *("--from-date", first.isoformat(), "--to-date", last.isoformat(), *options),
        )

    def await_workers(self) -> None:
        """Wait until all workers that were started take tasks."""
        wanted = self._started_workers

        def ready() -> bool:
            return len(_READY.findall(self.airflow.log.read_text())) >= wanted

        self.airflow.wait_for(ready, "the workers are ready")

    def await_runs(self, say: Callable[[str], None]) -> None:
        """
        Wait until all runs of all DAGs have ended, well or not, and Airflow takes its backfills for done.

        :param say: takes a line about how far they are, now and then
        """
        deadline = time.monotonic() + _PATIENCE_SECONDS
        shown = time.monotonic()
        while time.monotonic() < deadline:
            states = [state for dag_id in self._dag_ids for state in self.states("dag_run", dag_id)]
            ((under_way,),) = self.query("SELECT count(*) FROM backfill WHERE completed_at IS NULL")
            if set(states) <= {"success", "failed"} and not under_way:
                return
            if time.monotonic() - shown > _SHOWN_SECONDS:
                shown = time.monotonic()
                tasks = self.states("task_instance", "fleet_backfill")
                say("tasks of the backfill: " + ", ".join(f"{count} {state}" for state, count in tasks.items()))
            time.sleep(1)

    def stats(self) -> dict[str, Any]:
        """Return what the API answered so far."""
        stats: dict[str, Any] = json.loads((self.synthflow.folder / "stats.json").read_text())
        return stats

    def _environment(self) -> dict[str, str]:
        plan = self.plan
        now = dt.datetime.now(dt.timezone.utc)
        return {
            "AIRFLOW__CELERY__BROKER_URL": self.redis.url,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{self.database.address}",
            "AIRFLOW__CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__PARALLELISM": "32",
            "AIRFLOW__LOGGING__DELETE_LOCAL_LOGS": "False",
            # What was killed is noticed within seconds, where a deployment would wait for minutes.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "3",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "10",
            # What is measured is the backfills' own.
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": str(not self._shapes),
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "15",
            "AIRFLOW__CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "120",
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                {
                    "conn_type": "synthflow",
                    "host": f"http://127.0.0.1:{self.synthflow.port}/v2",
                    "password": TEST_KEY,
                    "extra": {"timeout": 10},
                }
            ),
            "AIRFLOW_CONN_LAKE": (self.s3.folder / "connection.json").read_text(),
            "TMPDIR": str(self.temporary),
            "FLEET": json.dumps(
                {
                    "start": plan.start.isoformat(),
                    "end": plan.end.isoformat(),
                    "groups": [group if plan.agents_a_task > 1 else group[0] for group in plan.groups],
                    "agents": plan.agent_ids,
                    "live_agent": plan.live_agent,
                    "live_from": (now - dt.timedelta(minutes=5)).isoformat(),
                    "scheduled_days": plan.scheduled_days,
                    "sensors": plan.sensors,
                    "shapes": self._shapes,
                    "moments": str(self.folder / "moments.jsonl"),
                }
            ),
        }


@contextlib.contextmanager
def open_fleet(plan: Plan, *, shapes: Sequence[Mapping[str, Any]] = ()) -> Iterator[Fleet]:
    """
    Start the servers, and give a fleet whose Airflow can be started; stop all of it at the end.

    :param plan: how large it all is
    :param shapes: what the DAGs look like whose tasks are measured
    """
    programs = find_programs()
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    with (
        Postgres(_FOLDER, programs) as database,
        Redis(_FOLDER, programs) as redis,
        PythonService("s3", _FOLDER, "dev.fleet.s3") as s3,
        PythonService("synthflow", _FOLDER, "dev.fleet.synthflow", [plan.to_json()]) as synthflow,
    ):
        _await_file(s3.folder / "connection.json")
        _await_file(synthflow.folder / "stats.json")
        fleet = Fleet(_FOLDER, plan, database=database, redis=redis, s3=s3, synthflow=synthflow, shapes=shapes)
        try:
            yield fleet
        finally:
            fleet.airflow.stop()


def _await_file(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        if time.monotonic() > deadline:
            msg = f"{path} did not come about."
            raise RuntimeError(msg)
        time.sleep(0.05)
