# SPDX-License-Identifier: Apache-2.0
"""Nothing partial is ever seen, and no manifest is untrue: not after `kill -9`, and not with two tries at once."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import Self

from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.output import file_publication as publishing
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.effort import count_rounds
from tests.unit.making import AGENT, FROM_MS, TO_MS

pytestmark = pytest.mark.long

pytest.importorskip("moto")
pytest.importorskip("s3fs")

ROOT = Path(__file__).resolve().parents[2]
WINDOW = Window(FROM_MS, TO_MS)
PLACE = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
KILLS = count_rounds(20, 50)
"""``THOROUGH_ROUNDS=1`` makes it 50."""
TURNS = 1_000_003


@pytest.fixture
def s3(s3_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
    monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1000)
    monkeypatch.setattr("airflow_provider_synthflow.storage.s3._PART", 20_000)
    monkeypatch.setattr(publishing, "_PAUSE", 0.02)
    return s3_server


class Place:
    """
    Look at what is published, as a reader does.

    :param folder: the directory of the local disk
    :param s3: the server, for what is in S3
    """

    def __init__(self, folder: Path, s3: Any = None) -> None:
        self.folder = folder
        self.s3 = s3

    def names(self) -> set[str]:
        if self.s3:
            return {key.removeprefix(f"out/{PLACE}/") for key in self.s3.objects()}
        folder = self.folder / PLACE
        return {path.name for path in folder.iterdir()} if folder.exists() else set()

    def read(self, name: str) -> bytes | None:
        if self.s3:
            return self.s3.read(f"out/{PLACE}/{name}") if name in self.names() else None
        path = self.folder / PLACE / name
        return path.read_bytes() if path.exists() else None

    def check(self, name: str) -> dict[str, Any] | None:
        """Raise where the file is partial or the manifest is untrue, and return the manifest."""
        data, manifest = self.read(name), self.read("_manifest.json")
        if data is not None:
            records = [json.loads(line) for line in unpacked(name, data).splitlines()]
            (turn,) = {record["turn"] for record in records}
            assert len(records) == 50 + turn * 137 % 400
        if manifest is None:
            return None
        told = json.loads(manifest)
        assert data is not None
        assert (told["turn"], told["bytes"]) == (turn, len(data))
        assert told["sha256"] == hashlib.sha256(data).hexdigest()
        for table, of_table in told.get("tables", {}).items():
            rows = self.read(f"{table}.parquet")
            assert (of_table["bytes"], of_table["sha256"]) == (len(rows), hashlib.sha256(rows).hexdigest())
        assert {each for each in self.names() if each.endswith(".parquet")} == {
            f"{each}.parquet" for each in told.get("tables", ())
        }
        return told


def unpacked(name: str, data: bytes) -> bytes:
    return gzip.decompress(data) if name.endswith("gz") else data


def records_of(turn: int) -> list[bytes]:
    return [b'{"call_id":"%d","turn":%d,"pad":"%s"}' % (n, turn, b"x" * 200) for n in range(50 + turn * 137 % 400)]


def publish(store: Any, format_name: str, turn: int) -> dict[str, Any]:
    one = Publication(store, AGENT, WINDOW, format_name, {})
    return one.publish(records_of(turn), {"model_id": AGENT, "query": {}, "turn": turn})


class Children:
    """Processes that publish one window again and again, each until it is killed."""

    def __init__(self, where: str) -> None:
        command = [sys.executable, "-m", "tests.integration.publishing_children", where]
        self._program = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )

    def __enter__(self) -> Self:
        assert self._program.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate(timeout=60)

    def start(self, turn: int) -> int:
        """Start one, and return its process once it has published."""
        print(turn, file=self._program.stdin, flush=True)
        return int(self._program.stdout.readline())

    def wait_for_end(self) -> None:
        print(file=self._program.stdin, flush=True)
        assert self._program.stdout.readline() == "dead\n"


def kill_at_request(child: int, s3: Any, number: int) -> None:
    """Kill a process when it makes its nth request from now on, which is served all the same, or is not."""
    seen: list[str] = []
    met = threading.Event()

    def fault(request):
        seen.append(request.method)
        if len(seen) == number:
            os.kill(child, signal.SIGKILL)
            met.set()

    s3.fault = fault
    assert met.wait(60)
    s3.fault = None


def test_kills_at_any_moment_on_a_disk_leave_true_manifests_and_the_next_run_no_copy(tmp_path):
    rng = random.Random(11)  # noqa: S311 - moments, no secrets
    place, store = Place(tmp_path), LocalStore(str(tmp_path))
    lacking = 0
    with Children(str(tmp_path)) as children:
        for number in range(KILLS):
            child = children.start(number * TURNS)
            time.sleep(rng.uniform(0, 0.05))
            os.kill(child, signal.SIGKILL)
            children.wait_for_end()
            lacking += place.check("calls.jsonl.gz") is None

            publish(store, "jsonl.gz", number)

            assert place.check("calls.jsonl.gz")["turn"] == number
            assert place.names() == {"calls.jsonl.gz", "_manifest.json"}
    assert lacking > 0  # some came between the file and its manifest


def test_kills_at_any_request_to_s3_leave_true_manifests_and_the_next_run_nothing_to_pay_for(tmp_path, s3):
    rng = random.Random(11)  # noqa: S311 - moments, no secrets
    place, store = Place(tmp_path, s3), open_store("s3://lake/out", "lake")
    lacking = unfinished = 0
    with Children(s3.url) as children:
        for number in range(KILLS):
            child = children.start(number * TURNS)
            kill_at_request(child, s3, rng.randint(1, 25))
            children.wait_for_end()
            s3.settle()
            lacking += place.check("calls.jsonl") is None
            unfinished += bool(s3.uploads())
            assert {name for name in place.names() if name.startswith(".")} <= {".claim"}

            publish(store, "jsonl", number)

            assert place.check("calls.jsonl")["turn"] == number
            assert place.names() == {"calls.jsonl", "_manifest.json"}
            assert s3.uploads() == []
    assert lacking > 0  # some came between the file and its manifest
    assert unfinished > 0  # and some within an upload


@pytest.mark.parametrize("where", ["local", "s3"])
def test_two_tries_at_once_leave_a_true_manifest(tmp_path, s3, where):
    place = Place(tmp_path, s3 if where == "s3" else None)
    rng = random.Random(5)  # noqa: S311 - moments, no secrets
    s3.fault = lambda _: time.sleep(rng.uniform(0, 0.01))
    finished: list[int] = []

    def work(number: int) -> None:
        store = open_store("s3://lake/out", "lake") if where == "s3" else LocalStore(str(tmp_path))
        for turn in range(12 if where == "local" else 4):
            # The other may come first too often, which is an error that Airflow may try again.
            with contextlib.suppress(SynthflowTransientError):
                publish(store, "jsonl", number * TURNS + turn)
        finished.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if where == "local":
            data = place.read("calls.jsonl")
            assert data is None or len({json.loads(line)["turn"] for line in data.splitlines()}) == 1
        time.sleep(0.01)

    assert sorted(finished) == [0, 1, 2]
    assert place.check("calls.jsonl") is not None
    assert place.names() == {"calls.jsonl", "_manifest.json"}
    assert s3.uploads() == []


@pytest.mark.parametrize("with_manifest", [True, False])
@pytest.mark.parametrize("times", [1, 3])
def test_a_file_that_comes_before_our_manifest_makes_us_begin_again(s3, with_manifest, times):
    """Staged: another try puts its file, and perhaps its manifest, in the moment before our manifest comes."""
    came: list[str] = []

    def fault(request):
        if request.method == "PUT" and request.path.endswith("_manifest.json") and len(came) < times:
            came.append(request.path)
            data = b'{"turn": 9}\n'
            s3.client.put_object(Bucket="lake", Key=f"out/{PLACE}/calls.jsonl", Body=data)
            if with_manifest:
                s3.client.put_object(Bucket="lake", Key=f"out/{PLACE}/_manifest.json", Body=b'{"sha256": "theirs"}')

    s3.fault = fault
    told = publish(open_store("s3://lake/out", "lake"), "jsonl", 4)
    s3.fault = None

    assert len(came) == times
    assert Place(Path(), s3).check("calls.jsonl") == told


def test_a_file_that_others_replace_each_time_ends_in_a_transient_error_and_no_untrue_manifest(s3):
    def fault(request):
        if request.method == "PUT" and request.path.endswith("_manifest.json"):
            s3.client.put_object(Bucket="lake", Key=f"out/{PLACE}/calls.jsonl", Body=b"theirs")

    s3.fault = fault
    with pytest.raises(SynthflowTransientError, match="written 5 times by another task"):
        publish(open_store("s3://lake/out", "lake"), "jsonl", 4)
    s3.fault = None

    assert Place(Path(), s3).names() == {"calls.jsonl"}
