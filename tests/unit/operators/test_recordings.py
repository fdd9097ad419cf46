# SPDX-License-Identifier: Apache-2.0
"""The operator stores the recordings of what a task has listed, waits without a worker, and tells nothing of them."""

from __future__ import annotations

import contextlib
import datetime as dt
import inspect
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import DAG, Stats, TaskDeferred

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.operators.synthflow import (
    SynthflowDownloadRecordingsOperator,
    SynthflowListCallsOperator,
)
from tests.synthflow_server import Behaviour, audio, serve_recordings
from tests.unit.making import AGENT, FROM, TO
from tests.unit.recordings.keeping import DIRECTORY, read_manifest, recorded_call, recorded_calls, write_calls


def operator(calls: Any, **arguments: Any) -> SynthflowDownloadRecordingsOperator:
    return SynthflowDownloadRecordingsOperator(**{"task_id": "recordings", "calls": calls, **arguments})


def listing(**arguments: Any) -> Any:
    return SynthflowListCallsOperator(
        **{"task_id": "calls", "model_id": AGENT, "from_date": FROM, "to_date": TO, **arguments}
    ).execute({})


@pytest.fixture
def serve(synthflow, connect):
    """Start a test server with recordings on another origin, to which the default connection leads."""
    with contextlib.ExitStack() as hosts:

        def start(calls, *, behaviour=Behaviour(), **options):  # noqa: B008
            handle = synthflow(calls, behaviour=behaviour, **options)
            hosts.enter_context(serve_recordings(handle.api))
            connect(host=handle.url, extra={"max_attempts": 1})
            return handle

        yield start


def test_the_parameters_are_the_contract_s():
    found = {
        name: parameter.default
        for name, parameter in inspect.signature(SynthflowDownloadRecordingsOperator.__init__).parameters.items()
        if name not in {"self", "kwargs"}
    }
    assert found == {
        "calls": inspect.Parameter.empty, "output_path": None, "output_conn_id": None, "on_missing": "include",
        "max_wait": 0, "concurrency": 4, "max_bytes": 2**30, "deferrable": None,
        "synthflow_conn_id": "synthflow_default",
    }  # fmt: skip
    assert set(SynthflowDownloadRecordingsOperator.template_fields) == {
        "calls", "output_path", "output_conn_id", "synthflow_conn_id",
    }  # fmt: skip


@pytest.mark.parametrize("output_format", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_what_a_task_has_listed_is_stored_beside_its_calls(serve, tmp_path, output_format):
    serve(recorded_calls(5))
    listed = listing(output_path=str(tmp_path), output_format=output_format)
    result = operator(listed).execute({})
    assert result["path"] == f"{Path(listed['path']).parent}/recordings"
    assert (result["calls"], result["recordings"], result["downloaded"]) == (5, 5, 5)
    for item in read_manifest(tmp_path)["items"]:
        assert (Path(result["path"]) / item["file"]).read_bytes() == audio(item["call_id"])


def test_calls_in_xcom_need_a_place(serve, tmp_path):
    serve(recorded_calls(2))
    listed = listing()
    with pytest.raises(SynthflowConfigError, match="output_path is missing"):
        operator(listed).execute({})
    result = operator(listed, output_path=tmp_path).execute({})
    assert result["path"] == f"{tmp_path}/{DIRECTORY}/recordings"
    assert result["recordings"] == 2


def test_another_place_than_that_of_the_calls_may_be_named(serve, tmp_path):
    serve(recorded_calls(2))
    listed = listing(output_path=str(tmp_path / "calls"))
    assert operator(listed, output_path=str(tmp_path / "audio")).execute({})["recordings"] == 2
    assert not (tmp_path / "calls" / DIRECTORY / "recordings").exists()


def test_a_list_of_results_gives_a_list(serve, tmp_path):
    serve([recorded_call("a", agent="one"), recorded_call("b", agent="two")])
    listed = listing(output_path=str(tmp_path), model_id=["one", "two", "three"])
    results = operator(listed).execute({})
    assert [(result["model_id"], result["recordings"]) for result in results] == [("one", 1), ("two", 1), ("three", 0)]
    assert operator([]).execute({}) == []
    assert operator([listed[0], listed[0]]).execute({})[1]["recordings"] == 1


def test_a_window_without_calls_and_without_a_file_has_no_place(serve):
    serve([])
    result = operator({"model_id": AGENT, "from_date": FROM, "to_date": TO, "count": 0}).execute({})
    assert (result["calls"], result["path"]) == (0, None)


def test_a_window_that_fails_does_not_stop_the_others(serve, tmp_path):
    handle = serve([recorded_call("a", agent="one"), recorded_call("b", agent="two")])
    listed = listing(output_path=str(tmp_path), model_id=["one", "two"])
    handle.api.recordings.bodies["a"] = ("text/html", b"<html></html>")
    with pytest.raises(SynthflowError, match="1 of 2 windows failed"):
        operator(listed).execute({})
    assert len(list(tmp_path.rglob("*.mp3"))) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"on_missing": "perhaps"}, {"concurrency": 0}, {"concurrency": True}, {"max_bytes": 0}, {"max_bytes": "1"},
        {"max_wait": -1}, {"max_wait": "an hour"}, {"output_path": ""}, {"output_conn_id": ""},
    ],
    ids=str,
)  # fmt: skip
def test_what_is_fixed_and_wrong_is_an_error_in_the_dag_file(arguments):
    with pytest.raises(SynthflowConfigError):
        operator({}, **arguments)


