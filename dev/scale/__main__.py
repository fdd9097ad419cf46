# SPDX-License-Identifier: Apache-2.0
"""
Measure a triggerer that carries a thousand deferred sensors: ``make scale MINUTES=10``.

A real Airflow triggerer runs the triggers from its database; the API is the test server, in a process of its own, with
200 ms of latency. Printed are how late polls came, as the server saw them, and what the triggerer's processes used.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from dev.scale.measuring import cpu_seconds, lateness, memory_bytes, quantile, slope_per_minute
from tests.airflow_deployment import AirflowDeployment
from tests.synthflow_server import TEST_KEY, Behaviour, SynthflowApi, serve
from tests.synthflow_server.clock import WallClock

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_SAMPLE_SECONDS = 10.0
_DAGS = Path(__file__).parent / "dags"


def main() -> int:
    """Measure, print, and tell whether it is as the contract wants it."""
    parser = argparse.ArgumentParser(prog="python -m dev.scale", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long to measure, after the first poll of each")
    parser.add_argument("--sensors", type=int, default=1000)
    parser.add_argument("--interval", type=int, default=60, help="seconds between two polls of a sensor")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds before each answer of the API")
    given = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("fork").Process(target=_serve, args=(theirs, given.latency), daemon=True)
    server.start()
    try:
        with tempfile.TemporaryDirectory(prefix="synthflow-scale-") as folder:
            return _measure(given, ours, Path(folder))
    finally:
        ours.send("stop")
        server.join(10)


def _serve(pipe: Connection, latency: float) -> None:
    """Serve an empty workspace, and hand over when each agent was asked for."""
    api = SynthflowApi(behaviour=Behaviour(latency_s=latency), clock=WallClock())
    with serve(api) as handle:
        pipe.send(handle.url)
        while pipe.recv() == "requests":
            pipe.send([(received.query.get("model_id"), received.at_ms / 1000) for received in api.requests])


def _measure(given: Any, pipe: Connection, folder: Path) -> int:
    deployment = AirflowDeployment(
        folder / "home",
        _DAGS,
        {
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                {"conn_type": "synthflow", "host": pipe.recv(), "password": TEST_KEY}
            ),
            "AIRFLOW__TRIGGERER__CAPACITY": str(given.sensors + 100),
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "300",
            "SCALE_SENSORS": str(given.sensors),
            "SCALE_INTERVAL": str(given.interval),
        },
    )
    with deployment:
        dags = -(-given.sensors // 10)
        deployment.wait_for(lambda: len(deployment.dag_ids()) == dags, "the DAGs are known", timeout=300)
        _say(f"Deferring {given.sensors} sensors ...")
        for component in ("scheduler", "dag-processor", "triggerer"):
            _end(deployment, component)
        deployment.commands([["dags", "trigger", dag_id] for dag_id in sorted(deployment.dag_ids())], timeout=600)
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, str(Path(__file__).with_name("defer_all.py")), str(_DAGS)],
            env=deployment.env, check=True, capture_output=True,
        )  # fmt: skip
        begun = time.time()
        deployment.start("triggerer")
        triggerer = psutil.Process(deployment.components["triggerer"].pid)
        deployment.wait_for(
            lambda: len({agent for agent, at in _requests(pipe) if at >= begun}) >= given.sensors,
            "every sensor has polled",
            timeout=300,
        )
        _say(
            f"All polled once {time.time() - begun:.0f} s after the triggerer's start; measuring {given.minutes:g} min"
        )
        time.sleep(given.interval)  # the first interval of each is shorter, so that they come apart
        from_time, cpu_before, memory = time.time(), cpu_seconds(_family(triggerer)), []
        while (elapsed := time.time() - from_time) < given.minutes * 60:
            memory.append((elapsed, memory_bytes(_family(triggerer)) / 2**20))
            time.sleep(_SAMPLE_SECONDS)
        elapsed = time.time() - from_time
        cores = (cpu_seconds(_family(triggerer)) - cpu_before) / elapsed
        return _report(given, _requests(pipe), from_time, elapsed, cores, memory)


def _report(  # noqa: PLR0917 - the pieces of one table
    given: Any,
    requests: list[tuple[str, float]],
    from_time: float,
    elapsed: float,
    cores: float,
    memory: list[tuple[float, float]],
) -> int:
    polls: dict[str, list[float]] = defaultdict(list)
    for agent, at in requests:
        if at >= from_time - given.interval:
            polls[agent].append(at)
    late = lateness(polls, given.interval)
    growth = slope_per_minute(memory[len(memory) // 5 :])
    p99 = quantile(late, 0.99)
    rows = [
        ("sensors, interval, latency", f"{given.sensors}, {given.interval} s, {given.latency:g} s"),
        ("measured", f"{elapsed:.0f} s, {len(late)} polls, {len(late) / elapsed:.1f} a second"),
        ("lateness, median / 99 % / most", f"{quantile(late, 0.5):.2f} / {p99:.2f} / {max(late):.2f} s"),
        ("processor", f"{cores:.2f} cores"),
        (
            "memory, first / most / last",
            f"{memory[0][1]:.0f} / {max(m for _, m in memory):.0f} / {memory[-1][1]:.0f} MiB",
        ),
        ("memory's growth", f"{growth:+.2f} MiB a minute"),
    ]
    for name, value in rows:
        _say(f"  {name:32} {value}")
    good = p99 < 5 and cores < 1 and len(polls) == given.sensors
    _say("As the contract wants it." if good else "NOT as the contract wants it: 99 % below 5 s, below one core.")
    return 0 if good else 1


def _requests(pipe: Connection) -> list[tuple[str, float]]:
    pipe.send("requests")
    requests: list[tuple[str, float]] = pipe.recv()
    return requests


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _end(deployment: AirflowDeployment, component: str) -> None:
    """End one component, so that it neither counts nor disturbs."""
    process = deployment.components.pop(component)
    process.terminate()
    process.wait(60)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
