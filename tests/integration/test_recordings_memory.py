# SPDX-License-Identifier: Apache-2.0
"""The memory of a task that stores recordings grows neither with their length nor much with their number."""

from __future__ import annotations

import json

import pytest

from tests.recording_tasks import Tasks
from tests.synthflow_server import Behaviour, serve_recordings
from tests.unit.recordings.keeping import recorded_calls, write_calls

pytestmark = pytest.mark.long

MIB = 2**20


@pytest.fixture
def store(synthflow, tmp_path, request):
    """Give what stores so many recordings of a size in a process of its own, and returns its result."""

    def store(count: int, size: int, where: str) -> dict[str, object]:
        calls = recorded_calls(count)
        folder = tmp_path / f"{count}-{size}"
        result = write_calls(folder / "calls", calls)
        handle = synthflow(calls, behaviour=Behaviour(recording_bytes=size))
        place = (str(folder / "recordings"), "")
        if where == "s3":
            server = request.getfixturevalue("s3_server")
            place = (f"s3://{server.bucket}/{count}-{size}", server.url)
        with serve_recordings(handle.api), Tasks(handle.url, json.dumps(result), *place) as tasks:
            tasks.start()
            told = tasks.wait_for_end()
        assert (told["recordings"], told["bytes"]) == (count, count * size)
        return told

    return store


def test_one_of_a_gigabyte_takes_no_more_memory_than_a_small_one(store):
    small, large = store(1, 10_000, "disk"), store(1, 1_000_000_000, "disk")

    assert large["peak_memory"] - small["peak_memory"] < 16 * MIB


def test_long_ones_go_to_s3_in_parts_of_which_a_few_are_in_memory(store):
    short, long = store(4, 60_000_000, "s3"), store(4, 240_000_000, "s3")

    assert long["peak_memory"] - short["peak_memory"] < 32 * MIB


def test_ten_thousand_small_ones_take_a_small_constant_each(store):
    few, many = store(100, 2000, "disk"), store(10_000, 2000, "disk")

    assert many["peak_memory"] - few["peak_memory"] < 32 * MIB
