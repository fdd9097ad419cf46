# SPDX-License-Identifier: Apache-2.0
"""
Extract one window in a process of its own, as one try of a task that keeps its pages; it may be killed at any moment.

The one argument is a :class:`Job` as JSON; what came of it is printed as JSON. A file stands for Airflow's task state.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.modules["airflow"] = None  # type: ignore[assignment]  # the core needs none, and starts at once without it

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.window_job import WindowJob
from airflow_provider_synthflow.hooks.query import read_query
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.resume import checkpoint as resuming
from airflow_provider_synthflow.resume.checkpoint import Checkpoint
from airflow_provider_synthflow.resume.state import make_digest, make_key
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window

__all__ = ["Job", "command_of"]


@dataclass(frozen=True)
class Job:
    """
    Say what one try does.

    :param url: the API's base URL
    :param key: its key
    :param model_id: the agent
    :param from_ms: the window's begin
    :param to_ms: the window's end
    :param out: the directory of the file
    :param state: the file of the task's state
    :param resume: the directory of the pieces, or a bucket with a directory where there is an S3; None: none are kept
    :param s3: the address of an S3 for the pieces
    :param retry: whether this is a further try
    :param format: the file's format
    :param piece: the least bytes of a piece; None: as it is
    :param kill_at: at which request the process kills itself, as the end of its machine would; None: at none
    """

    url: str
    key: str
    model_id: str
    from_ms: int
    to_ms: int
    out: str
    state: str
    resume: str | None = None
    s3: str | None = None
    retry: bool = False
    format: str = "jsonl"
    piece: int | None = None
    kill_at: int | None = None


def command_of(job: Job) -> list[str]:
    """Return the command that does a job."""
    return [sys.executable, "-m", "tests.resuming_child", json.dumps(asdict(job))]


class FileState:
    """Keep values in a file, whole at any moment."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def get(self, key: str) -> Any:
        """Return a value, None where there is none."""
        return self._all().get(key)

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self._write(self._all() | {key: value})

    def delete(self, key: str) -> None:
        """Forget a value."""
        self._write({name: value for name, value in self._all().items() if name != key})

    def _all(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._path.read_text()) if self._path.exists() else {}
        return found

    def _write(self, values: dict[str, Any]) -> None:
        other = self._path.with_suffix(".new")
        other.write_text(json.dumps(values))
        other.replace(self._path)


class MortalSender(SynthflowClient):
    """
    Send requests, and kill the process at one of them.

    :param kill_at: at which; None: at none
    """

    def __init__(self, settings: Settings, kill_at: int | None) -> None:
        super().__init__(settings)
        self._kill_at = kill_at

    def answer(self, query: Any, limit: int, offset: int) -> Any:
        """Return an answer, or kill the process."""
        if self._kill_at is not None and self.requests >= self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(query, limit, offset)


def store_of(job: Job) -> Any:
    """Return the store of the pieces."""
    if job.s3 is None:
        return LocalStore(job.resume or "")
    import s3fs  # noqa: PLC0415 - only where it is one

    from airflow_provider_synthflow.storage.object_store import ObjectStore  # noqa: PLC0415 - likewise

    fs = s3fs.S3FileSystem(
        key="AKIATESTKEY",
        secret="test-secret-0123456789",
        endpoint_url=job.s3,
        client_kwargs={"region_name": "us-east-1"},
    )
    return ObjectStore(fs, job.resume or "", f"s3://{job.resume}")


def peak_memory() -> int:
    """Return the most bytes that this program held; what the system calls so counts the one that started it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)


def main() -> None:
    """Do the job."""
    job = Job(**json.loads(sys.argv[1]))
    if job.piece is not None:
        resuming._PIECE = job.piece
    begun = time.monotonic()
    plan = WindowPlan(Window(job.from_ms, job.to_ms), read_query(job.model_id), settle_ms=0, concurrency=4)
    with MortalSender(Settings(job.url, job.key), job.kill_at) as client:
        resume = None
        if job.resume is not None:
            digest = make_digest(plan, client.settings, Privacy())
            state = FileState(job.state)
            resume = Checkpoint(store_of(job), state, make_key(plan), digest, privacy=Privacy(), retry=job.retry)
        publication = Publication(LocalStore(job.out), job.model_id, plan.window, job.format, {})
        found = WindowJob(plan, publication, resume=resume).carry_out(client)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                **found.value,
                "recalled": found.recalled,
                "seconds": time.monotonic() - begun,
                "cpu": usage.ru_utime + usage.ru_stime,
                "memory": peak_memory(),
                "pid": os.getpid(),
            }
        )
    )


if __name__ == "__main__":
    main()
