# SPDX-License-Identifier: Apache-2.0
"""A process that is killed in the middle of a window leaves its pages, and the next one takes them up."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("moto")

from tests.resuming_child import Job, command_of
from tests.synthflow_server import TEST_KEY, Behaviour, Fault
from tests.unit.making import AGENT, FROM_MS, TO_MS, many_calls

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.synthflow_server import Handle

ROOT = Path(__file__).resolve().parents[2]
ROWS = 10
CALLS = 600
PAGES = 67
ANSWERED = 40
ENOUGH = 18
ENOUGH_IN_S3 = 3  # a store that is too slow has gaps
A_WHILE = 1.0  # seconds


def run(job: Job) -> dict:
    done = subprocess.run(command_of(job), capture_output=True, text=True, check=True, timeout=60, cwd=ROOT)  # noqa: S603 - our own program
    return json.loads(done.stdout)


def run_and_kill(job: Job, server: Handle, left: Callable[[], list[str]]) -> None:
    """Start a try, and kill it when it waits for answers that do not come, and has kept what came."""
    with subprocess.Popen(command_of(job), cwd=ROOT, stdout=subprocess.DEVNULL) as process:  # noqa: S603 - our own program
        deadline = time.monotonic() + 60
        kept, since = left(), time.monotonic()
        while not kept or len(server.api.requests) <= ANSWERED or time.monotonic() - since < A_WHILE:
            assert process.poll() is None, "it came to its end before it was killed"
            assert time.monotonic() < deadline
            time.sleep(0.05)
            if (now := left()) != kept:
                kept, since = now, time.monotonic()
        process.kill()


@pytest.fixture
def server(synthflow):
    # The first try gets no answer to these, so that it waits to be killed, however long its pages take to be kept.
    hang = Fault(kind="timeout_before_headers", seconds=60, at=tuple(range(ANSWERED + 1, ANSWERED + 5)))
    return synthflow(many_calls(CALLS), behaviour=Behaviour(max_rows=ROWS, latency_s=0.2), faults=[hang])


@pytest.fixture
def job(tmp_path, server):
    return Job(
        url=server.url,
        key=TEST_KEY,
        model_id=AGENT,
        from_ms=FROM_MS,
        to_ms=TO_MS,
        out=str(tmp_path / "out"),
        state=str(tmp_path / "state.json"),
        resume=str(tmp_path / "resume"),
        piece=1,
    )


def check(job: Job, left: Callable[[], list[str]], enough: int) -> None:
    retry = run(replace(job, retry=True))
    assert ANSWERED >= retry["recalled"] >= enough
    assert retry["requests"] <= PAGES - retry["recalled"] + 1
    assert (retry["count"], retry["walks"]) == (CALLS, 1)
    assert left() == []
    assert json.loads(Path(job.state).read_text()) == {}

    again = run(replace(job, resume=None, out=f"{job.out}-again"))
    assert again["sha256"] == retry["sha256"]
    assert again["requests"] == PAGES


def test_on_a_local_disk(tmp_path, job, server):
    def pieces() -> list[str]:
        return sorted(path.name for path in (tmp_path / "resume").rglob("*.pages"))

    run_and_kill(job, server, pieces)

    assert not (tmp_path / "out").exists()
    check(job, pieces, ENOUGH)
    assert list((tmp_path / "resume").iterdir()) == []


@pytest.mark.long
def test_in_s3(job, server, s3_server):
    job = replace(job, resume=f"{s3_server.bucket}/resume", s3=s3_server.url)

    run_and_kill(job, server, lambda: s3_server.objects("resume/"))

    check(job, s3_server.objects, ENOUGH_IN_S3)
    assert s3_server.uploads() == []
