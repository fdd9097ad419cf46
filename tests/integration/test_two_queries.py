# SPDX-License-Identifier: Apache-2.0
"""Two queries that race for one window never leave the manifest of one beside the file of the other."""

from __future__ import annotations

import fcntl
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

from airflow_provider_synthflow.exceptions import SynthflowOutputConflictError, SynthflowTransientError
from airflow_provider_synthflow.output import file_publication as publishing
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage import claim
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.effort import count_rounds
from tests.unit.making import AGENT, FROM_MS, TO_MS

pytest.importorskip("moto")
pytest.importorskip("s3fs")

ROOT = Path(__file__).resolve().parents[2]
WINDOW = Window(FROM_MS, TO_MS)
PLACE = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
FILE, MANIFEST = f"{PLACE}/calls.jsonl", f"{PLACE}/_manifest.json"
ROUNDS = [pytest.param(5, id="few"), pytest.param(count_rounds(20, 200), id="many", marks=pytest.mark.long)]
"""Many are 20, or 200 with ``THOROUGH_ROUNDS=1``."""


@pytest.fixture
def lake(s3_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
    monkeypatch.setattr(publishing, "_PAUSE", 0.02)
    return s3_server


def no_locks(*_: object) -> None:
    raise OSError(95, "Operation not supported")


def make(store: Any, format_name: str = "jsonl", described: dict[str, Any] | None = None, **filters: Any):
    return Publication(store, AGENT, WINDOW, format_name, filters, described=described)


def publish(one: Publication, filters: dict[str, Any], record: bytes, **more: Any) -> Any:
    """Publish, and return the result or the error that is due to the other."""
    try:
        return one.publish([record] * 3, {"model_id": AGENT, "query": filters, **more})
    except (SynthflowOutputConflictError, SynthflowTransientError) as error:
        return error


def race(stores: list[Any], root: Path, queries: list[dict[str, Any]]) -> list[Any]:
    """Let queries publish at once, each by its own store, and return what came of them."""
    ended: list[Any] = [None] * len(queries)
    both = threading.Barrier(len(queries))

    def work(number: int) -> None:
        query = dict(queries[number])
        more = {name: query[name] for name in ("drop_fields",) if name in query}
        filters = {name: value for name, value in query.items() if name not in ("drop_fields", "format_name")}
        one = make(stores[number], query.get("format_name", "jsonl"), more, **filters)
        both.wait()
        time.sleep(random.uniform(0, 0.01))  # noqa: S311 - a moment, no secret
        ended[number] = publish(one, filters, b'{"by":%d}' % number, **more)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(queries))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ended


