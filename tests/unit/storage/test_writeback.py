# SPDX-License-Identifier: Apache-2.0
"""Most of a large file is on its disk before it is published, and what the disk refuses meanwhile is not lost."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from airflow_provider_synthflow.exceptions import SynthflowError
from airflow_provider_synthflow.storage import writeback
from airflow_provider_synthflow.storage.local import LocalStore

PIECE = b"0123456789abcdef" * 8192
MOST = 1024 * 1024
PATIENCE = 10.0


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "synthflow-writeback"]


def write(staged, size):
    for _ in range(size // len(PIECE)):
        staged.write(PIECE)


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    monkeypatch.setattr(writeback, "_AT_ONCE", MOST)


@pytest.fixture
def synced(monkeypatch):
    """Note the size of each file that is put on its disk, and by which thread."""
    fsync, noted = os.fsync, []

    def noting(descriptor):
        fsync(descriptor)
        noted.append((os.fstat(descriptor).st_size, threading.current_thread().name))

    monkeypatch.setattr(os, "fsync", noting)
    return noted


def test_most_of_a_large_file_is_on_its_disk_before_the_end(tmp_path, synced):
    with LocalStore(str(tmp_path)).stage("a") as staged:
        write(staged, 2 * MOST)
        end = time.monotonic() + PATIENCE
        while not any(size >= MOST for size, _ in synced) and time.monotonic() < end:
            time.sleep(0.005)
        assert {name for _, name in synced} == {"synthflow-writeback"}
        write(staged, MOST // 2)
        staged.publish("file")
        assert threads() == []

    assert (tmp_path / "a" / "file").stat().st_size == 2 * MOST + MOST // 2
    assert (2 * MOST + MOST // 2, threading.main_thread().name) in synced  # the last of it, too


def test_a_small_file_needs_no_thread(tmp_path, synced):
    with LocalStore(str(tmp_path)).stage("a") as staged:
        write(staged, MOST // 2)
        assert threads() == []
        assert synced == []
        staged.publish("file")


def test_a_file_that_is_not_published_leaves_no_thread(tmp_path):
    with LocalStore(str(tmp_path)).stage("a") as staged:
        write(staged, 2 * MOST)

    assert threads() == []
    assert list(tmp_path.iterdir()) == []


def test_what_a_disk_fails_with_while_the_file_is_written_keeps_it_from_being_published(tmp_path, monkeypatch):
    fsync, failed = os.fsync, threading.Event()

    def failing_once(descriptor):
        if not failed.is_set():
            failed.set()
            raise OSError(errno.EIO, "Input/output error")  # which a system tells once
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", failing_once)
    with LocalStore(str(tmp_path)).stage("a") as staged:
        write(staged, MOST)
        assert failed.wait(PATIENCE)
        with pytest.raises(SynthflowError, match="Input/output error"):
            staged.publish("file")

    assert list(tmp_path.iterdir()) == []
