# SPDX-License-Identifier: Apache-2.0
"""
Measure what keeping pages costs, and what a retry of a killed try saves: `make resume`.

One window of 100,000 calls of 5 KB, 200 ms a request, 4 pages in flight, pages and file on a local disk. A try kills
its own process (`kill -9`) at half and at nine tenths of its requests; the next one is measured. Medians of the turns.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dev.bench.data import FROM_MS, MODEL_ID, TO_MS, make_dataset
from dev.bench.server import clients_core, pin, run_server
from tests.resuming_child import Job, command_of

_ROOT = Path(__file__).resolve().parents[2]
_WAIT_MS = 200
_KILLS = (50, 90)
_HEAD = """\
| try | requests | pages taken up | seconds | CPU seconds | peak memory |
|---|--:|--:|--:|--:|--:|"""


@dataclass(frozen=True)
class Case:
    """
    Name a measured try.

    :param keeps: whether pages are kept
    :param kill: at which share of the requests the try before it was killed, in percent; None: there was none
    """

    keeps: bool
    kill: int | None = None

    def __str__(self) -> str:
        """Return what the table calls it."""
        keeps = "pages kept" if self.keeps else "no `resume_path`"
        return f"undisturbed, {keeps}" if self.kill is None else f"retry after a kill at {self.kill} %, {keeps}"


CASES = (Case(keeps=False), Case(keeps=True), *(Case(keeps, kill) for kill in _KILLS for keeps in (False, True)))


def attempt(job: Job) -> dict[str, Any]:
    """Carry out a try, and return what came of it; nothing where it was killed."""
    done = subprocess.run(  # noqa: S603 - our own program
        command_of(job), capture_output=True, text=True, check=False, cwd=_ROOT, preexec_fn=lambda: pin(clients_core())
    )
    if done.returncode and job.kill_at is None:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout) if done.stdout else {}


def measure(case: Case, job: Job, folder: Path, pages: int) -> dict[str, Any]:
    """Carry out what comes before a case, and then the case itself."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if not case.keeps:
        job = replace(job, resume=None)
    if case.kill is not None:
        attempt(replace(job, kill_at=pages * case.kill // 100))
    return attempt(replace(job, retry=case.kill is not None))


def report(calls: int, turns: int, folder: Path) -> str:
    """
    Measure all cases, one turn after the other, and return the table.

    :param calls: how many calls the window has
    :param turns: how often each case is measured
    :param folder: for data and output
    """
    dataset = make_dataset(folder, calls)
    work = folder / "resuming"
    found: dict[Case, list[dict[str, Any]]] = {case: [] for case in CASES}
    with run_server(dataset, folder) as server:
        job = Job(
            url=server.url(_WAIT_MS),
            key="key-of-the-bench",
            model_id=MODEL_ID,
            from_ms=FROM_MS,
            to_ms=TO_MS,
            out=str(work / "out"),
            state=str(work / "state.json"),
            resume=str(work / "resume"),
        )
        for _ in range(turns):
            for case in CASES:
                pages = found[CASES[0]][0]["requests"] if found[CASES[0]] else 0
                found[case].append(measure(case, job, work, pages))
                print(f"{case}: {found[case][-1]['seconds']:.1f} s", flush=True)
    shutil.rmtree(work)
    files = {each["sha256"] for runs in found.values() for each in runs}
    if len(files) != 1:
        msg = "The files differ."
        raise RuntimeError(msg)
    lines = []
    for case, runs in found.items():
        middle = {
            name: statistics.median(run[name] for run in runs)
            for name in ("requests", "recalled", "seconds", "cpu", "memory")
        }
        lines.append(
            f"| {case} | {middle['requests']:,.0f} | {middle['recalled']:,.0f} | {middle['seconds']:.1f} "
            f"| {middle['cpu']:.1f} | {middle['memory'] / 2**20:.0f} MiB |"
        )
    return "\n".join([_HEAD, *lines])


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench.resuming", description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000, help="how many calls the window has")
    parser.add_argument("--turns", type=int, default=3, help="how often each case is measured")
    arguments = parser.parse_args()
    print(f"\n{report(arguments.calls, arguments.turns, _ROOT / '.cache' / 'bench')}")


if __name__ == "__main__":
    main()
