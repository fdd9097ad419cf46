# SPDX-License-Identifier: Apache-2.0
"""A window's file is written while its calls come, and is the same file where that cannot be."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowIncompleteError, SynthflowTransientError
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.extraction.window_job import WindowJob
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window
from tests.loopback import LoopbackSender
from tests.synthflow_server import Behaviour, Change, Fault, SynthflowApi
from tests.unit.making import AGENT, DAY, FROM_MS, TO_MS, make_call, tree_of

WINDOW = Window(FROM_MS, TO_MS)
STATE = random.Random(7)  # noqa: S311 - guards nothing
CALLS = [make_call(f"call-{number:03}", STATE.randrange(0, DAY, 1000)) for number in range(330)]
TIED = [make_call(f"call-{number:03}", number // 40 * 1000) for number in range(330)]


class Made:
    """Tell what a delivery came to: its result, what lies there, and whether it read its calls back to sort them."""

    def __init__(self, result: dict[str, Any], tree: dict[str, bytes | None], *, sorted_: bool, offsets: list[int]):
        self.result = result
        self.tree = tree
        self.sorted = sorted_
        self.offsets = offsets

    @property
    def file(self) -> bytes:
        """Return the file's bytes."""
        return next(data for name, data in self.tree.items() if "/calls." in name)


@pytest.fixture
def deliver(tmp_path, monkeypatch):
    """Deliver a window of a server's calls into a folder of its own."""
    folders = iter(range(100))

    def run(calls=CALLS, *, format_name="jsonl", concurrency=4, on_empty="write", root=None, **server) -> Made:
        read_back = []
        records = Spill.records

        def noting(spill):
            read_back.append(True)
            yield from records(spill)

        monkeypatch.setattr(Spill, "records", noting)
        root = root or tmp_path / str(next(folders))
        api = SynthflowApi(calls, **server)
        client = LoopbackSender(api, max_attempts=1)
        offsets = []
        answer = client.answer

        def asking(query, limit, offset):
            offsets.append(offset)
            return answer(query, limit, offset)

        monkeypatch.setattr(client, "answer", asking)
        query = CallsQuery(AGENT)
        plan = WindowPlan(WINDOW, query, 3_600_000, concurrency=concurrency)
        publication = Publication(LocalStore(str(root)), AGENT, WINDOW, format_name, query.filters())
        made = WindowJob(plan, publication, on_empty=on_empty).carry_out(client)
        return Made(made.value, tree_of(Path(root)), sorted_=bool(read_back), offsets=offsets)

    return run


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("calls", [CALLS, TIED, CALLS[:1], CALLS[:100], []], ids=["many", "tied", "1", "100", "0"])
class TestFileOfAListInOrder:
    @pytest.mark.parametrize("order", ["newest", "oldest"])
    def test_is_written_while_its_pages_come(self, deliver, calls, concurrency, format_name, order):
        made = deliver(calls, concurrency=concurrency, format_name=format_name, behaviour=Behaviour(order=order))

        assert not made.sorted
        assert made.result["count"] == len(calls)

    def test_is_the_one_that_is_sorted_afterwards(self, deliver, calls, concurrency, format_name):
        options = {"concurrency": concurrency, "format_name": format_name}
        ahead = deliver(calls, **options)

        afterwards = deliver(calls, **options, behaviour=Behaviour(order="by_id"))

        assert ahead.file == afterwards.file
        assert ahead.result["sha256"] == afterwards.result["sha256"]


def test_the_pages_of_a_list_that_begins_with_its_newest_call_are_read_from_its_end(deliver):
    assert deliver(concurrency=1).offsets == [0, 297, 198, 99]
    assert deliver(concurrency=1, behaviour=Behaviour(order="oldest")).offsets == [0, 99, 198, 297]


def test_a_list_without_the_order_of_starts_is_sorted_afterwards(deliver):
    made = deliver(behaviour=Behaviour(order="by_id"))

    assert made.sorted
    assert [name.rpartition("/")[2] for name, data in made.tree.items() if data is not None] == [
        "_manifest.json", "calls.jsonl",
    ]  # fmt: skip


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz"])
@pytest.mark.parametrize("place", [100, 150, 210])
def test_a_list_that_leaves_the_order_in_its_midst_gives_the_same_file(deliver, place, format_name):
    """Such a list is in part in the file that was begun, and in part kept apart."""
    calls = sorted(CALLS, key=lambda call: call.start_ms)
    moved = [make_call(calls[place].call_id, DAY // 2 + 7), *(call for call in calls if call is not calls[place])]
    late = Change(at=(3,), update={calls[place].call_id: {"start_time": str(FROM_MS + DAY // 2 + 7)}})

    made = deliver(calls, format_name=format_name, concurrency=1, changes=[late])

    assert made.file == deliver(moved, format_name=format_name, behaviour=Behaviour(order="by_id")).file


def test_a_call_that_changes_between_two_readings_is_in_the_file_as_last_read(deliver):
    changed = Change(at=(2,), update={"call-005": {"call_status": "no-answer"}})

    made = deliver(concurrency=1, changes=[changed])

    assert made.file.count(b"call-005") == 1


def test_a_call_that_comes_and_moves_the_pages_is_in_the_file_once(deliver):
    late = make_call("late", DAY - 1)

    made = deliver(concurrency=1, changes=[Change(at=(3,), add=(late,))])

    ids = [line.split(b'"')[3] for line in made.file.splitlines()]
    assert made.result["walks"] > 1
    assert sorted(ids) == sorted([*(call.call_id.encode() for call in CALLS), b"late"])


@pytest.mark.parametrize("order", ["newest", "by_id"])
def test_nothing_is_there_before_all_pages_are(deliver, tmp_path, order):
    with pytest.raises(SynthflowTransientError):
        deliver(
            root=tmp_path / "out",
            concurrency=1,
            behaviour=Behaviour(order=order),
            faults=[Fault(at=(4,), kind="status", status=500)],
        )

    assert tree_of(tmp_path) == {}


@pytest.mark.parametrize("nameless", [True, False])
def test_a_window_without_calls_leaves_nothing_where_that_is_asked_for(deliver, tmp_path, nameless, monkeypatch):
    if not nameless:
        monkeypatch.delattr("os.O_TMPFILE")
    skipped = deliver([], on_empty="skip", root=tmp_path / "out")
    with pytest.raises(SynthflowIncompleteError):
        deliver([], on_empty="fail", root=tmp_path / "out")

    assert skipped.result["count"] == 0
    assert tree_of(tmp_path) == {}


def test_where_files_must_have_names_the_file_is_written_afterwards(deliver, monkeypatch):
    ahead = deliver()
    monkeypatch.delattr("os.O_TMPFILE")

    afterwards = deliver()

    assert afterwards.sorted
    assert afterwards.file == ahead.file
