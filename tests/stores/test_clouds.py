# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Storage and Azure hold whole files only, by an Airflow connection and over HTTP, as S3 does."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
import zstandard

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.base import ABSENT, ChangedMeanwhileError
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.stores.emulators import Azure, Google
from tests.synthflow_server import make_calls
from tests.unit.making import AGENT, FROM, FROM_MS, TO, TO_MS

if TYPE_CHECKING:
    from tests.stores.emulators import Emulator

# What the stores' own libraries warn of is not this package's.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.filterwarnings("error:::airflow_provider_synthflow")]

WINDOW = Window(FROM_MS, TO_MS)
PLACE = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
RESULT = {"model_id": AGENT, "query": {}}
MIB = 2**20
LARGE = {"Google": 20 * MIB, "Azure": 66 * MIB}
"""What each store's library uploads in several requests: gcsfs from 5 MiB on, Azure's from 64 MiB on."""


def make_answer(status: str, body: str, *headers: str) -> str:
    lines = [f"HTTP/1.1 {status}", *headers, f"Content-Length: {len(body)}", "Connection: close"]
    return "\n".join(lines) + "\n\n" + body


AZURE = "<?xml version='1.0'?><Error><Code>{0}</Code><Message>{1}</Message></Error>"
EXPIRED = {
    "Google": [
        make_answer(
            "401 Unauthorized",
            '{"error": {"code": 401, "message": "Invalid Credentials", "errors": [{"reason": "authError"}]}}',
            "Content-Type: application/json",
            'WWW-Authenticate: Bearer realm="https://accounts.google.com/"',
        )
    ],
    "Azure": [
        make_answer(status, AZURE.format(code, words), "Content-Type: application/xml", f"x-ms-error-code: {code}")
        for status, code, words in (
            ("401 Unauthorized", "ExpiredAuthenticationToken", "The access token expiry is earlier than now."),
            ("401 Unauthorized", "InvalidAuthenticationInfo", "Lifetime validation failed. The token is expired."),
            (
                "403 Forbidden",
                "AuthenticationFailed",
                "Server failed to authenticate the request. Signature not valid in the specified time frame",
            ),
        )
    ],
}
"""What the stores answer to a token that has expired, and to a clock that is wrong."""

CHILD = """
import sys
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
one = Publication(open_store(sys.argv[1], "cloud"), "agent-1", Window(1709251200000, 1709337600000), "jsonl", {})
one.check()
print("ready", flush=True)
sys.stdin.readline()
one.publish([b"x" * int(sys.argv[2])], {"model_id": "agent-1", "query": {}})
"""


@pytest.fixture(scope="module", params=["google", "azure"])
def one_emulator(request, tmp_path_factory):
    kind = {"google": Google, "azure": Azure}[request.param]
    with kind(tmp_path_factory.mktemp("store") / request.param) as emulator:
        yield emulator


@pytest.fixture
def cloud(one_emulator, monkeypatch):
    """Give an emulator, with a connection to it."""
    monkeypatch.setenv("AIRFLOW_CONN_CLOUD", one_emulator.connection())
    return one_emulator


@pytest.fixture
def url(cloud, request):
    """Give a place of the test's own."""
    return f"{cloud.url}/{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"