def check(read: Any, names: list[str], ended: list[Any]) -> None:
    """Raise where what is there is not the winner's alone."""
    winners = [told for told in ended if isinstance(told, dict)]
    assert len(winners) == 1, ended
    assert sum(isinstance(told, SynthflowOutputConflictError) for told in ended) == len(ended) - 1
    file = winners[0]["path"].rpartition("/")[2]
    assert sorted(names) == sorted([f"{PLACE}/_manifest.json", f"{PLACE}/{file}"])
    manifest, data = json.loads(read(MANIFEST)), read(f"{PLACE}/{file}")
    assert manifest == winners[0]
    assert (manifest["bytes"], manifest["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


RACES = {
    "filters": [{"call_status": "completed"}, {"call_status": "failed"}],
    "formats": [{}, {"format_name": "jsonl.gz"}],
    "cleaned": [{}, {"drop_fields": ["transcript"]}],
}


@pytest.mark.parametrize("kind", RACES)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_in_s3_one_wins_and_nothing_of_the_other_is_left(lake, tmp_path, rounds, kind):
    stores = [open_store("s3://lake/out", "lake") for _ in range(2)]
    for _ in range(rounds):
        ended = race(stores, tmp_path, RACES[kind])

        names = [key.removeprefix("out/") for key in lake.objects()]
        check(lambda name: lake.read(f"out/{name}"), names, ended)
        lake.reset()


@pytest.mark.parametrize("locks", [True, False])
@pytest.mark.parametrize("kind", RACES)
@pytest.mark.parametrize("rounds", ROUNDS)
def test_on_a_disk_one_wins_and_nothing_of_the_other_is_left(tmp_path, monkeypatch, rounds, kind, locks):
    if not locks:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    for number in range(rounds):
        root = tmp_path / str(number)
        ended = race([LocalStore(str(root)) for _ in range(2)], root, RACES[kind])

        names = [str(path.relative_to(root)) for path in root.rglob("*.*") if path.is_file()]
        check(lambda name, root=root: (root / name).read_bytes(), names, ended)


class TestOneWithoutTheClaim:
    """Staged: an older version of this package, which knows of no claims, comes in between."""

    THEIRS = b'{"by":"them"}\n'

    def put_theirs(self, lake, *, file: bool = True) -> None:
        told = {"query": {"call_status": "busy"}, "format": "jsonl", "bytes": len(self.THEIRS)}
        told |= {"sha256": hashlib.sha256(self.THEIRS).hexdigest(), "path": f"s3://lake/out/{FILE}"}
        if file:
            lake.client.put_object(Bucket="lake", Key=f"out/{FILE}", Body=self.THEIRS)
        lake.client.put_object(Bucket="lake", Key=f"out/{MANIFEST}", Body=json.dumps(told).encode())

    @pytest.mark.parametrize("before", [True, False])
    def test_before_our_file_is_left_alone(self, lake, before):
        if before:
            publish(make(open_store("s3://lake/out", "lake")), {}, b"old")
        came: list[str] = []

        def fault(request):
            if request.method == "PUT" and request.path.endswith("calls.jsonl") and not came:
                came.append(request.path)
                self.put_theirs(lake)

        lake.fault = fault
        ended = publish(make(open_store("s3://lake/out", "lake")), {}, b"ours")
        lake.fault = None

        assert isinstance(ended, SynthflowOutputConflictError)
        assert lake.read(f"out/{FILE}") == self.THEIRS
        assert json.loads(lake.read(f"out/{MANIFEST}"))["query"] == {"call_status": "busy"}
        assert len(lake.objects()) == 2

    def test_before_our_manifest_with_another_file_has_ours_taken_back(self, lake):
        came: list[str] = []

        def fault(request):
            if request.method == "PUT" and request.path.endswith("_manifest.json") and not came:
                came.append(request.path)
                self.put_theirs(lake)

        lake.fault = fault
        ended = publish(make(open_store("s3://lake/out", "lake")), {}, b"ours")
        lake.fault = None

        assert isinstance(ended, SynthflowOutputConflictError)
        assert lake.read(f"out/{FILE}") == self.THEIRS
        assert json.loads(lake.read(f"out/{MANIFEST}"))["query"] == {"call_status": "busy"}

    def test_before_our_manifest_with_its_manifest_alone_leaves_no_manifest_beside_our_file(self, lake):
        came: list[str] = []

        def fault(request):
            if request.method == "PUT" and request.path.endswith("_manifest.json") and not came:
                came.append(request.path)
                self.put_theirs(lake, file=False)

        lake.fault = fault
        ended = publish(make(open_store("s3://lake/out", "lake")), {}, b"ours")
        lake.fault = None

        assert isinstance(ended, SynthflowOutputConflictError)
        assert lake.objects() == []


class TestAClaim:
    def claim_of_another_machine(self) -> bytes:
        return json.dumps({"claim": "0" * 32, "beat": "1", "process": ["boot", "pid:[1]", "1", "1"]}).encode()

    def test_that_nobody_keeps_fresh_is_taken_over(self, lake, monkeypatch):
        monkeypatch.setattr(claim, "_STALE_AFTER", 0.3)
        lake.client.put_object(Bucket="lake", Key=f"out/{PLACE}/.claim", Body=self.claim_of_another_machine())

        assert publish(make(open_store("s3://lake/out", "lake")), {}, b"ours")["changed"]

        assert len(lake.objects()) == 2

    def test_that_is_kept_fresh_is_waited_for(self, lake, monkeypatch):
        monkeypatch.setattr(claim, "_STALE_AFTER", 0.6)
        monkeypatch.setattr(claim, "_FRESH_EVERY", 0.1)
        first, second = (open_store("s3://lake/out", "lake") for _ in range(2))
        order = []

        def work() -> None:
            with second.locked(PLACE):
                order.append("second")

        with first.locked(PLACE):
            thread = threading.Thread(target=work)
            thread.start()
            time.sleep(2)
            order.append("first")
        thread.join()

        assert order == ["first", "second"]
        assert lake.objects() == []

    @pytest.mark.parametrize("where", ["s3", "disk"])
    def test_of_a_killed_process_is_taken_over_at_once(self, lake, tmp_path, monkeypatch, where):
        code = (
            "import fcntl, sys, time; sys.modules['airflow'] = None\n"
            "def no(*_): raise OSError(95, 'no')\n"
            "fcntl.flock = no\n"
            "import s3fs\n"
            "from airflow_provider_synthflow.storage.local import LocalStore\n"
            "from airflow_provider_synthflow.storage.object_store import ObjectStore\n"
            "fs = s3fs.S3FileSystem(key='AKIATESTKEY', secret='test-secret-0123456789', endpoint_url=sys.argv[1],\n"
            "    client_kwargs={'region_name': 'us-east-1'})\n"
            "s3 = ObjectStore(fs, 'lake/out', 's3://lake/out')\n"
            f"with (s3 if {where!r} == 's3' else LocalStore(sys.argv[2])).locked({PLACE!r}):\n"
            "    print('ready', flush=True); time.sleep(60)\n"
        )
        command = [sys.executable, "-c", code, lake.url, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:  # noqa: S603 - our own
            assert child.stdout.readline() == "ready\n"
            child.send_signal(signal.SIGKILL)
        monkeypatch.setattr(fcntl, "flock", no_locks)
        monkeypatch.setattr(claim, "_STALE_AFTER", 600)
        store = open_store("s3://lake/out", "lake") if where == "s3" else LocalStore(str(tmp_path))
        assert store.has_leftovers(PLACE)

        assert publish(make(store), {}, b"ours")["changed"]

        names = lake.objects() if where == "s3" else list((tmp_path / PLACE).iterdir())
        assert len(names) == 2

    def test_is_free_again_after_an_error(self, lake):
        store = open_store("s3://lake/out", "lake")

        def work() -> None:
            with store.locked(PLACE):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            work()

        assert lake.objects() == []


def test_a_forked_child_opens_the_store_anew(lake):
    one = make(open_store("s3://lake/out", "lake"))
    publish(one, {}, b"parent")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            for each in (one, make(open_store("s3://lake/out", "lake"))):  # opened before the fork, and after it
                told = publish(each, {}, b"child")
                os.write(write, b"%d" % isinstance(told, dict))
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    os.close(write)

    assert os.read(read, 10) == b"11"
    assert status == 0
    assert lake.read(f"out/{FILE}") == b"child\n" * 3
