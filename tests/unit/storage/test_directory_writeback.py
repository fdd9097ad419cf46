# SPDX-License-Identifier: Apache-2.0
"""Much of a large file is on its way to the disk before it is published; without that it is published all the same."""

from __future__ import annotations

import ctypes
import platform
from itertools import pairwise

import pytest

from airflow_provider_synthflow.storage import directory as writeback
from airflow_provider_synthflow.storage import local as local_store
from airflow_provider_synthflow.storage.local import LocalStore

PIECE = b"0123456789abcdef" * 8192
MOST = local_store._WRITTEN_AT_ONCE


def write_and_publish(store: LocalStore, size: int) -> None:
    with store.stage("a") as staged:
        for _ in range(size // len(PIECE)):
            staged.write(PIECE)
        staged.publish("file")


def test_the_disk_is_asked_to_take_all_but_the_last_of_a_file_while_it_is_written(tmp_path, mocker):
    begun = mocker.spy(local_store, "begin_writeback")

    write_and_publish(LocalStore(str(tmp_path)), 3 * MOST + MOST // 2)

    parts = [call.args[1:] for call in begun.call_args_list]
    assert parts[0][0] == 0
    assert all(end == begin for (_, end), (begin, _) in pairwise(parts))
    assert all(MOST <= end - begin < MOST + len(PIECE) for begin, end in parts)
    assert parts[-1][1] == 3 * MOST


def test_a_small_file_is_left_to_the_end(tmp_path, mocker):
    begun = mocker.spy(local_store, "begin_writeback")

    write_and_publish(LocalStore(str(tmp_path)), MOST // 2)

    assert begun.call_count == 0


@pytest.mark.skipif(platform.system() != "Linux", reason="a call of Linux")
def test_the_system_takes_the_request_for_a_file_and_refuses_it_for_what_is_none(tmp_path):
    call = writeback._sync_file_range()
    assert call is not None
    with (tmp_path / "file").open("wb") as file:
        file.write(PIECE)
        file.flush()
        assert call(file.fileno(), 0, len(PIECE), 2) == 0
        gone = file.fileno()
    assert call(gone, 0, 1, 2) == -1
    writeback.begin_writeback(gone, 0, 1)  # a hint: nothing is raised


def test_a_system_without_the_call_publishes_as_well(tmp_path, mocker):
    writeback._sync_file_range.cache_clear()
    mocker.patch.object(ctypes, "CDLL", return_value=object())
    try:
        write_and_publish(LocalStore(str(tmp_path)), 2 * MOST)
    finally:
        writeback._sync_file_range.cache_clear()

    assert (tmp_path / "a" / "file").stat().st_size == 2 * MOST
