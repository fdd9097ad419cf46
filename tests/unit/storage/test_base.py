# SPDX-License-Identifier: Apache-2.0
"""What every store does alike: lists lazily, reads in pieces, and takes streams, seen whole or not at all."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
import tracemalloc

import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from airflow_provider_synthflow.storage import object_store, s3
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.object_store import ObjectStore
from airflow_provider_synthflow.storage.open_store import open_store

KINDS = ["disk", "disk-named", "s3", "any-local", "any-memory"]
ODD = "a b#c?d%20e/[prod] *x/Grüße"


@pytest.fixture(params=KINDS)
def store(request, tmp_path, monkeypatch):
    """Give a store of each kind, empty."""
    monkeypatch.setattr(object_store, "_PATIENCE", 0.0)
    if request.param == "s3":
        pytest.importorskip("moto")
        pytest.importorskip("s3fs")
        server = request.getfixturevalue("s3_server")
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", server.connection())
        monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1000)
        monkeypatch.setattr(s3, "_PART", 20_000)
        return open_store("s3://lake/[o] *ut", "lake")
    if request.param == "any-local":
        return ObjectStore(LocalFileSystem(), f"{tmp_path}/[o] *ut", "any://out")
    if request.param == "any-memory":
        fs = MemoryFileSystem()
        fs.store.clear()
        fs.pseudo_dirs[:] = [""]
        return ObjectStore(fs, "/lake/[o] *ut", "any://lake")
    if request.param == "disk-named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return LocalStore(f"{tmp_path}/[o] *ut")


def put(store, relative: str, data: bytes) -> None:
    with store.upload(relative) as file:
        file.write(data)


def list_sizes(store) -> list[tuple[str, int]]:
    return [(each.path, each.size) for each in store.list_files()]


class TestListing:
    def test_shows_another_version_of_a_file_that_was_written_again(self, store):
        versions = set()
        for data in (b"1", b"2", b"2"):
            put(store, "a/x", data)
            put(store, "a/y", b"1")
            versions.add(next(store.list_files()).version)
            assert [each.version for each in store.list_files()] == [each.version for each in store.list_files()]

        assert None not in versions
        assert len(versions) > 1

    def test_gives_paths_and_sizes_in_the_order_of_the_paths(self, store):
        names = ["a/x", "a/b/c", "a.b/x", "ab/x", "a/b.c", "z", f"{ODD}/x"]
        for number, name in enumerate(names):
            put(store, name, b"x" * number)

        found = list_sizes(store)

        assert found == sorted((name, number) for number, name in enumerate(names))

    @pytest.mark.parametrize(
        "prefix", ["", "a", "a/", "a/b", "a/b/", "ab", f"{ODD[:-2]}", "a b#c?d%20e/[prod] ", "nix/", "x"]
    )
    def test_takes_a_prefix_as_it_is(self, store, prefix):
        names = sorted(["a/x", "a/b/c", "ab/x", "a/bc", "z", f"{ODD}/x"])
        for name in names:
            put(store, name, b"1")

        assert [each.path for each in store.list_files(prefix)] == [name for name in names if name.startswith(prefix)]

    def test_of_a_place_without_files_is_empty(self, store):
        assert list_sizes(store) == []

    def test_leaves_out_what_is_not_published(self, store):
        put(store, "a/x", b"1")
        with store.upload("a/y") as file:
            file.write(b"x" * 50_000)
            found = list_sizes(store)

        assert found == [("a/x", 1)]

    def test_follows_links_once(self, tmp_path):
        store = LocalStore(str(tmp_path / "out"))
        put(store, "a/x", b"1")
        put(LocalStore(str(tmp_path / "other")), "y", b"22")
        (tmp_path / "out/b").symlink_to(tmp_path / "other")
        (tmp_path / "out/a/up").symlink_to(tmp_path / "out")
        (tmp_path / "out/a/gone").symlink_to(tmp_path / "nowhere")

        assert list_sizes(store) == [("a/x", 1), ("b/y", 2)]

    def test_of_many_objects_takes_the_memory_of_a_page(self, s3_server, monkeypatch):
        pytest.importorskip("s3fs")
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
        asked = itertools.count()
        page = [(f"lake/out/{number:06}/" + "x" * 200, 1, None) for number in range(1000)]
        store = open_store("s3://lake/out", "lake")
        monkeypatch.setattr(store._files, "list_page", lambda *_: (list(page), "more" if next(asked) < 500 else None))

        tracemalloc.start()
        number = sum(1 for _ in store.list_files())
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert number == 501_000
        assert most < 20 * 2**20

    def test_of_more_than_a_page_is_whole(self, s3_server, monkeypatch):
        pytest.importorskip("s3fs")
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
        monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "20")
        names = [f"{number:05}" for number in range(47)]
        for name in names:
            s3_server.client.put_object(Bucket="lake", Key=f"out/{name}", Body=b"1")
        s3_server.requests.clear()

        files = open_store("s3://lake/out", "lake").list_files()

        assert next(files)[:2] == ("00000", 1)
        assert len(s3_server.requests) == 1
        assert [each.path for each in files] == names[1:]
        assert len(s3_server.requests) == 3


class TestReading:
    def test_in_pieces_gives_the_bytes_from_any_place(self, store):
        data = os.urandom(3_000_000)
        put(store, f"{ODD}/x", data)

        with store.open(f"{ODD}/x") as file:
            pieces = list(iter(lambda: file.read(70_001), b""))
            file.seek(-10, os.SEEK_END)
            end = file.read()
            file.seek(1_000_000)
            middle = file.read(5)

        assert b"".join(pieces) == data
        assert end == data[-10:]
        assert middle == data[1_000_000:1_000_005]

    @pytest.mark.parametrize("name", ["nix", "a", "a/nix", "a/x/nix"])
    def test_of_what_is_no_file_gives_nothing(self, store, name):
        put(store, "a/x", b"1")

        assert store.open(name) is None

    def test_sees_what_others_wrote_meanwhile(self, store):
        put(store, "a/x", b"one")
        with store.open("a/x") as file:
            assert file.read() == b"one"
        put(store, "a/x", b"longer")

        with store.open("a/x") as file:
            assert file.read() == b"longer"


class TestStreaming:
    @pytest.mark.parametrize("size", [0, 1, 19_999, 20_000, 20_001, 40_000, 123_456])
    @pytest.mark.parametrize("piece", [1_000, 65_536])
    def test_shows_the_whole_file_at_its_end(self, store, size, piece):
        data = os.urandom(size)
        put(store, f"{ODD}/x", b"old")

        with store.upload(f"{ODD}/x") as file:
            for begin in range(0, size, piece):
                file.write(data[begin : begin + piece])
            file.flush()
            before = store.read(f"{ODD}/x")

        assert before == b"old"
        assert store.read(f"{ODD}/x") == data
        assert (file.size, file.sha256) == (size, hashlib.sha256(data).hexdigest())
        assert store.holds(f"{ODD}/x", size, file.sha256)
        assert list_sizes(store) == [(f"{ODD}/x", size)]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
    @pytest.mark.parametrize("size", [10, 100_000])
    @pytest.mark.parametrize("old", [True, False])
    def test_shows_nothing_after_an_error(self, store, error, size, old, request):
        if old:
            put(store, "a/x", b"old")

        def write() -> None:
            with store.upload("a/x") as file:
                file.write(b"x" * size)
                raise error

        with pytest.raises(error):
            write()

        assert store.read("a/x") == (b"old" if old else None)
        assert list_sizes(store) == [("a/x", 3)] * old
        if "s3" in request.node.name:
            assert request.getfixturevalue("s3_server").uploads() == []


class TestStreamingToS3:
    @pytest.fixture
    def lake(self, s3_server, monkeypatch):
        pytest.importorskip("s3fs")
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", s3_server.connection())
        monkeypatch.setattr("moto.s3.models.S3_UPLOAD_PART_MIN_SIZE", 1000)
        monkeypatch.setattr(s3, "_PART", 20_000)
        return s3_server

    def test_sends_the_parts_as_the_bytes_come_and_uses_no_disk(self, lake, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", "/nowhere")
        with open_store("s3://lake/out", "lake").upload("x") as file:
            for _ in range(5):
                file.write(b"x" * 20_001)
                sent = sum("partNumber" in each for each in lake.requests)

        assert sent == 5
        assert lake.read("out/x") == b"x" * 100_005

    def test_takes_more_parts_than_fit_at_the_first_size(self, lake, monkeypatch):
        monkeypatch.setattr(s3, "_MOST_PARTS", 20)
        monkeypatch.setattr(s3, "_PART", 1000)

        with open_store("s3://lake/out", "lake").upload("x") as file:
            for number in range(900):
                file.write(b"%1000d" % number)

        assert lake.read("out/x") == b"".join(b"%1000d" % number for number in range(900))
        assert sum("partNumber" in each for each in lake.requests) <= 20

    @pytest.mark.parametrize("method", ["PUT", "POST"])
    @pytest.mark.parametrize("at", [1, 2, 3])
    def test_of_a_store_that_fails_once_goes_on_or_leaves_nothing(self, lake, method, at, monkeypatch):
        from werkzeug.wrappers import Response  # noqa: PLC0415 - moto's

        monkeypatch.setattr(object_store, "_PATIENCE", 10.0)
        count = 0

        def fault(request):
            nonlocal count
            count += request.method == method
            failing = request.method == method and count == at
            return Response("<Error><Code>Odd</Code></Error>", 400 if failing_for_good else 503) if failing else None

        for failing_for_good in (False, True):
            count = 0
            lake.fault = fault
            try:
                put(open_store("s3://lake/out", "lake"), "x", b"%d" % failing_for_good * 70_000)
            except (SynthflowConfigError, SynthflowTransientError):
                assert failing_for_good
            lake.fault = None
            assert lake.uploads() == []
            assert lake.read("out/x")[:1] == (b"0" if failing_for_good and count >= at else b"%d" % failing_for_good)

    def test_of_a_killed_process_is_aborted_by_the_next_run_and_others_are_not(self, lake):
        code = (
            "import sys, time; sys.modules['airflow'] = None\n"
            "import s3fs; from airflow_provider_synthflow.storage import s3; s3._PART = 20_000\n"
            "from airflow_provider_synthflow.storage.object_store import ObjectStore\n"
            "fs = s3fs.S3FileSystem(key='AKIATESTKEY', secret='test-secret-0123456789', endpoint_url=sys.argv[1],\n"
            "    client_kwargs={'region_name': 'us-east-1'})\n"
            "with ObjectStore(fs, 'lake/out', 's3://lake/out').upload('a/x') as file:\n"
            "    file.write(b'x' * 100_000); print('ready', flush=True); time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code, lake.url], stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
            assert child.stdout.readline() == "ready\n"
            child.kill()
        lake.settle()
        for key in ("out/a/deeper/x", "out/ab/x"):
            lake.client.create_multipart_upload(Bucket="lake", Key=key)
        assert len(lake.uploads()) == 3
        assert lake.objects() == []

        open_store("s3://lake/out", "lake").sweep("a")

        assert sorted(key for key, _ in lake.uploads()) == ["out/a/deeper/x", "out/ab/x"]
