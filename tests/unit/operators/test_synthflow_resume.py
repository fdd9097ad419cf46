# SPDX-License-Identifier: Apache-2.0
"""With resume_path a retry of the operator takes up finished pages; without it, or without a state, all is as ever."""

from __future__ import annotations

import datetime as dt
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from airflow_provider_synthflow.operators import calls_task
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.resume.segment import unseal_segment
from tests.synthflow_server import Behaviour, Fault
from tests.unit.making import AGENT, FROM, TO, make_call, many_calls, tree_of
from tests.unit.resume.keeping import MemoryState

ROWS = 10
PAGES = 11
REQUESTS = PAGES + 1  # the last page is full: one more looks behind it
SECRET = "very secret"


@pytest.fixture
def serve(synthflow, connect):
    """Start a test server that the default connection leads to, and that asks for no patience."""

    def start(calls=None, **options):
        calls = many_calls(100, transcript=SECRET) if calls is None else calls
        handle = synthflow(calls, **{"behaviour": Behaviour(max_rows=ROWS), **options})
        connect(host=handle.url, extra={"max_attempts": 1, "hash_key": "pepper"})
        return handle

    return start


@pytest.fixture
def said(caplog):
    """Give what the log says of resume_path."""
    caplog.set_level(logging.INFO, calls_task.log.name)
    return lambda: [text for record in caplog.records if "resume_path" in (text := record.getMessage())]


class Run:
    """Be a run of one task, which is tried as Airflow does."""

    def __init__(self, folder, **arguments: Any) -> None:
        self.folder = folder
        usual = {"model_id": AGENT, "output_path": folder / "output", "resume_path": folder / "resume"}
        self.arguments = usual | arguments
        self.state: Any = MemoryState()

    def attempt(self, number: int, **context: Any) -> Any:
        one = SynthflowListCallsOperator(
            task_id="calls",
            from_date=FROM,
            to_date=TO,
            concurrency=1,
            retries=2,
            output_format="jsonl",
            **self.arguments,
        )
        instance = SimpleNamespace(try_number=number, max_tries=2)
        return one.execute({"ti": instance, "task": one, "task_state_store": self.state, **context})

    def kept(self) -> list[str]:
        return [name for name in tree_of(self.folder / "resume") if name.endswith(".pages")]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def fail_at(server, number):
    server.api.arm(Fault(status=503, at=(number,)))


def test_a_retry_asks_for_the_rest_and_writes_the_same_bytes(serve, run, tmp_path):
    server = serve()
    fail_at(server, 8)
    with pytest.raises(SynthflowTransientError):
        run.attempt(1)
    assert len(run.kept()) == 1

    server.api.disarm()
    retry = run.attempt(2)

    assert (retry["pages"], retry["requests"], retry["walks"]) == (PAGES, REQUESTS - 6, 1)
    assert tree_of(tmp_path / "resume") == {}
    assert not run.state
    plain = Run(tmp_path / "plain", resume_path=None).attempt(1)
    assert (plain["sha256"], plain.keys()) == (retry["sha256"], retry.keys())


def test_a_try_that_is_killed_after_its_file_was_published_leaves_its_pages_to_be_removed(serve, run, monkeypatch):
    class KilledError(BaseException):
        pass

    def die(_):
        raise KilledError

    monkeypatch.setattr("airflow_provider_synthflow.resume.checkpoint._PIECE", 1)
    serve()
    begun = SimpleNamespace(start_date=dt.datetime(2024, 6, 1, tzinfo=dt.timezone.utc))
    with monkeypatch.context() as patch:
        patch.setattr("airflow_provider_synthflow.resume.checkpoint.Checkpoint._forget", die)
        with pytest.raises(KilledError):
            run.attempt(1, dag_run=begun)
    assert run.state

    retry = run.attempt(2, dag_run=begun)

    assert retry["requests"] == REQUESTS  # of the first try: its file is kept
    assert run.kept() == []
    assert not run.state


def test_after_the_last_try_nothing_is_left(serve, run):
    fail_at(serve(), 8)
    with pytest.raises(SynthflowTransientError):
        run.attempt(3)

    assert run.kept() == []
    assert not run.state


def test_after_a_clearing_everything_is_read_anew(serve, run):
    server = serve()
    fail_at(server, 8)
    with pytest.raises(SynthflowTransientError):
        run.attempt(1)
    server.api.disarm()

    cleared = run.attempt(2, ti=SimpleNamespace(try_number=2, max_tries=3))

    assert cleared["requests"] == REQUESTS
    assert run.kept() == []


def test_pages_hold_nothing_of_a_dropped_field(serve, tmp_path):
    run = Run(tmp_path, drop_fields=["transcript"], hash_fields=["phone_number_to"])
    fail_at(serve(), 8)
    with pytest.raises(SynthflowTransientError):
        run.attempt(1)

    (record,) = run.state.values()
    (piece,) = (tmp_path / "resume").rglob("*.pages")
    rows = [row for page in unseal_segment(piece.read_bytes(), bytes.fromhex(record["seal"])) for row in page.rows]
    assert len(rows) >= ROWS
    assert not [row for row in rows if SECRET.encode() in row or b"+4930" in row]


@pytest.mark.parametrize("fields", [{"drop_fields": ["call_id"]}, {"hash_fields": "start_time,name"}])
def test_where_the_fields_that_tell_pages_apart_may_not_be_stored_none_is_kept(serve, tmp_path, said, fields):
    run = Run(tmp_path, **fields)
    fail_at(serve(), 8)
    with pytest.raises(SynthflowTransientError):
        run.attempt(1)

    assert run.kept() == []
    (line,) = said()
    assert "drop_fields or hash_fields takes out" in line


def test_without_a_task_state_nothing_is_kept_and_the_log_says_so_once(serve, tmp_path, said):
    serve([*many_calls(100), make_call("theirs", agent="agent-2")])
    run = Run(tmp_path, model_id=[AGENT, "agent-2"])
    run.state = None

    results = run.attempt(1)

    assert [result["count"] for result in results] == [100, 1]
    assert said() == ["resume_path is ignored: it needs Airflow 3.3 or later, which keeps a state for each task."]
    assert not (tmp_path / "resume").exists()


def test_a_task_without_resume_path_leaves_the_task_state_alone(serve, tmp_path):
    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError(name)

    serve()
    run = Run(tmp_path, resume_path=None)
    run.state = Untouchable()

    assert run.attempt(1)["requests"] == REQUESTS


def test_a_window_that_is_to_be_read_again_later_leaves_no_page(serve, tmp_path, monkeypatch):
    monkeypatch.setattr("airflow_provider_synthflow.resume.checkpoint._PIECE", 1)
    serve([*many_calls(100), make_call("still", 10, lasts=None)])
    wait = 10 * 365 * 24 * 3600
    run = Run(tmp_path, on_unsettled="wait", max_unsettled_wait=wait, deferrable=False)

    with pytest.raises(AirflowRescheduleException):
        run.attempt(1)

    assert run.kept() == []
    assert not run.state


@pytest.mark.parametrize(
    ("path", "cure"),
    [("nowhere://bucket/x", "resume_path begins with nowhere://"), ("s3://no_such@bucket/x", "of resume_path s3://")],
)
def test_a_place_that_is_none_is_said_before_anything_is_read(serve, tmp_path, path, cure):
    server = serve()
    with pytest.raises(SynthflowConfigError, match=cure):
        Run(tmp_path, resume_path=path).attempt(1)

    assert server.api.requests == []
