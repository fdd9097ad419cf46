# SPDX-License-Identifier: Apache-2.0
"""What every reader here has in common: it is told a job, does it, and says how long it took and what it needed."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["KEY", "PAGE", "Job", "measure", "run"]

KEY = "bench-key"
PAGE = 100


@dataclass(frozen=True)
class Job:
    """
    Say what to read.

    :param url: the API's base URL
    :param calls: how many calls are there
    :param model_id: the agent
    :param from_ms: the window's begin
    :param to_ms: the window's end
    :param concurrency: pages in flight
    :param out: the folder for the output
    :param format: `jsonl`, `jsonl.gz`, `jsonl.zst` or `parquet`; of recordings, how many bytes each has
    """

    url: str
    calls: int
    model_id: str
    from_ms: int
    to_ms: int
    concurrency: int
    out: str
    format: str

    @property
    def file(self) -> Path:
        """Return the output file of those who write one."""
        return Path(self.out) / f"calls.{self.format}"

    def recordings(self) -> list[str]:
        """Return the calls whose recordings are read: their ids end with how many bytes are there."""
        return [f"call-{number:06}-{self.format}" for number in range(self.calls)]

    def parameters(self, offset: int, limit: int = PAGE) -> dict[str, str]:
        """
        Return the parameters of a request.

        :param offset: the index of the first row
        :param limit: how many rows
        """
        return {
            "model_id": self.model_id,
            "from_date": str(self.from_ms),
            "to_date": str(self.to_ms),
            "limit": str(limit),
            "offset": str(offset),
        }


def run(read: Callable[[Job], dict[str, Any] | None]) -> None:
    """
    Do the job of the command line, and print one line of JSON about it.

    :param read: does it; may return more to tell
    """
    job = Job(**json.loads(sys.argv[1]))
    Path(job.out).mkdir(parents=True, exist_ok=True)
    measure(lambda: read(job))


def measure(work: Callable[[], dict[str, Any] | None]) -> None:
    """
    Do something, and print one line of JSON about it.

    :param work: does it; may return more to tell
    """
    begun, cpu = time.perf_counter(), time.process_time()
    told = work() or {}
    seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_kib": _peak_kib(), **told}), flush=True)


def _peak_kib() -> int:
    """Return the most memory that this process ever held: VmHWM does not count the parent's, as ru_maxrss does."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        import resource  # noqa: PLC0415 - elsewhere

        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most // 1024 if sys.platform == "darwin" else most
    return int(status.split("VmHWM:")[1].split()[0])
