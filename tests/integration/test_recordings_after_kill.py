# SPDX-License-Identifier: Apache-2.0
"""Killed at any moment, again and again, each recording is there once in the end, whole, and no part of any."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.effort import count_rounds
from tests.synthflow_server import Behaviour, audio, serve_recordings
from tests.unit.making import AGENT, FROM, TO
from tests.unit.recordings.keeping import DIRECTORY, recorded_calls

ROOT = Path(__file__).resolve().parents[2]
COUNT = 20
KILLS = count_rounds(6, 50)
"""``THOROUGH_ROUNDS=1`` makes it 50, which takes many minutes: each process that is killed begins anew."""
SIZE = 6_000_000
"""Two parts of a multipart upload."""


@pytest.fixture(params=["disk", "s3"])
def place(request, tmp_path, monkeypatch):
    """Give an output path, and what reads all files below it."""
    if request.param == "disk":
        folder = tmp_path / "lake"
        yield (
            str(folder),
            lambda: {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()},
        )
        return
    server = request.getfixturevalue("s3_server")
    monkeypatch.setenv("AIRFLOW_CONN_AWS_LAKE", server.connection())
    monkeypatch.setenv("OUTPUT_CONN_ID", "aws_lake")

    def read_all():
        server.settle()
        return {key.removeprefix("lake/"): server.read(key) for key in server.objects("lake/")}

    yield f"s3://{server.bucket}/lake", read_all
    server.settle()
    assert server.uploads() == []


def start(url, result, output_path):
    command = [sys.executable, "-m", "tests.recording_child", url, json.dumps(result), output_path]
    process = subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    while "begun" not in (line := process.stdout.readline()):  # Airflow may have something to say before
        assert line, "it ended before it began"
    return process


@pytest.mark.long
def test_each_recording_is_there_once_after_six_kills_or_fifty(synthflow, place):
    output_path, read_all = place
    rng = random.Random(KILLS)  # noqa: S311 - moments, no secrets
    calls = recorded_calls(COUNT)
    whole = {f"{DIRECTORY}/recordings/{call.call_id}.mp3": audio(call.call_id, SIZE) for call in calls}
    result = {"model_id": AGENT, "from_date": FROM, "to_date": TO, "calls": [call.record for call in calls]}
    behaviour = Behaviour(recording_bytes=SIZE, latency_s=0.02, recording_pause_s=0.001)
    handle = synthflow(calls, behaviour=behaviour)
    with contextlib.ExitStack() as hosts:
        hosts.enter_context(serve_recordings(handle.api))
        for _ in range(KILLS):
            process = start(handle.url, result, output_path)
            time.sleep(rng.uniform(0, 1.5))  # any moment will do
            process.send_signal(signal.SIGKILL)
            process.communicate()
            there = {
                name: data for name, data in read_all().items() if not name.rpartition("/")[2].startswith((".", "_"))
            }
            assert {name: whole[name] == data for name, data in there.items()} == dict.fromkeys(there, True)
        last = start(handle.url, result, output_path)
        told = json.loads(last.communicate()[0].splitlines()[-1])
    assert (told["recordings"], told["bytes"]) == (COUNT, COUNT * SIZE)
    there = read_all()
    manifest = json.loads(there.pop(f"{DIRECTORY}/recordings/_recordings.json"))
    hidden = [name for name in there if name.rpartition("/")[2].startswith(".")]
    assert {name: data for name, data in there.items() if name not in hidden} == whole
    assert hidden == []
    assert Counter(item["status"] for item in manifest["items"]) == {"stored": COUNT}
