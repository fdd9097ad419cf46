# SPDX-License-Identifier: Apache-2.0
"""Killed at any moment, again and again, each recording is there once in the end, whole, and no part of any."""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.effort import count_rounds
from tests.recording_tasks import Tasks
from tests.synthflow_server import Behaviour, audio, serve_recordings
from tests.unit.making import AGENT, FROM, TO
from tests.unit.recordings.keeping import DIRECTORY, recorded_calls

COUNT = 5
KILLS = count_rounds(6, 50)
"""``THOROUGH_ROUNDS=1`` makes it 50."""
SIZE = 11_000_000
"""Three parts of a multipart upload."""


class Disk:
    """A directory of a disk, as a reader finds it."""

    s3_url = ""

    def __init__(self, folder: Path) -> None:
        self.output_path = str(folder)

    def read_all(self) -> dict[str, bytes]:
        folder = Path(self.output_path)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def remove(self, name: str) -> None:
        (Path(self.output_path) / name).unlink()

    def kill(self, process: int, rng: random.Random) -> None:
        time.sleep(rng.uniform(0, 1))  # any moment will do
        os.kill(process, signal.SIGKILL)

    def unfinished(self) -> list[Any]:
        return [name for name in self.read_all() if name.rpartition("/")[2].startswith(".")]


class Bucket:
    """A bucket of S3, as a reader finds it."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.output_path, self.s3_url = f"s3://{server.bucket}/lake", server.url

    def read_all(self) -> dict[str, bytes]:
        self._server.settle()
        return {key.removeprefix("lake/"): self._server.read(key) for key in self._server.objects("lake/")}

    def remove(self, name: str) -> None:
        self._server.client.delete_object(Bucket=self._server.bucket, Key=f"lake/{name}")

    def kill(self, process: int, rng: random.Random) -> None:
        """Kill a process at one of its requests, which is served all the same, or is not."""
        number, seen, met = rng.randint(1, 20), [], threading.Event()

        def fault(request):
            seen.append(request.method)
            if len(seen) == number:
                os.kill(process, signal.SIGKILL)
                met.set()

        self._server.fault = fault
        met.wait(10)  # or the process has ended before
        self._server.fault = None

    def unfinished(self) -> list[Any]:
        self._server.settle()
        return self._server.uploads()


@pytest.fixture(params=["disk", "s3"])
def lake(request, tmp_path):
    return Disk(tmp_path / "lake") if request.param == "disk" else Bucket(request.getfixturevalue("s3_server"))


@pytest.mark.long
def test_each_kill_leaves_whole_recordings_alone_and_the_next_run_each_once(synthflow, lake):
    rng = random.Random(KILLS)  # noqa: S311 - moments, no secrets
    calls = recorded_calls(COUNT)
    whole = {f"{DIRECTORY}/recordings/{call.call_id}.mp3": audio(call.call_id, SIZE) for call in calls}
    manifest = f"{DIRECTORY}/recordings/_recordings.json"
    result = {"model_id": AGENT, "from_date": FROM, "to_date": TO, "calls": [call.record for call in calls]}
    behaviour = Behaviour(recording_bytes=SIZE, latency_s=0.02, recording_pause_s=0.001)
    handle = synthflow(calls, behaviour=behaviour)
    arguments = (handle.url, json.dumps(result), lake.output_path, lake.s3_url)
    killed = unfinished = 0
    with serve_recordings(handle.api), Tasks(*arguments) as tasks:
        for _ in range(KILLS):
            process = tasks.start()
            lake.kill(process, rng)
            killed += tasks.wait_for_end() is None
            there = {name: data for name, data in lake.read_all().items() if name in whole}
            assert {name: whole[name] == data for name, data in there.items()} == dict.fromkeys(there, True)
            unfinished += bool(lake.unfinished())

            tasks.start()
            told = tasks.wait_for_end()

            assert (told["recordings"], told["bytes"]) == (COUNT, COUNT * SIZE)
            assert lake.unfinished() == []
            there = lake.read_all()
            items = json.loads(there.pop(manifest))["items"]
            assert there == whole
            assert Counter(item["status"] for item in items) == {"stored": COUNT}
            for name in (*rng.sample(sorted(whole), rng.randint(1, COUNT)), manifest):
                lake.remove(name)
    assert killed > 0
    assert lake.s3_url == "" or unfinished > 0  # some came within an upload
