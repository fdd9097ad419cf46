# SPDX-License-Identifier: Apache-2.0
"""Each recording of a window is stored once and whole, and only what is not there is downloaded."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import threading
from collections import Counter

import pytest

from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.recordings import job as job_module
from airflow_provider_synthflow.recordings.shelf import RecordingShelf, encode_id
from tests.synthflow_server import Behaviour, Fault, audio, serve_recordings
from tests.unit.client.making import make_client
from tests.unit.making import AGENT, FROM, TO, tree_of
from tests.unit.recordings.keeping import (
    DIRECTORY,
    make_job,
    never_wait,
    read_manifest,
    recorded_call,
    recorded_calls,
    write_calls,
)

RESULT = {
    "model_id", "from_date", "to_date", "calls", "recordings", "bytes", "none", "missing", "forbidden", "downloaded",
    "path",
}  # fmt: skip


@pytest.fixture
def served(synthflow):
    """Give a function that serves calls and their recordings, and makes a client."""
    with contextlib.ExitStack() as open_things:

        def start(calls, *, behaviour=Behaviour(), max_attempts=2, **options):  # noqa: B008
            handle = synthflow(calls, behaviour=behaviour, **options)
            open_things.enter_context(serve_recordings(handle.api))
            return handle, open_things.enter_context(make_client(handle.url, max_attempts=max_attempts))

        yield start


def stored(folder):
    """Return the files of recordings, without the manifest and whatever the store hides."""
    there = {path.name: path.read_bytes() for path in (folder / DIRECTORY / "recordings").iterdir()}
    there.pop("_recordings.json", None)
    return there


def asked_for(handle):
    return Counter(received.path.split("/")[-2] for received in handle.api.requests_to("recording"))


@pytest.mark.parametrize("concurrency", [1, 4, 50])
def test_each_recording_is_there_once_with_its_bytes(served, tmp_path, concurrency):
    calls = recorded_calls(30)
    handle, client = served(calls)
    job = make_job(write_calls(tmp_path, calls), concurrency=concurrency)

    result = job.run(client, wait=never_wait)

    assert stored(tmp_path) == {f"{call.call_id}.mp3": audio(call.call_id) for call in calls}
    assert set(asked_for(handle).values()) == {1}
    assert result == {
        "model_id": AGENT, "from_date": FROM, "to_date": TO, "calls": 30, "recordings": 30, "bytes": 60_000,
        "none": 0, "missing": 0, "forbidden": 0, "downloaded": 30, "path": str(tmp_path / DIRECTORY / "recordings"),
    }  # fmt: skip
    assert (job.downloaded, job.downloaded_bytes) == (30, 60_000)


def test_the_manifest_tells_of_each_call_in_the_order_of_the_calls(served, tmp_path):
    calls = [
        recorded_call("stored", 0),
        recorded_call("missing", 1),
        recorded_call("forbidden", 2),
        recorded_call("silent", 3, recording_url=None, recording_duration=None, duration=0),
        recorded_call("lasted", 4, recording_url=None, recording_duration=None),
        recorded_call("running", 5, call_status="in-progress"),
    ]
    handle, client = served(calls)
    handle.api.recordings.statuses |= {"missing": 404, "forbidden": 403}

    result = make_job(write_calls(tmp_path, calls)).run(client, wait=never_wait)

    manifest = read_manifest(tmp_path)
    assert {name: manifest[name] for name in RESULT} == result
    assert [(item["call_id"], item["status"]) for item in manifest["items"]] == [
        ("stored", "stored"), ("missing", "missing"), ("forbidden", "forbidden"), ("silent", "none"),
        ("lasted", "none"), ("running", "none"),
    ]  # fmt: skip
    assert manifest["items"][0] == {
        "call_id": "stored", "status": "stored", "file": "stored.mp3", "bytes": 2000,
        "sha256": hashlib.sha256(audio("stored")).hexdigest(), "content_type": "audio/mpeg",
    }  # fmt: skip
    assert (result["calls"], result["recordings"], result["none"]) == (6, 1, 3)
    assert (result["missing"], result["forbidden"]) == (1, 1)
    assert set(asked_for(handle)) == {"stored", "missing", "forbidden", "lasted"}


def test_a_second_run_downloads_nothing(served, tmp_path):
    calls = recorded_calls(10)
    handle, client = served(calls)
    told = write_calls(tmp_path, calls)
    first = make_job(told).run(client, wait=never_wait)
    before = tree_of(tmp_path)
    handle.api.requests.clear()

    assert make_job(told).run(client, wait=never_wait) == {**first, "downloaded": 0}
    assert handle.api.requests == []
    after = tree_of(tmp_path)
    name = f"{DIRECTORY}/recordings/_recordings.json"
    assert {**after, name: None} == {**before, name: None}


@pytest.mark.parametrize("spoil", ["gone", "cut", "other", "empty"])
def test_what_is_not_there_whole_is_downloaded_again_and_nothing_else(served, tmp_path, spoil):
    calls = recorded_calls(5)
    handle, client = served(calls)
    told = write_calls(tmp_path, calls)
    make_job(told).run(client, wait=never_wait)
    handle.api.requests.clear()
    path = tmp_path / DIRECTORY / "recordings" / "call-0002.mp3"
    if spoil == "gone":
        path.unlink()
    else:
        path.write_bytes({"cut": path.read_bytes()[:-1], "other": b"x" * 2000, "empty": b""}[spoil])

    result = make_job(told).run(client, wait=never_wait)

    assert asked_for(handle) == {"call-0002": 1}
    assert result["downloaded"] == 1
    assert stored(tmp_path) == {f"{call.call_id}.mp3": audio(call.call_id) for call in calls}


def test_what_a_try_without_an_end_has_stored_is_found(served, tmp_path):
    calls = recorded_calls(6)
    handle, client = served(calls)
    told = write_calls(tmp_path, calls)
    first = make_job(told).run(client, wait=never_wait)
    (tmp_path / DIRECTORY / "recordings" / "_recordings.json").unlink()
    (tmp_path / DIRECTORY / "recordings" / "call-0003.mp3").unlink()
    handle.api.requests.clear()

    assert make_job(told).run(client, wait=never_wait) == {**first, "downloaded": 1}
    assert asked_for(handle) == {"call-0003": 1}
    items = {item["call_id"]: item for item in read_manifest(tmp_path)["items"]}
    assert items["call-0001"]["sha256"] == hashlib.sha256(audio("call-0001")).hexdigest()


def test_a_recording_that_came_late_is_added_and_what_the_api_has_lost_stays(served, tmp_path):
    calls = recorded_calls(3)
    handle, client = served(calls)
    told = write_calls(tmp_path, calls)
    handle.api.recordings.statuses["call-0000"] = 404
    assert make_job(told).run(client, wait=never_wait)["missing"] == 1
    handle.api.recordings.statuses = {"call-0001": 404, "call-0002": 403}

    result = make_job(told).run(client, wait=never_wait)

    assert (result["recordings"], result["missing"], result["downloaded"]) == (3, 0, 1)


@pytest.mark.parametrize("urls", ["stable", "absent", "null"])
def test_the_day_on_which_the_field_goes_changes_nothing(served, tmp_path, urls):
    calls = [recorded_call("a", recording_duration=None), recorded_call("b", 1)]
    _, client = served(calls, behaviour=Behaviour(recording_urls=urls))
    listed = [recorded_call("a", recording_duration=None), recorded_call("b", 1)]
    for call in listed:
        if urls == "absent":
            del call.record["recording_url"]
        elif urls == "null":
            call.record["recording_url"] = None

    result = make_job(write_calls(tmp_path, listed)).run(client, wait=never_wait)

    assert result["recordings"] == 2


@pytest.mark.parametrize(
    ("call_id", "name"),
    [
        ("3f0c-4d", "3f0c-4d"),
        ("1776876567837x123", "1776876567837x123"),
        ("a b", "a%20b"),
        (".hidden", "%2Ehidden"),
        ("_recordings", "%5Frecordings"),
        ("Ä:*?", "%C3%84%3A%2A%3F"),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_an_id_that_is_no_safe_name_is_encoded(served, tmp_path, call_id, name):
    calls = [recorded_call(call_id)]
    _, client = served(calls)
    make_job(write_calls(tmp_path, calls)).run(client, wait=never_wait)
    assert stored(tmp_path) == {f"{name}.mp3": audio(call_id)}
    assert [path.name for path in tmp_path.iterdir()] == [f"model_id={AGENT}"]


@pytest.mark.parametrize(
    ("call_id", "name"),
    [("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd"), ("a/b", "a%2Fb"), ("a\\b", "a%5Cb"), ("a\0b\n", "a%00b%0A")],
)
def test_no_id_leads_out_of_the_directory(call_id, name):
    assert encode_id(call_id) == name


def test_long_ids_have_names_of_their_own(served, tmp_path):
    calls = [recorded_call("ü" * 200 + end, number) for number, end in enumerate("ab")]
    _, client = served(calls)
    assert make_job(write_calls(tmp_path, calls)).run(client, wait=never_wait)["recordings"] == 2
    assert len(stored(tmp_path)) == 2
    assert encode_id(calls[0].call_id) != encode_id(calls[1].call_id)


class TestFailures:
    def test_of_one_recording_let_the_others_be_stored_and_then_fail(self, served, tmp_path):
        calls = recorded_calls(8)
        handle, client = served(calls)
        handle.api.recordings.bodies["call-0002"] = ("text/html", b"<html></html>")
        told = write_calls(tmp_path, calls)

        with pytest.raises(SynthflowTransientError) as caught:
            make_job(told).run(client, wait=never_wait)

        assert "1 recording could not be stored" in str(caught.value)
        assert "the 7 that are stored stay" in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.attempts == 2
        assert len(stored(tmp_path)) == 7
        assert not (tmp_path / DIRECTORY / "recordings" / "_recordings.json").exists()
        del handle.api.recordings.bodies["call-0002"]
        assert make_job(told).run(client, wait=never_wait)["downloaded"] == 1

    def test_in_a_row_end_it_without_asking_for_all(self, served, tmp_path):
        calls = recorded_calls(60)
        handle, client = served(calls, faults=[Fault(route="signed", kind="status", status=503)], max_attempts=1)
        with pytest.raises(SynthflowTransientError, match="recordings could not be stored"):
            make_job(write_calls(tmp_path, calls)).run(client, wait=never_wait)
        assert len(asked_for(handle)) < 60

    def test_of_the_key_end_it_at_once(self, served, tmp_path):
        calls = recorded_calls(60)
        handle, client = served(calls, behaviour=Behaviour(wrong_region=True))
        with pytest.raises(SynthflowAuthError):
            make_job(write_calls(tmp_path, calls)).run(client, wait=never_wait)
        assert len(asked_for(handle)) <= 8  # those that were under way

    def test_above_max_bytes_are_no_retry_s(self, served, tmp_path):
        calls = recorded_calls(4)
        handle, client = served(calls)
        handle.api.recordings.sizes["call-0001"] = 5000
        with pytest.raises(SynthflowConfigError, match="max_bytes") as caught:
            make_job(write_calls(tmp_path, calls), max_bytes=4000).run(client, wait=never_wait)
        assert type(caught.value) is SynthflowConfigError
        assert len(stored(tmp_path)) == 3

    def test_of_a_full_disk_are_typed_and_keep_what_is_stored(self, served, tmp_path, monkeypatch):
        calls = recorded_calls(6)
        _, client = served(calls)
        upload = RecordingShelf.upload
        begun = []

        @contextlib.contextmanager
        def fill(shelf, name):
            begun.append(name)
            with upload(shelf, name) as file:
                if len(begun) > 3:
                    raise OSError(28, os.strerror(28))
                yield file

        monkeypatch.setattr(RecordingShelf, "upload", fill)
        told = write_calls(tmp_path, calls)
        with pytest.raises(SynthflowError, match="full") as caught:
            make_job(told, concurrency=1).run(client, wait=never_wait)
        # The third may still be on its way to the disk.
        assert re.search(r"the [23] that are stored stay", str(caught.value))
        monkeypatch.undo()
        result = make_job(told).run(client, wait=never_wait)
        assert result["recordings"] == 6
        assert result["downloaded"] in {3, 4}

    def test_where_the_store_cannot_be_written_come_before_any_request(self, served, tmp_path):
        calls = recorded_calls(2)
        handle, client = served(calls)
        place = tmp_path / "file"
        place.write_text("")
        with pytest.raises(SynthflowConfigError, match="output_path"):
            make_job(write_calls(tmp_path, calls), str(place)).run(client, wait=never_wait)
        assert handle.api.requests == []


class TestMissing:
    def test_recordings_are_waited_for_before_those_that_nothing_promises_are_asked_for(self, served, tmp_path):
        calls = [recorded_call("late"), recorded_call("quiet", 1, recording_url=None, recording_duration=None)]
        handle, client = served(calls)
        handle.api.recordings.statuses["late"] = 404
        told = write_calls(tmp_path, calls)
        waits = []

        class LaterError(Exception):
            pass

        def wait(missing, since):
            waits.append((missing, since()))
            raise LaterError

        for _ in range(2):
            with pytest.raises(LaterError):
                make_job(told, origin={"run_id": "one"}).run(client, wait=wait)
        assert waits[0] == waits[1]
        assert waits[0][0] == 1
        assert set(asked_for(handle)) == {"late"}
        with pytest.raises(LaterError):
            make_job(told, origin={"run_id": "another"}).run(client, wait=wait)
        assert waits[2][1] >= waits[1][1]
        handle.api.recordings.statuses.clear()
        assert make_job(told).run(client, wait=wait)["recordings"] == 1
        assert set(stored(tmp_path)) == {"late.mp3"}

    def test_recordings_fail_the_task_where_that_is_wanted_and_what_is_there_stays(self, served, tmp_path):
        calls = recorded_calls(4)
        handle, client = served(calls)
        handle.api.recordings.statuses["call-0001"] = 404
        with pytest.raises(SynthflowIncompleteError, match="call-0001") as caught:
            make_job(write_calls(tmp_path, calls), on_missing="fail").run(client, wait=never_wait)
        assert (caught.value.expected, caught.value.received) == (4, 3)
        assert len(stored(tmp_path)) == 3

    def test_what_nothing_promised_is_never_missing(self, served, tmp_path):
        calls = [recorded_call("a", recording_url=None, recording_duration=None)]
        _, client = served(calls)
        result = make_job(write_calls(tmp_path, calls), on_missing="fail").run(client, wait=never_wait)
        assert (result["none"], result["missing"]) == (1, 0)


def test_closing_ends_it_at_once_and_leaves_no_part_of_a_recording(served, tmp_path):
    calls = recorded_calls(3)
    handle, client = served(calls, behaviour=Behaviour(recording_bytes=10_000_000, recording_pause_s=20.0))
    job = make_job(write_calls(tmp_path, calls))
    errors = []

    def run():
        try:
            job.run(client, wait=never_wait)
        except SynthflowError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    while not handle.api.requests_to("signed"):
        thread.join(0.01)
    job.close()
    client.close()
    thread.join(10)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert not (tmp_path / DIRECTORY / "recordings").exists() or not any(
        path.suffix == ".mp3" for path in (tmp_path / DIRECTORY / "recordings").iterdir()
    )


def test_the_log_tells_how_far_it_is_and_what_came_of_it(served, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(job_module, "_EVERY", 0.0)
    caplog.set_level(logging.INFO, logger="airflow_provider_synthflow")
    calls = recorded_calls(3)
    handle, client = served(calls)
    handle.api.recordings.statuses["call-0002"] = 403
    make_job(write_calls(tmp_path, calls), concurrency=1).run(client, wait=never_wait)
    lines = [record.getMessage() for record in caplog.records]
    assert any(re.match(r"Recordings of 1 of 3 calls looked at, [24]\.0 KB downloaded", line) for line in lines)
    assert any(line.startswith("2 recordings (4.0 KB) of 3 calls of agent") and "1 forbidden" in line for line in lines)
    assert any(line.startswith("The key is not entitled to 1 recording (HTTP 403)") for line in lines)