def make_record(size: int) -> bytes:
    return os.urandom(size // 2).hex().encode()


def large(cloud: Emulator) -> bytes:
    return make_record(LARGE[type(cloud).__name__])


def open_uploads(cloud: Emulator, url: str) -> list[str]:
    folder = url.removeprefix(f"{cloud.url}/")
    return [name for name in cloud.unfinished() if name.startswith(f"{folder}/")]


def publication(url: str) -> Publication:
    return Publication(open_store(url, "cloud"), AGENT, WINDOW, "jsonl", {})


def there(cloud: Emulator, url: str) -> dict[str, bytes]:
    """Return all that a reader sees below a place: names and bytes."""
    folder = url.removeprefix(f"{cloud.url}/")
    return {
        name.removeprefix(f"{folder}/{PLACE}/"): cloud.read(name)
        for name in cloud.objects()
        if name.startswith(f"{folder}/")
    }


def manifest_is_true(found: dict[str, bytes], name: str = "calls.jsonl") -> bool:
    told = json.loads(found["_manifest.json"])
    return (told["bytes"], told["sha256"]) == (len(found[name]), hashlib.sha256(found[name]).hexdigest())


def ids_in(name: str, data: bytes) -> list[str]:
    if name.endswith(".parquet"):
        return pq.read_table(io.BytesIO(data))["call_id"].to_pylist()
    if name.endswith(".gz"):
        data = gzip.decompress(data)
    if name.endswith(".zst"):
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    return [json.loads(line)["call_id"] for line in data.splitlines()]


def kill_amid_upload(cloud: Emulator, url: str) -> None:
    """Let a process publish a file of several requests, and kill it when half of that has gone out."""
    size = LARGE[type(cloud).__name__]
    command = [sys.executable, "-c", CHILD, url, str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:  # noqa: S603 - our own
        try:
            while (line := child.stdout.readline()) != b"ready\n":  # Airflow may have something to say before
                assert line, "it ended before it began"
            cloud.relay.after(size // 2, child.kill)
            child.stdin.write(b"\n")
            child.stdin.flush()
            assert child.wait(120) == -signal.SIGKILL
        finally:
            child.kill()  # else a child that never comes so far is waited for without an end


class TestTheOperator:
    @pytest.mark.parametrize("output_format", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
    def test_brings_each_call_once_and_the_same_bytes_again(self, cloud, url, synthflow, connect, output_format):
        calls = make_calls(7, 300, agents=[AGENT], from_ms=FROM_MS, to_ms=TO_MS, unfinished=0.0)
        connect(synthflow(calls).url)
        arguments = {"model_id": AGENT, "from_date": FROM, "to_date": TO, "output_format": output_format}
        task = SynthflowListCallsOperator(task_id="calls", output_path=url, output_conn_id="cloud", **arguments)

        first: Any = task.execute({})
        before = there(cloud, url)
        second: Any = task.execute({})

        name = f"calls.{output_format}"
        assert {*before} == {name, "_manifest.json"}
        assert sorted(ids_in(name, before[name])) == sorted(call.call_id for call in calls)
        assert manifest_is_true(before, name)
        assert (first["path"], first["count"], first["changed"]) == (f"{url}/{PLACE}/{name}", 300, True)
        assert (second["sha256"], second["changed"]) == (first["sha256"], False)
        assert there(cloud, url) == before
        assert open_uploads(cloud, url) == []

    def test_finds_wrong_settings_before_it_asks_for_a_call(self, cloud, url, synthflow, connect, monkeypatch):
        server = synthflow([])
        connect(server.url)
        settings = [(f"{cloud.url}-that-is-not-there/x", "cloud", "does not exist"), (url, "nix", "'nix'")]
        with contextlib.suppress(NotImplementedError):
            monkeypatch.setenv("AIRFLOW_CONN_DENIED", cloud.denied())
            settings.append((url, "denied", "denies this task access"))

        for path, conn_id, text in settings:
            task = SynthflowListCallsOperator(
                task_id="calls", model_id=AGENT, from_date=FROM, to_date=TO, output_path=path, output_conn_id=conn_id
            )
            with pytest.raises(SynthflowConfigError, match=text):
                task.execute({})

        assert server.api.requests == []


class TestAFileOfSeveralRequests:
    def test_is_whole_and_left_alone_when_it_is_the_same(self, cloud, url):
        record = large(cloud)

        told = publication(url).publish([record], RESULT)
        again = publication(url).publish([record], RESULT)

        found = there(cloud, url)
        assert found["calls.jsonl"] == record + b"\n"
        assert manifest_is_true(found)
        assert (told["changed"], again["changed"]) == (True, False)
        assert open_uploads(cloud, url) == []

    def test_shows_nothing_of_itself_when_the_task_is_interrupted(self, cloud, url):
        publication(url).publish([b"old"], RESULT)
        record = large(cloud)

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        def act() -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(1)  # the rest of the upload waits in the relay

        before = signal.signal(signal.SIGUSR1, interrupt)
        cloud.relay.after(len(record) // 2, act)
        try:
            with pytest.raises(KeyboardInterrupt):
                publication(url).publish([record], RESULT)
        finally:
            signal.signal(signal.SIGUSR1, before)

        assert there(cloud, url) == {"calls.jsonl": b"old\n"}
        publication(url).publish([record], RESULT)
        assert manifest_is_true(there(cloud, url))

    def test_shows_nothing_of_itself_when_the_process_is_killed(self, cloud, url):
        publication(url).publish([b"old"], RESULT)

        kill_amid_upload(cloud, url)

        found = there(cloud, url)
        assert json.loads(found.pop(".claim"))["process"]  # a hidden file, which the next task takes over
        assert found == {"calls.jsonl": b"old\n"}
        publication(url).publish([b"new"], RESULT)
        found = there(cloud, url)
        assert {*found} == {"calls.jsonl", "_manifest.json"}
        assert found["calls.jsonl"] == b"new\n"
        assert manifest_is_true(found)

    def test_of_a_killed_process_is_no_hindrance_where_no_file_was_there(self, cloud, url):
        kill_amid_upload(cloud, url)
        assert {*there(cloud, url)} == {".claim"}
        assert open_uploads(cloud, url) == [f"{url.removeprefix(cloud.url + '/')}/{PLACE}/calls.jsonl"]

        for records in ([b"new"], [b"newer"]):
            publication(url).publish(records, RESULT)

            found = there(cloud, url)
            assert {*found} == {"calls.jsonl", "_manifest.json"}
            assert found["calls.jsonl"] == records[0] + b"\n"
            assert manifest_is_true(found)

    def test_that_somebody_has_begun_is_not_seen_and_does_no_harm(self, cloud, url):
        cloud.begin_upload(f"{url.removeprefix(cloud.url + '/')}/{PLACE}/calls.jsonl")
        assert len(open_uploads(cloud, url)) == 1
        assert there(cloud, url) == {}

        publication(url).publish([b"new"], RESULT)

        assert there(cloud, url)["calls.jsonl"] == b"new\n"
        assert manifest_is_true(there(cloud, url))


class TestAnError:
    def test_of_a_token_that_has_expired_is_passed_over(self, cloud, url):
        for number, answer in enumerate(EXPIRED[type(cloud).__name__] * 3):
            record = make_record(100)
            one = publication(url)
            cloud.relay.after(number * 700, lambda answer=answer: cloud.relay.answer(answer))
            told = one.publish([record], RESULT)

            assert cloud.relay.has_acted
            assert cloud.relay.has_answered
            assert told["sha256"] == hashlib.sha256(record + b"\n").hexdigest()
            assert manifest_is_true(there(cloud, url))

    def test_of_the_network_is_passed_over(self, cloud, url):
        record = make_record(3 * MIB)
        cloud.relay.after(MIB, cloud.relay.cut)

        publication(url).publish([record], RESULT)

        assert cloud.relay.has_acted
        assert there(cloud, url)["calls.jsonl"] == record + b"\n"
        assert manifest_is_true(there(cloud, url))

    def test_while_calls_come_touches_nothing(self, cloud, url):
        publication(url).publish([b"old"], RESULT)
        before = there(cloud, url)

        def records():
            yield large(cloud)
            msg = "broken"
            raise RuntimeError(msg)

        with pytest.raises(RuntimeError, match="broken"):
            publication(url).publish(records(), RESULT)

        assert there(cloud, url) == before
        assert open_uploads(cloud, url) == []


class TestTwoTries:
    def test_at_once_end_in_one_file_with_its_own_manifest(self, cloud, url, monkeypatch):
        monkeypatch.setattr("airflow_provider_synthflow.output.file_publication._PAUSE", 0.05)
        small, big = [b'{"from":"one"}'], [b'{"from":"two"}', make_record(6 * MIB)]
        ended: list[bool] = []

        def write(records: list[bytes]) -> None:
            for _ in range(4):
                with contextlib.suppress(SynthflowTransientError):  # of one that the other always overtook
                    publication(url).publish(records, RESULT)
                    ended.append(True)

        threads = [threading.Thread(target=write, args=(records,)) for records in (small, big)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        found = there(cloud, url)
        assert ended
        assert found["calls.jsonl"] in [b"".join(line + b"\n" for line in records) for records in (small, big)]
        assert manifest_is_true(found)
        assert {*found} == {"calls.jsonl", "_manifest.json"}
        assert open_uploads(cloud, url) == []


class TestAWriteOverAVersion:
    @pytest.mark.parametrize("size", ["small", "large"])
    def test_is_refused_where_another_one_is_there(self, cloud, url, size):
        store = open_store(url, "cloud")
        ours = b"small" if size == "small" else large(cloud)

        def publish(data: bytes, over: str | None) -> None:
            with store.stage("x") as staged:
                staged.write(data)
                staged.publish("file", over)

        publish(b"first", ABSENT)
        _, first = store.read_version("x/file")
        publish(b"second", first)

        for over in (ABSENT, first):
            with pytest.raises(ChangedMeanwhileError):
                publish(ours, over)
        with pytest.raises(ChangedMeanwhileError):
            store.remove("x/file", first)

        data, second = store.read_version("x/file")
        assert data == b"second"
        publish(ours, second)
        assert store.read("x/file") == ours
        assert open_uploads(cloud, url) == []


def test_private_files_are_there_whole_and_go_with_their_directory(cloud, url):
    store = open_store(url, "cloud")
    for number in (1, 2):
        store.put_private(f"run/{number}.pages", b"%d" % number)
    store.put_private("other/1.pages", b"theirs")
    assert store.read("run/2.pages") == b"2"

    store.remove_all("run")
    store.remove_all("run")  # nothing is there any more

    folder = url.removeprefix(f"{cloud.url}/")
    assert [name for name in cloud.objects() if name.startswith(f"{folder}/")] == [f"{folder}/other/1.pages"]
    assert store.read("run/1.pages") is None
