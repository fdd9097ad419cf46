# SPDX-License-Identifier: Apache-2.0
"""One run of one reader, in a process of its own on the clients' core, with what it took."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dev.bench.data import FROM_MS, MODEL_ID, TO_MS
from dev.bench.environments import python_of
from dev.bench.server import clients_core, pin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dev.bench.server import BenchServer

__all__ = ["READERS", "Bench", "Case", "Run"]

_HERE = Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_PATIENCE = 600  # seconds
READERS = {
    "ours": None,
    "ours_tables": None,
    "ours_operator": None,
    "floor": "floor",
    "urllib3_floor": "floor",
    "requests_loop": "requests_loop",
    "http_operator": "http_operator",
    "dlt_rest_api": "dlt_rest_api",
    "async_reader": "async_reader",
    "ours_recordings": None,
    "floor_recordings": "floor",
    "async_recordings": "async_reader",
    "ours_audit": None,
    "duckdb_audit": None,
}
"""The programs of peers/, and the environment of each; None: the project's own."""


@dataclass(frozen=True)
class Case:
    """
    Say what is run.

    :param reader: one of :data:`READERS`
    :param format: the output's format; of recordings, how many bytes each has
    :param wait_ms: milliseconds from a request to its answer
    :param calls: how many calls there are
    """

    reader: str
    format: str
    wait_ms: int
    calls: int


@dataclass(frozen=True)
class Run:
    """
    Tell how a run went.

    :param seconds: of the extraction alone, as the program timed it; for all that it did after its imports
    :param wall: seconds of the whole process
    :param cpu: processor seconds of the whole process, its own and the system's for it
    :param peak_kib: the most memory that it held
    :param told: all that the program said
    """

    seconds: float
    wall: float
    cpu: float
    peak_kib: int
    told: Mapping[str, Any] = field(default_factory=dict)


class Bench:
    """
    Run readers against a server.

    :param server: where it is
    :param folder: for environments and output
    :param concurrency: pages in flight, for those who can
    """

    def __init__(self, server: BenchServer, folder: Path, *, concurrency: int = 8) -> None:
        self._server = server
        self._folder = folder
        self._concurrency = concurrency

    def python(self, reader: str) -> Path:
        """
        Return the interpreter that runs a reader.

        :param reader: one of :data:`READERS`
        """
        environment = READERS[reader]
        return Path(sys.executable) if environment is None else python_of(environment, self._folder / "environments")

    def run(self, case: Case) -> Run | None:
        """
        Run a reader once; return None where it does not have this format.

        :param case: what to run
        """
        out = self.fresh_folder()
        job = {
            "url": self._server.url(case.wait_ms, case.calls),
            "calls": case.calls,
            "model_id": MODEL_ID,
            "from_ms": FROM_MS,
            "to_ms": TO_MS,
            "concurrency": self._concurrency,
            "out": str(out),
            "format": case.format,
        }
        told, wall, cpu = self.execute(case.reader, self.python(case.reader), json.dumps(job))
        if told.get("unavailable"):
            return None
        return Run(told["seconds"], wall, cpu, told["peak_kib"], told)

    def distinct_calls(self) -> int:
        """Return how many different calls the last run left."""
        python = python_of("async_reader", self._folder / "environments")
        return int(self.execute("check", python, str(self._out))[0])

    @property
    def _out(self) -> Path:
        return self._folder / "out"

    def fresh_folder(self) -> Path:
        """Return an empty folder for output, the last one's bytes written out, so that they slow down nobody else."""
        shutil.rmtree(self._out, ignore_errors=True)
        self._out.mkdir(parents=True)
        if hasattr(os, "sync"):
            os.sync()
        return self._out

    def execute(self, program: str, python: Path, *arguments: str) -> tuple[Any, float, float]:
        """
        Run a program of peers/; return what its last line says, and its seconds on the wall and of processor.

        :param program: its name
        :param python: the interpreter
        :param arguments: its arguments
        :raises RuntimeError: where it fails, or does not end
        """
        home = self._folder / "airflow"
        environment = {
            "PATH": f"{python.parent}:{os.environ.get('PATH', '')}",
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(_ROOT) if READERS.get(program) is None else "",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
            "AIRFLOW_CONN_BENCH": f"http://127.0.0.1:{self._server.port}",
        }
        errors = self._folder / "stderr.txt"
        begun = time.perf_counter()
        with errors.open("wb") as error_file:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                [str(python), str(_HERE / "peers" / f"{program}.py"), *arguments],
                env=environment,
                cwd=self._folder,
                stdout=subprocess.PIPE,
                stderr=error_file,
                preexec_fn=lambda: pin(clients_core()),  # noqa: PLW1509 - there are no threads here
            )
            assert process.stdout is not None
            patience = threading.Timer(_PATIENCE, process.kill)
            patience.start()
            output = process.stdout.read().decode()
            process.stdout.close()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            patience.cancel()
            patience.join()
        wall = time.perf_counter() - begun
        if process.returncode:
            msg = f"{program} ended with {process.returncode}: {errors.read_text(errors='replace')[-2000:]}"
            raise RuntimeError(msg)
        return json.loads(output.splitlines()[-1]), wall, usage.ru_utime + usage.ru_stime