@pytest.mark.parametrize("calls", [None, "None", "", {}, "no result", {"model_id": "a"}])
def test_what_is_no_result_is_refused_with_the_cure(calls):
    with pytest.raises(SynthflowConfigError, match="output of a SynthflowListCallsOperator task"):
        operator(calls).execute({})


def test_a_place_that_is_lost_in_a_template_is_not_its_default(serve, tmp_path):
    serve(recorded_calls(1))
    one = operator(listing(output_path=str(tmp_path)), output_path="{{ var.nothing }}")
    one.output_path = "None"
    with pytest.raises(SynthflowConfigError, match="output_path"):
        one.execute({})


def test_only_what_tells_of_recordings_is_kept_of_the_calls_in_a_field(serve, tmp_path):
    serve([recorded_call("a", transcript="my knee hurts", lead_name="Planted Name")])
    one = operator(listing(), output_path=str(tmp_path))
    many = operator([listing()], output_path=str(tmp_path))
    for each in (one, many):
        told = json.dumps(each.calls)
        assert not any(secret in told for secret in ("knee", "Planted", "planted", "phone"))
    assert one.execute({})["recordings"] == many.execute({})[0]["recordings"] == 1


class TestWaiting:
    def deferred(self, one):
        with pytest.raises(TaskDeferred) as caught:
            one.execute({})
        return caught.value

    def rescheduled(self, one):
        with pytest.raises(AirflowRescheduleException) as caught:
            one.execute({})
        return caught.value.reschedule_date

    def test_gives_the_worker_back_until_the_recordings_are_there(self, serve, tmp_path):
        handle = serve(recorded_calls(3))
        handle.api.recordings.statuses["call-0001"] = 404
        listed = listing(output_path=str(tmp_path))
        waiting_for = {"max_wait": dt.timedelta(hours=2), "on_missing": "fail"}

        moment = self.rescheduled(operator(listed, deferrable=False, **waiting_for))
        deferral = self.deferred(operator(listed, deferrable=True, **waiting_for))

        assert dt.datetime.now(dt.timezone.utc) < moment < dt.datetime.now(dt.timezone.utc) + dt.timedelta(minutes=11)
        assert deferral.method_name == "execute_complete"
        assert len(handle.api.requests_to("signed")) == 2
        handle.api.recordings.statuses.clear()
        one = operator(listed, deferrable=True, **waiting_for)
        result = one.execute_complete({}, dt.datetime.now(dt.timezone.utc), since_ms=0)
        assert (result["recordings"], result["downloaded"]) == (3, 1)

    def test_ends_a_while_after_the_first_try(self, serve, tmp_path, monkeypatch):
        handle = serve(recorded_calls(3))
        handle.api.recordings.statuses["call-0001"] = 404
        listed = listing(output_path=str(tmp_path))
        waits = {"deferrable": False, "max_wait": 3600}
        first = self.rescheduled(operator(listed, **waits))
        now = time.time_ns()
        monkeypatch.setattr(time, "time_ns", lambda: now + 3000 * 10**9)
        second = self.rescheduled(operator(listed, **waits))
        assert second > first
        monkeypatch.setattr(time, "time_ns", lambda: now + 3601 * 10**9)
        result = operator(listed, **waits).execute({})
        assert result["missing"] == 1
        assert {path.name for path in Path(result["path"]).iterdir()} == {
            "call-0000.mp3", "call-0002.mp3", "_recordings.json",
        }  # fmt: skip

    def test_ends_with_an_error_where_that_is_wanted(self, serve, tmp_path):
        handle = serve(recorded_calls(2))
        handle.api.recordings.statuses["call-0001"] = 404
        listed = listing(output_path=str(tmp_path))
        with pytest.raises(SynthflowIncompleteError, match="call-0001"):
            operator(listed, on_missing="fail").execute({})

    def test_looks_at_the_other_windows_first(self, serve, tmp_path):
        handle = serve([recorded_call("a", agent="one"), recorded_call("b", agent="two")])
        handle.api.recordings.statuses["a"] = 404
        listed = listing(output_path=str(tmp_path), model_id=["one", "two"])
        self.rescheduled(operator(listed, deferrable=False, max_wait=600))
        assert [path.name for path in tmp_path.rglob("*.mp3")] == ["b.mp3"]


