# SPDX-License-Identifier: Apache-2.0
"""Whoever looks at a published window sees a whole file, and a manifest only where it is true."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowOutputConflictError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window
from tests.unit.making import AGENT, FROM_MS, TO_MS, tree_of

WINDOW = Window(FROM_MS, TO_MS)
RECORDS = [b'{"call_id":"a","n":1}', b'{"call_id":"b","n":2}']
LINES = b"".join(record + b"\n" for record in RECORDS)
PLACE = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"


class LoggingStore(LocalStore):
    """Note in which order files appear and disappear."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.log: list[str] = []

    def stage(self, directory):
        store = self

        class Context:
            def __enter__(self):
                self.inner = LocalStore.stage(store, directory)
                staged = self.inner.__enter__()
                publish = staged.publish

                def logged(name, over=None):
                    store.log.append(f"+{name}")
                    publish(name, over)

                staged.publish = logged
                return staged

            def __exit__(self, *error):
                return self.inner.__exit__(*error)

        return Context()

    def remove(self, relative, over=None):
        self.log.append(f"-{Path(relative).name}")
        super().remove(relative, over)


def publication(root: Path, format_name: str = "jsonl", store: LocalStore | None = None, **filters: Any) -> Publication:
    return Publication(store or LocalStore(str(root)), AGENT, WINDOW, format_name, filters)


def result(count: int = 2, **filters: Any) -> dict[str, Any]:
    return {"model_id": AGENT, "count": count, "query": filters, "extracted_at": str(time.time_ns())}


def read_manifest(root: Path) -> dict[str, Any]:
    return json.loads((root / PLACE / "_manifest.json").read_bytes())


