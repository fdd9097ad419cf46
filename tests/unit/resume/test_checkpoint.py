# SPDX-License-Identifier: Apache-2.0
"""A try that ends early leaves its pages to the next one, and whatever is wrong with them costs no more than time."""

from __future__ import annotations

import errno
import logging
import stat
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowIncompleteError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.resume import checkpoint as resuming
from airflow_provider_synthflow.resume.segment import unseal_segment
from airflow_provider_synthflow.resume.state import LONGEST_MS
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window
from tests.loopback import LoopbackSender
from tests.synthflow_server import Behaviour, SynthflowApi
from tests.unit.making import AGENT, FROM_MS, HOUR, TO_MS, many_calls
from tests.unit.resume.keeping import KilledError, MemoryState, PatientWriter, checkpoint_for

PLAN = WindowPlan(Window(FROM_MS, TO_MS), CallsQuery(AGENT), HOUR, concurrency=1)
ROWS = 10
PAGES = 11  # of 100 calls, with a row in common
LOOK_BEHIND = 1  # since the last page is full


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    monkeypatch.setattr(resuming, "_PIECE", 1)  # each page is one
    monkeypatch.setattr(resuming, "SegmentWriter", PatientWriter)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, resuming.log.name)
    return lambda: [record.getMessage() for record in caplog.records if record.name == resuming.log.name]


class Task:
    """Be a task that reads one window, try after try."""

    def __init__(self, folder, calls=None, **behaviour: Any) -> None:
        self.folder = folder
        self.api = SynthflowApi(
            many_calls(100) if calls is None else calls, behaviour=Behaviour(max_rows=ROWS, **behaviour)
        )
        self.store: Any = LocalStore(str(folder))
        self.state = MemoryState()

    def attempt(
        self, *, end: BaseException | None = None, after: int = 6, plan: WindowPlan = PLAN, **options: Any
    ) -> Any:
        """Read the window, or end with an error after so many requests; return what came of it."""
        client = LoopbackSender(self.api)
        answer = client.answer

        def ending(*arguments: Any) -> Any:
            if end is not None and client.requests == after:
                raise end
            return answer(*arguments)

        client.answer = ending
        resume = checkpoint_for(plan, client.settings, store=self.store, state=self.state, **options)
        privacy = options.get("privacy")
        with resume, Spill() as spill:
            spill.lead(SimpleNamespace(write=lambda _: None, reader=lambda: None))
            found = extract_window(client, plan, spill, privacy=privacy, resume=resume, sleep=client.pass_time)
            return SimpleNamespace(found=found, records=list(spill.records()), in_step=spill.in_step())

    def killed(self, **options: Any) -> None:
        with pytest.raises(KilledError):
            self.attempt(end=KilledError(), **{"retry": False, **options})

    def pieces(self) -> list[str]:
        return sorted(path.name for path in self.folder.rglob("*") if path.is_file())


@pytest.fixture
def task(tmp_path):
    return Task(tmp_path / "resume")


def whole(task: Task) -> list[bytes]:
    """Return what a task without resume reads."""
    client = LoopbackSender(task.api)
    with Spill() as spill:
        extract_window(client, PLAN, spill, sleep=client.pass_time)
        return list(spill.records())


def test_a_retry_asks_only_for_what_the_killed_try_had_not_read(task, said):
    task.killed(after=8)
    assert task.pieces() == [f"{number:06}.pages" for number in range(1, 9)]

    retry = task.attempt()

    assert (retry.found.recalled, retry.found.requests, retry.found.walks) == (7, PAGES - 7 + LOOK_BEHIND, 1)
    assert retry.records == whole(task)
    assert "7 pages of an earlier try are used again." in said()
    assert task.pieces() == []
    assert not task.state


@pytest.mark.parametrize(("concurrency", "after"), [(1, 6), (4, 9)])
def test_a_retry_goes_on_in_the_order_of_the_file(task, concurrency, after):
    plan = replace(PLAN, concurrency=concurrency)
    task.killed(after=after, plan=plan)

    retry = task.attempt(plan=plan)

    assert retry.found.recalled > 0
    assert retry.in_step


def test_a_third_try_takes_up_the_pages_of_both_before_it(task):
    task.killed(after=4)
    task.killed(after=4, retry=True)
    assert task.pieces() == [f"{number:06}.pages" for number in range(1, 9)]

    third = task.attempt()

    assert third.found.requests < 7
    assert third.records == whole(task)


def test_pages_are_files_that_only_their_user_can_read(task):
    task.killed()

    (folder,) = (path for path in task.folder.iterdir())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_pages_with_a_call_that_is_not_final_are_read_anew(tmp_path):
    calls = many_calls(100)
    running = [
        call.__class__(**{**vars(call), "record": call.record | {"call_status": "in-progress"}})
        if number in (35, 36, 62)
        else call
        for number, call in enumerate(calls)
    ]
    task = Task(tmp_path / "resume", running, order="oldest")
    task.killed(after=9)
    for call in running:
        call.record["call_status"] = "completed"
    task.api = SynthflowApi(calls, behaviour=task.api.behaviour)

    retry = task.attempt()

    assert retry.found.unsettled == 0
    assert 0 < retry.found.recalled <= 6
    assert retry.records == whole(task)


@pytest.mark.parametrize(
    "changed",
    [lambda calls: calls[1:], lambda calls: calls[:-1], lambda calls: [*calls[:50], *calls[51:]]],
    ids=["the oldest left", "the newest left", "one left"],
)
def test_a_list_that_changed_meanwhile_is_read_anew(task, said, changed):
    task.killed()
    task.api = SynthflowApi(changed(many_calls(100)), behaviour=task.api.behaviour)

    retry = task.attempt()

    assert (retry.found.recalled, retry.found.walks, retry.found.count) == (0, 1, 99)
    assert retry.records == whole(task)
    assert said() == ["The pages of an earlier try are not used: the list has changed since they were read."]
    assert task.pieces() == []