class TestTelling:
    def test_assets_get_the_result(self, serve, tmp_path):
        serve(recorded_calls(2))
        asset = SimpleNamespace(uri="s3://lake/recordings")
        one = operator(listing(output_path=str(tmp_path)))
        one.outlets = [asset]
        event = SimpleNamespace(extra={})

        class Events:
            def __getitem__(self, _):
                return event

        result = one.execute({"outlet_events": Events()})
        assert event.extra == result

    def test_metrics_count_recordings_bytes_and_requests(self, serve, tmp_path, monkeypatch):
        counted, timed = {}, []
        monkeypatch.setattr(Stats, "incr", lambda name, count=1, **_: counted.__setitem__(name, count))
        monkeypatch.setattr(Stats, "timing", lambda name, *_, **__: timed.append(name))
        serve(recorded_calls(3))
        listed = write_calls(tmp_path, recorded_calls(3))
        operator(listed).execute({"ti": SimpleNamespace(dag_id="lake", task_id="recordings")})
        assert counted == {
            "synthflow.recordings": 3, "synthflow.recording_bytes": 6000, "synthflow.requests": 3,
        }  # fmt: skip
        assert timed == ["synthflow.recordings_duration"]

    def test_openlineage_gets_the_recordings_and_their_directory(self, serve, tmp_path):
        serve(recorded_calls(3))
        one = operator(listing(output_path=str(tmp_path)))
        assert one.get_openlineage_facets_on_complete(None) is None
        result = one.execute({})
        lineage = one.get_openlineage_facets_on_complete(None)
        assert [each.name for each in lineage.inputs] == [f"recordings/{AGENT}"]
        (output,) = lineage.outputs
        assert output.name == result["path"]
        statistics = output.outputFacets["outputStatistics"]
        assert (statistics.fileCount, statistics.size) == (3, 6000)


def test_on_kill_ends_it_at_once(serve, tmp_path):
    handle = serve(recorded_calls(3), behaviour=Behaviour(recording_bytes=10_000_000, recording_pause_s=20.0))
    one = operator(listing(output_path=str(tmp_path)))
    killed: list[float] = []

    def kill() -> None:
        while not handle.api.requests_to("signed"):
            time.sleep(0.01)
        killed.append(time.monotonic())
        one.on_kill()

    threading.Thread(target=kill, daemon=True).start()  # Airflow 2 lets the main thread alone execute a task
    with pytest.raises(SynthflowTransientError):
        one.execute({})

    assert time.monotonic() - killed[0] < 10
    assert list(tmp_path.rglob("*.mp3")) == []


class TestConnection:
    """The store's connection is that of the task that listed the calls, unless another is named."""

    def found(self, **arguments):
        with DAG("lake", schedule=None, start_date=dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)):
            calls = SynthflowListCallsOperator(task_id="calls", model_id=AGENT, **arguments)
            one = operator(calls.output)
        from airflow_provider_synthflow.operators.recordings_task import RecordingsTask  # noqa: PLC0415

        return RecordingsTask(one, {"params": {"lake": "templated"}})._find_conn_id()

    def test_is_the_other_task_s(self):
        assert self.found(output_path="s3://lake/calls", output_conn_id="aws_lake") == "aws_lake"

    def test_may_stand_in_its_path(self):
        assert self.found(output_path="s3://aws_lake@lake/calls") == "aws_lake"

    def test_may_be_templated(self):
        assert self.found(output_path="s3://lake/x", output_conn_id="{{ params.lake }}") == "templated"

    def test_may_be_none(self):
        assert self.found(output_path="s3://lake/calls") is None
        assert self.found() is None

    def test_of_a_mapped_task_is_found_too(self):
        with DAG("lake", schedule=None, start_date=dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)):
            calls = SynthflowListCallsOperator.partial(
                task_id="calls", output_path="s3://lake/calls", output_conn_id="aws_lake"
            ).expand(model_id=["a", "b"])
            one = operator(calls.output)
        from airflow_provider_synthflow.operators.recordings_task import RecordingsTask  # noqa: PLC0415

        assert RecordingsTask(one, {})._find_conn_id() == "aws_lake"


def test_recordings_go_to_s3_as_they_come_with_the_connection_of_the_calls(serve, s3_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_LAKE", s3_server.connection())
    serve(recorded_calls(3), behaviour=Behaviour(recording_bytes=6_000_000))
    place = {"output_path": f"s3://{s3_server.bucket}/lake", "output_conn_id": "aws_lake"}
    with DAG("lake", schedule=None, start_date=dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc)):
        calls = SynthflowListCallsOperator(task_id="calls", model_id=AGENT, from_date=FROM, to_date=TO, **place)
        one = operator(calls.output)
    one.calls = calls.execute({})
    result = one.execute({})
    assert result["path"] == f"s3://{s3_server.bucket}/lake/{DIRECTORY}/recordings"
    keys = [key for key in s3_server.objects() if "/recordings/" in key]
    assert [key.rpartition("/")[2] for key in keys] == [
        "_recordings.json", "call-0000.mp3", "call-0001.mp3", "call-0002.mp3",
    ]  # fmt: skip
    assert s3_server.read(keys[1]) == audio("call-0000", 6_000_000)
    assert s3_server.uploads() == []
    one.calls = calls.execute({})
    assert one.execute({})["downloaded"] == 0
