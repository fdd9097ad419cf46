# SPDX-License-Identifier: Apache-2.0
"""An audit that was interrupted goes on where it was, and finds what one finds that was not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from airflow_provider_synthflow.auditing import journal as journals
from airflow_provider_synthflow.auditing.journal import open_journal
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.local import LocalStore
from dev.audit_scale import make_lake as make_hours
from tests.unit.auditing.lakes import audit, directory, kinds, make_lake, record, rewrite
from tests.unit.making import DAY, FROM_MS, tree_of

DAYS = 40


class Interrupted(BaseException):
    """A task that is killed in a way that Python hears of."""


class CountingStore(LocalStore):
    """A disk that notes which files of calls are read, and is interrupted after some."""

    def __init__(self, path, most=None):
        super().__init__(str(path))
        self.read_paths = []
        self.most = most

    def open(self, relative):
        if "/calls." in relative:
            if self.most is not None and len(self.read_paths) >= self.most:
                raise Interrupted
            self.read_paths.append(relative)
        return super().open(relative)


@pytest.fixture(scope="module")
def harmed(tmp_path_factory):
    """Make a lake with a gap, a damage and a duplicate."""
    root = tmp_path_factory.mktemp("harmed") / "lake"
    make_lake(root, DAYS)
    make_lake(root, DAYS, agent="agent-2", output_format="jsonl")
    (day(root, 1) / "calls.jsonl.gz").write_bytes(b"cut")
    twice = FROM_MS + 2 * DAY
    rewrite(day(root, 30), [record("agent-1-2-0", twice), record("x", FROM_MS + 30 * DAY)])
    shutil.rmtree(day(root, 10))
    return root


@pytest.fixture
def lake(harmed, tmp_path):
    return Path(shutil.copytree(harmed, tmp_path / "lake"))


def day(root, number, agent="agent-1"):
    begin = FROM_MS + number * DAY
    return directory(root, begin, begin + DAY, agent)


def resume(lake, place, most=None, **plan):
    """Audit a lake with a journal; return the outcome, None where it was interrupted, and what was read."""
    store, outcome = CountingStore(lake, most), None
    with suppress(Interrupted), open_journal(str(place), None, str(lake)) as journal:
        outcome = audit(lake, store=store, journal=journal, **plan)
        journal.is_finished = True
    return outcome, sorted(store.read_paths)


def left(place):
    return sorted(path.name for path in place.iterdir())


def told(outcome):
    return {name: value for name, value in outcome.result(None).items() if name != "audited_at"}


@pytest.mark.parametrize("plan", [{}, {"by_day": True}, {"model_ids": ("agent-2", "agent-1")}])
def test_an_interrupted_audit_reads_the_rest_alone_and_finds_the_same(lake, tmp_path, plan):
    whole, all_read = resume(lake, tmp_path / "unused", **plan)
    before = tree_of(lake)

    none, first = resume(lake, tmp_path / "kept", most=30, **plan)
    none_again, second = resume(lake, tmp_path / "kept", most=30, **plan)
    outcome, third = resume(lake, tmp_path / "kept", **plan)

    assert (none, none_again) == (None, None)
    assert told(outcome) == told(whole)
    assert kinds(outcome) == ["damaged", "duplicate", "gap"]
    assert set(first) | set(second) | set(third) == set(all_read)
    # Read again are the window that is damaged, and those that were being read.
    assert len(first) + len(second) + len(third) <= len(all_read) + 2 + 2 * 4
    assert any("Not read again" in sentence for sentence in outcome.checked)
    assert tree_of(lake) == before
    assert left(tmp_path / "kept") == []


def test_what_changed_since_is_read_again_and_found(lake, tmp_path):
    resume(lake, tmp_path / "kept", most=50)
    data = (day(lake, 0) / "calls.jsonl.gz").read_bytes()
    (day(lake, 0) / "calls.jsonl.gz").write_bytes(bytes(len(data)))
    (day(lake, 3) / "turns.parquet").write_bytes(b"stray")
    (day(lake, 4) / "_manifest.json").unlink()

    outcome, read = resume(lake, tmp_path / "kept")

    assert {path.split("/")[1] for path in read} >= {"from_date=20240301T000000Z", "from_date=20240304T000000Z"}
    assert kinds(outcome) == ["damaged"] * 4 + ["duplicate", "gap"]


def test_an_audit_that_is_done_or_was_long_ago_keeps_nothing(lake, tmp_path, monkeypatch):
    _, all_read = resume(lake, tmp_path / "kept")
    resume(lake, tmp_path / "kept", most=30)
    monkeypatch.setattr(journals, "_LONGEST_MS", -1)

    assert resume(lake, tmp_path / "kept")[1] == all_read
    assert left(tmp_path / "kept") == []


def test_lines_that_are_cut_off_or_no_json_are_passed_over(lake, tmp_path):
    whole, all_read = resume(lake, tmp_path / "unused")
    resume(lake, tmp_path / "kept", most=30)
    (segment,) = (tmp_path / "kept").rglob("*.jsonl")
    lines = segment.read_bytes().splitlines()
    segment.write_bytes(b"\n".join([*lines[:5], b"\xff{", b"[]", b"{}", *lines[5:-1], lines[-1][:50]]))
    other = segment.parent.parent / ("0" * 16)
    other.mkdir()
    (other / "000001.jsonl").write_bytes(b'{"lake":')
    (tmp_path / "kept" / "own.txt").write_bytes(b"a person's own")

    outcome, read = resume(lake, tmp_path / "kept")

    assert told(outcome) == told(whole)
    assert len(all_read) - 30 <= len(read) < len(all_read) - 20
    assert left(tmp_path / "kept") == ["own.txt"]


@pytest.mark.parametrize("changed", ["lake", "version"])
def test_a_journal_of_another_lake_or_version_is_refused(lake, tmp_path, monkeypatch, changed):
    resume(lake, tmp_path / "kept", most=30)
    if changed == "version":
        monkeypatch.setattr(journals, "__version__", "9")
    else:
        lake = lake.rename(tmp_path / "moved")

    with pytest.raises(
        SynthflowConfigError, match=r"resume_path .*kept is of another lake's audit, or another version's"
    ):
        resume(lake, tmp_path / "kept")


@pytest.mark.parametrize("place", ["", "/", "/kept", "/../lake/kept"])
def test_a_journal_in_the_lake_is_refused(lake, place):
    before = tree_of(lake)

    with pytest.raises(SynthflowConfigError, match="in the lake, into which an audit writes nothing"):
        open_journal(f"{lake}{place}", None, str(lake))

    assert tree_of(lake) == before


@pytest.mark.long
def test_a_killed_command_goes_on(lake, tmp_path):
    make_hours(lake, 4, 40, 3)
    command = [sys.executable, "-m", "airflow_provider_synthflow.audit", str(lake), "--no-api", "--json"]
    whole = json.loads(subprocess.run(command, capture_output=True, check=False).stdout)  # noqa: S603 - our own
    command += ["--resume", str(tmp_path / "kept")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:  # noqa: S603
        deadline = time.monotonic() + 60
        while not list((tmp_path / "kept").rglob("*.jsonl")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(killed.pid, signal.SIGKILL)
    kept = sum(path.read_bytes().count(b"\n") - 1 for path in (tmp_path / "kept").rglob("*.jsonl"))

    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own

    outcome = json.loads(done.stdout)
    assert (done.returncode, kept > 0) == (1, True)
    assert {**outcome, "audited_at": None} == {**whole, "audited_at": None}
    assert left(tmp_path / "kept") == []