def test_after_a_list_that_changed_only_new_pages_are_kept(task):
    task.killed()
    task.api = SynthflowApi(many_calls(101), behaviour=task.api.behaviour)
    task.killed(after=8, retry=True)

    third = task.attempt()

    assert third.found.recalled == 7
    assert third.found.count == 101


def spoil_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def spoil_empty(path):
    path.write_bytes(b"")


def spoil_other_run(path):
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r", 1))


@pytest.mark.parametrize("spoil", [spoil_cut, spoil_empty, spoil_other_run])
@pytest.mark.parametrize("number", [1, 4])
def test_a_piece_that_is_spoiled_makes_the_retry_begin_anew(task, said, spoil, number):
    task.killed()
    spoil(next(task.folder.rglob(f"{number:06}.pages")))

    retry = task.attempt()

    assert retry.found.recalled == 0
    assert retry.records == whole(task)
    spoilt = f"segment {number} is cut off or changed"
    assert said() == [f"The pages of an earlier try are not used: {spoilt}."]
    assert task.pieces() == []


def test_pieces_behind_one_that_is_missing_are_asked_for_again(task):
    task.killed()
    next(task.folder.rglob("000003.pages")).unlink()

    retry = task.attempt()

    assert retry.found.recalled == 1
    assert retry.records == whole(task)
    assert task.pieces() == []


def test_a_run_that_was_cleared_reads_everything_anew_and_leaves_nothing(task):
    task.killed()

    cleared = task.attempt(retry=False)

    assert cleared.found.recalled == 0
    assert task.pieces() == []
    assert not task.state


def test_pages_that_are_too_old_are_read_anew(task):
    task.killed()
    (record,) = task.state.values()
    record["begun_ms"] -= LONGEST_MS + 1

    assert task.attempt().found.recalled == 0
    assert task.pieces() == []


@pytest.mark.parametrize("end", [SynthflowTransientError("503"), OSError(errno.ENOSPC, "No space left on device")])
def test_an_error_that_may_pass_leaves_all_pages_to_the_retry(task, monkeypatch, end):
    monkeypatch.setattr(resuming, "_PIECE", 2**30)
    with pytest.raises(type(end)):
        task.attempt(end=end, after=8, retry=False)
    assert task.pieces() == ["000001.pages"]

    assert task.attempt().found.requests == PAGES - 7 + LOOK_BEHIND


@pytest.mark.parametrize(
    ("end", "last"),
    [
        (SynthflowIncompleteError("No complete walk."), False),
        (SynthflowConfigError("Wrong."), False),
        (RuntimeError("A mistake."), False),
        (SynthflowTransientError("503"), True),
    ],
)
def test_an_error_after_which_nothing_can_be_taken_up_leaves_no_page(task, end, last):
    with pytest.raises(type(end)):
        task.attempt(end=end, retry=False, last=last)

    assert task.pieces() == []
    assert not task.state
    assert list(task.folder.iterdir()) == []


class BrokenStore:
    """Fail in one way of use: staged, since a disk that fails just now cannot be."""

    def __init__(self, store, method):
        self._store, self._method = store, method

    def __getattr__(self, name):
        if name == self._method:
            return self._fail
        return getattr(self._store, name)

    def _fail(self, *_):
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize("method", ["put_private", "read", "remove_all"])
def test_a_store_that_fails_never_fails_the_reading(task, said, method):
    task.killed()
    task.store = BrokenStore(task.store, method)

    retry = task.attempt()

    assert retry.records == whole(task)
    assert len([line for line in said() if "OSError" in line]) == 1


@pytest.mark.parametrize("method", ["get", "set", "delete"])
def test_a_state_that_fails_never_fails_the_reading(task, said, monkeypatch, method):
    def fail(*_):
        raise RuntimeError("no answer")

    monkeypatch.setattr(task.state, method, fail, raising=False)

    assert task.attempt().records == whole(task)
    assert len([line for line in said() if "RuntimeError" in line]) == 1


def test_nothing_is_stored_of_what_is_dropped_or_hashed(tmp_path):
    secret = "+49301234567"
    task = Task(tmp_path / "resume", many_calls(100, transcript="very secret", phone_number_to=secret))
    privacy = Privacy(["transcript"], ["phone_number_to"], key="pepper")
    task.killed(privacy=privacy)

    (record,) = task.state.values()
    key = bytes.fromhex(record["seal"])
    pieces = [path.read_bytes() for path in task.folder.rglob("*.pages")]
    rows = [row for data in pieces for page in unseal_segment(data, key) for row in page.rows]
    assert len(rows) > 50
    assert not [row for row in rows if b"very secret" in row or secret.encode() in row]

    retry = task.attempt(privacy=privacy)
    assert retry.found.recalled > 0
    client = LoopbackSender(task.api)
    with Spill() as spill:
        extract_window(client, PLAN, spill, privacy=privacy, sleep=client.pass_time)
        assert retry.records == list(spill.records())


def test_a_small_window_touches_neither_the_store_nor_the_state(task, monkeypatch):
    monkeypatch.setattr(resuming, "_PIECE", 2**30)
    task.killed()

    assert not task.folder.exists()
    assert not task.state


def test_pages_of_a_list_that_declares_no_total_are_not_kept(tmp_path):
    task = Task(tmp_path / "resume", total="absent")
    task.killed()

    assert task.pieces() == []


def test_a_server_that_tells_no_offset_is_resumed_as_well(tmp_path):
    task = Task(tmp_path / "resume", echo_offset="absent")
    task.killed(after=8)

    assert task.attempt().found.recalled == 7