class TestPublishing:
    def test_writes_the_records_and_tells_of_the_file(self, tmp_path):
        given = result()

        told = publication(tmp_path).publish(RECORDS, given)

        assert (tmp_path / PLACE / "calls.jsonl").read_bytes() == LINES
        assert told == given | {
            "changed": True,
            "path": str(tmp_path / PLACE / "calls.jsonl"),
            "format": "jsonl",
            "bytes": len(LINES),
            "sha256": hashlib.sha256(LINES).hexdigest(),
        }
        assert read_manifest(tmp_path) == told

    def test_tells_the_size_and_hash_of_the_compressed_file(self, tmp_path):
        told = publication(tmp_path, "jsonl.gz").publish(RECORDS, result())

        data = Path(told["path"]).read_bytes()
        assert gzip.decompress(data) == LINES
        assert (told["bytes"], told["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())

    def test_knows_the_path_before(self, tmp_path):
        one = publication(tmp_path, "jsonl.gz")

        assert one.path == one.publish(RECORDS, result())["path"]

    def test_takes_records_as_they_come(self, tmp_path):
        asked = []

        def records():
            for number in range(3):
                asked.append(number)
                yield b"%d" % number
                assert asked == list(range(number + 1))

        publication(tmp_path).publish(records(), result())

        assert (tmp_path / PLACE / "calls.jsonl").read_bytes() == b"0\n1\n2\n"

    def test_writes_the_manifest_last(self, tmp_path):
        store = LoggingStore(str(tmp_path))

        publication(tmp_path, store=store).publish(RECORDS, result())

        assert [entry for entry in store.log if entry[0] == "+"] == ["+calls.jsonl", "+_manifest.json"]

    def test_takes_the_old_manifest_away_before_the_new_file_appears(self, tmp_path):
        publication(tmp_path).publish(RECORDS, result())
        store = LoggingStore(str(tmp_path))

        publication(tmp_path, store=store).publish(RECORDS[:1], result(1))

        assert store.log == ["-_manifest.json", "+calls.jsonl", "+_manifest.json"]

    def test_again_replaces_file_and_manifest(self, tmp_path):
        publication(tmp_path).publish(RECORDS, result())

        told = publication(tmp_path).publish(RECORDS[:1], result(1))

        assert told["changed"]
        assert tree_of(tmp_path / PLACE).keys() == {"calls.jsonl", "_manifest.json"}
        assert (tmp_path / PLACE / "calls.jsonl").read_bytes() == RECORDS[0] + b"\n"
        assert read_manifest(tmp_path) == told

    @pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz"])
    def test_the_same_again_touches_neither_file_nor_manifest(self, tmp_path, format_name):
        publication(tmp_path, format_name).publish(RECORDS, result())
        before = tree_of(tmp_path)
        times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
        inodes = {path: path.stat().st_ino for path in tmp_path.rglob("*.*")}

        told = publication(tmp_path, format_name).publish(RECORDS, result())

        assert told["changed"] is False
        assert tree_of(tmp_path) == before
        assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == times
        assert {path: path.stat().st_ino for path in tmp_path.rglob("*.*")} == inodes

    @pytest.mark.parametrize("broken", [None, b"", b"{", b"[1]", b'{"sha256": "0"}', b"\xff"])
    def test_mends_a_manifest_that_is_missing_or_untrue(self, tmp_path, broken):
        publication(tmp_path).publish(RECORDS, result())
        manifest = tmp_path / PLACE / "_manifest.json"
        manifest.unlink() if broken is None else manifest.write_bytes(broken)

        told = publication(tmp_path).publish(RECORDS, result())

        assert told["changed"] is False
        assert read_manifest(tmp_path) == told

    @pytest.mark.parametrize("other", ["jsonl", "jsonl.gz"])
    def test_mends_a_file_that_was_cut_or_lost(self, tmp_path, other):
        path = Path(publication(tmp_path, other).publish(RECORDS, result())["path"])
        path.write_bytes(path.read_bytes()[:-3])
        assert publication(tmp_path, other).publish(RECORDS, result())["changed"]
        path.unlink()

        told = publication(tmp_path, other).publish(RECORDS, result())

        assert told["changed"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == told["sha256"]

    def test_of_no_records_makes_an_empty_file(self, tmp_path):
        told = publication(tmp_path).publish([], result(0))

        assert (told["bytes"], Path(told["path"]).read_bytes()) == (0, b"")
        assert publication(tmp_path).publish([], result(0))["changed"] is False

    def test_of_an_unknown_format_fails_before_anything_is_done(self, tmp_path):
        with pytest.raises(SynthflowConfigError, match=r"jsonl.gz"):
            publication(tmp_path, "csv")


class TestConflict:
    def test_of_two_queries_at_the_same_time_one_wins_and_the_other_is_told(self, tmp_path):
        for turn in range(20):
            ended: dict[str, Any] = {}
            both_looked = threading.Barrier(2)

            def write(status: str, root: Path, ended: dict[str, Any] = ended, both: Any = both_looked) -> None:
                one = publication(root, call_status=status)
                one.check()
                both.wait()
                try:
                    ended[status] = one.publish([status.encode()] * 3, result(call_status=status))
                except SynthflowOutputConflictError as error:
                    ended[status] = error

            root = tmp_path / str(turn)
            threads = [threading.Thread(target=write, args=(status, root)) for status in ("completed", "failed")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

            (status,) = [status for status, told in ended.items() if isinstance(told, dict)]
            assert len(ended) == 2
            assert (root / PLACE / "calls.jsonl").read_bytes() == f"{status}\n".encode() * 3
            assert read_manifest(root) == ended[status]
            assert sorted(path.name for path in (root / PLACE).iterdir()) == ["_manifest.json", "calls.jsonl"]

    @pytest.mark.parametrize(
        ("theirs", "ours", "differing"),
        [
            ({}, {"call_status": "completed"}, ("call_status",)),
            ({"call_status": "completed"}, {}, ("call_status",)),
            ({"duration_min": 1}, {"duration_min": 2}, ("duration_min",)),
            ({"duration_max": 1}, {"call_status": "busy", "duration_min": 2},
             ("call_status", "duration_max", "duration_min")),
        ],
    )  # fmt: skip
    def test_names_what_differs_and_leaves_all_as_it_is(self, tmp_path, theirs, ours, differing):
        publication(tmp_path, **theirs).publish(RECORDS, result(**theirs))
        before = tree_of(tmp_path)
        one = publication(tmp_path, **ours)

        for attempt in (one.check, lambda: one.publish(RECORDS[:1], result(1, **ours))):
            with pytest.raises(SynthflowOutputConflictError, match=", ".join(differing)) as caught:
                attempt()
            assert caught.value.differing == differing
            assert caught.value.path == one.path
            assert "output_path of its own" in str(caught.value)

        assert tree_of(tmp_path) == before

    def test_does_not_say_a_telephone_number(self, tmp_path):
        publication(tmp_path).publish(RECORDS, result())

        with pytest.raises(SynthflowOutputConflictError) as caught:
            publication(tmp_path, lead_phone_number="+15550100001").check()

        assert "5550100001" not in str(caught.value)

    def test_of_equal_queries_is_none(self, tmp_path):
        filters = {"call_status": "busy", "duration_min": 3}
        publication(tmp_path, **filters).publish(RECORDS, result(**filters))

        publication(tmp_path, **filters).check()

    def test_is_seen_across_formats(self, tmp_path):
        publication(tmp_path, "jsonl").publish(RECORDS, result())

        with pytest.raises(SynthflowOutputConflictError):
            publication(tmp_path, "jsonl.gz", call_status="busy").check()

    def test_check_makes_nothing(self, tmp_path):
        publication(tmp_path / "out").check()

        assert not tree_of(tmp_path)


class TestErrors:
    @pytest.mark.parametrize("there_before", [True, False])
    @pytest.mark.parametrize("at", range(4))
    @pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz"])
    def test_at_any_record_leave_what_was_there_and_nothing_else(self, tmp_path, format_name, at, there_before):
        if there_before:
            publication(tmp_path / "out", format_name).publish(RECORDS, result())
        before = tree_of(tmp_path)

        def records():
            for number in range(4):
                if number == at:
                    msg = "broken"
                    raise RuntimeError(msg)
                yield b"x" * 100_000

        with pytest.raises(RuntimeError, match="broken"):
            publication(tmp_path / "out", format_name).publish(records(), result())

        assert tree_of(tmp_path) == before

    def test_of_the_disk_while_writing_leave_what_was_there(self, tmp_path, monkeypatch):
        publication(tmp_path).publish(RECORDS, result())
        before = tree_of(tmp_path)

        def full(*_):
            raise OSError(28, "No space left on device")

        for name in ("write", "flush"):
            with monkeypatch.context() as patch:
                patch.setattr(f"airflow_provider_synthflow.storage.base.StagedFile.{name}", full)
                with pytest.raises((OSError, SynthflowTransientError), match=r"No space|disk is full"):
                    publication(tmp_path).publish(RECORDS[:1], result(1))
            assert tree_of(tmp_path) == before
