# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in the fleet, each thing done and seen to have been done."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dev.fleet.fleet import Fleet

__all__ = ["Chaos", "TaskKey"]

_POLL = 0.25  # a look goes over all processes of the machine
_TITLE = "airflow worker -- "  # what a task's process calls itself, before the id of the task instance
_BACKFILL = "fleet_backfill"
_DAILY = "fleet_daily"
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class TaskKey:
    """
    Name one try of one task.

    :param dag_id: the DAG
    :param run_id: the run
    :param map_index: which of the mapped tasks
    :param number: the number of the try
    """

    dag_id: str
    run_id: str
    map_index: int
    number: int

    def __str__(self) -> str:
        """Return it as the log shows it."""
        day = self.run_id.partition("__")[2][:10]
        return f"{self.dag_id} {day} [{self.map_index}] try {self.number}"


class Chaos:
    """
    Do harm to a fleet, and keep a log of it.

    :param fleet: the fleet
    :param say: takes each line of the log
    """

    def __init__(self, fleet: Fleet, say: Callable[[str], None]) -> None:
        self.fleet = fleet
        self.killed_tries: list[TaskKey] = []
        self.troubles: list[str] = []
        self._say = say

    def kill_worker(self, *, whole: bool = True) -> None:
        """
        Kill a worker with SIGKILL while one of its tasks holds a connection to the API, and start another.

        :param whole: whether all its processes die with it, as with a machine; else the tasks' own processes live on,
            and nobody is left whom they could report to
        """
        worker, tries = self._await(lambda: self._extracting(_BACKFILL, _DAILY), "a worker is in mid-extraction")
        count = self.fleet.airflow.kill(worker, whole=whole)
        self.killed_tries += tries
        names = ", ".join(map(str, tries))
        how = f"with all {count} processes" if whole else "alone, so that its tasks' processes live on,"
        self._say(f"{worker} killed with kill -9 {how} in mid-extraction of: {names}")
        self.fleet.start_worker(worker)

    def kill_triggerer(self) -> None:
        """Kill the triggerer while sensors are deferred to it, and start another."""
        wanted = self.fleet.plan.sensors

        def deferred() -> bool:
            return self.fleet.states("task_instance", "fleet_sensors").get("deferred", 0) == wanted

        self._await(deferred, f"{wanted} sensors are deferred")
        self.fleet.airflow.kill("triggerer")
        self._say(f"triggerer killed with kill -9, with {wanted} deferred sensors in it")
        time.sleep(2)
        self.fleet.airflow.spawn("triggerer", "triggerer")

    def let_calls_arrive(self) -> None:
        """Let the calls arrive that the deferred sensors wait for."""
        self.fleet.synthflow.switch("live", on=True)
        self._say("calls of the sensors' agent arrive")

    def restart_redis(self) -> None:
        """Stop Redis and start it again."""
        self.fleet.redis.stop()
        time.sleep(3)
        self.fleet.redis.start()
        self._say("Redis stopped, and started again after 3 s")

    def restart_scheduler(self) -> None:
        """Kill the scheduler and start another."""
        running = self.fleet.states("task_instance", _BACKFILL)
        self.fleet.airflow.kill("scheduler")
        self._say(f"scheduler killed with kill -9, tasks at that time: {_counts(running)}")
        time.sleep(2)
        self.fleet.airflow.spawn("scheduler", "scheduler")

    def break_s3(self, seconds: float = 20) -> None:
        """
        Let S3 answer 503 for a while, and for as long as no request has met it.

        :param seconds: how long
        """
        refused = self.fleet.s3.folder / "refused"
        self.fleet.s3.switch("unavailable", on=True)
        started = time.monotonic()
        try:
            time.sleep(seconds)
            self._await(refused.exists, "a request meets the outage of S3")
        finally:
            self.fleet.s3.switch("unavailable", on=False)
        count = len(refused.read_text().splitlines())
        self._say(f"S3 answered 503 for {time.monotonic() - started:.0f} s, to {count} requests")

    def break_synthflow(self, seconds: float = 30) -> None:
        """
        Let the API refuse connections for a while.

        :param seconds: how long
        """
        self._await(lambda: self._extracting(_BACKFILL), "a worker is in mid-extraction")
        self.fleet.synthflow.switch("down", on=True)
        time.sleep(seconds)
        self.fleet.synthflow.switch("down", on=False)
        self._say(f"Synthflow refused and broke all connections for {seconds:.0f} s")

    def run_twins(self) -> None:
        """Do the work of a task in two more processes while the task itself does it."""
        with self._twins() as (go, results):
            _, (key, *_) = self._await(lambda: self._extracting(_BACKFILL), "a worker is in mid-extraction")
            agents = self.fleet.plan.groups[key.map_index]
            ((fired,),) = self.fleet.query("SELECT logical_date FROM dag_run WHERE run_id = %s", key.run_id)
            work = {
                "model_id": agents, "from_date": (fired - _DAY).isoformat(), "to_date": fired.isoformat(),
                "output_path": "s3://lake/backfill", "output_conn_id": "lake", "concurrency": 1,
            }  # fmt: skip
            part = go.with_suffix(".part")
            part.write_text(json.dumps(work))
            part.replace(go)
            still = self._is_running(key)
            self._await(lambda: all(each.exists() for each in results), "both twins are done", seconds=90)
            time.sleep(0.2)
            found = [[each["sha256"] for each in json.loads(result.read_text())] for result in results]
        if found[0] != found[1]:
            self.troubles.append(f"the twins of {key} wrote different files")
        self._say(f"{key}, {'running' if still else 'just done'}, done by two more processes at the same time")

    @contextlib.contextmanager
    def _twins(self) -> Iterator[tuple[Any, list[Any]]]:
        folder = self.fleet.folder / "twins"
        folder.mkdir()
        go = folder / "go"
        ready, results = ([folder / f"{name}-{number}" for number in (1, 2)] for name in ("ready", "result"))
        with (folder / "log").open("ab") as log:
            processes = [
                subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", "dev.fleet.twin", str(mine), str(go), str(result)],
                    env=self.fleet.airflow.env, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                )
                for mine, result in zip(ready, results, strict=True)
            ]  # fmt: skip
        try:
            self._await(lambda: all(each.exists() for each in ready), "both twins are ready")
            yield go, results
        finally:
            for process in processes:
                process.kill()
                process.wait(timeout=10)

    def _extracting(self, *dag_ids: str) -> tuple[str, list[TaskKey]] | None:
        """Return a worker and the tries of its tasks of some DAGs that hold a connection to the API."""
        for name, component in list(self.fleet.airflow.components.items()):
            if name.startswith("worker-") and (tries := self._running(self._talking(component.pid), dag_ids)):
                return name, tries
        return None

    def _talking(self, worker: int) -> list[str]:
        """Return the task instances of a worker that hold a connection to the API."""
        found = []
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(worker).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    title = " ".join(process.cmdline())
                    if title.startswith(_TITLE) and self._talks(process):
                        found.append(title.removeprefix(_TITLE).strip())
        return found

    def _talks(self, process: psutil.Process) -> bool:
        return any(
            each.status == psutil.CONN_ESTABLISHED and each.raddr and each.raddr.port == self.fleet.synthflow.port
            for each in process.net_connections("tcp")
        )

    def _running(self, ids: list[str], dag_ids: Sequence[str]) -> list[TaskKey]:
        """Return the tries, of some task instances and DAGs, that are running."""
        if not ids:
            return []
        rows = self.fleet.query(
            "SELECT dag_id, run_id, map_index, try_number FROM task_instance "
            "WHERE id::text = ANY(%s) AND state = 'running' AND dag_id = ANY(%s)",
            ids, list(dag_ids),
        )  # fmt: skip
        return [TaskKey(*row) for row in rows]

    def _is_running(self, key: TaskKey) -> bool:
        sql = (
            "SELECT 1 FROM task_instance WHERE dag_id = %s AND run_id = %s AND map_index = %s AND try_number = %s "
            "AND state = 'running'"
        )
        return bool(self.fleet.query(sql, key.dag_id, key.run_id, key.map_index, key.number))

    def _await(self, condition: Callable[[], Any], what: str, *, seconds: float = 120) -> Any:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if result := condition():
                return result
            time.sleep(_POLL)
        states = self.fleet.states("task_instance", _BACKFILL)
        msg = f"It did not come about in {seconds:.0f} s that {what}; the tasks are: {_counts(states)}."
        raise RuntimeError(msg)


def _counts(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
