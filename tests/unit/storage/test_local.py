# SPDX-License-Identifier: Apache-2.0
"""On a local disk a file appears whole or not at all, and what is unfinished leaves no trace."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import pytest
from fsspec.implementations.local import LocalFileSystem

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.object_store import ObjectStore
from tests.unit.making import tree_of


@pytest.fixture
def umask():
    """Give a function that sets the process's umask for the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.fixture(params=["nameless", "named"])
def kind(request, monkeypatch):
    """Let a file that is not yet published be without a name, and with one as where the system knows no others."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE")
    return request.param


@pytest.fixture
def named(monkeypatch):
    """Be a system without files that have no name."""
    monkeypatch.delattr(os, "O_TMPFILE")


def publish(store: LocalStore, data: bytes, directory: str = "a/b", name: str = "file") -> None:
    with store.stage(directory) as staged:
        staged.write(data)
        staged.publish(name)


@pytest.mark.usefixtures("kind")
class TestStaging:
    def test_shows_nothing_under_the_name_before_publishing(self, tmp_path, kind):
        store = LocalStore(str(tmp_path))
        publish(store, b"old")

        with store.stage("a/b") as staged:
            staged.write(b"new")
            staged.flush()
            assert (tmp_path / "a/b/file").read_bytes() == b"old"
            hidden = [path.name for path in (tmp_path / "a/b").iterdir() if path.name != "file"]
            staged.publish("file")

        assert [name[0] for name in hidden] == ([] if kind == "nameless" else ["."])
        assert tree_of(tmp_path) == {"a": None, "a/b": None, "a/b/file": b"new"}

    def test_publishes_all_that_was_written(self, tmp_path):
        with LocalStore(str(tmp_path)).stage("a") as staged:
            for _ in range(1000):
                staged.write(b"x" * 997)
            staged.publish("file")

            assert (tmp_path / "a/file").stat().st_size == 997_000  # at once, not when the file is closed

        assert (staged.size, staged.sha256) == (997_000, hashlib.sha256(b"x" * 997_000).hexdigest())

    @pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
    def test_leaves_nothing_where_nothing_is_published(self, tmp_path, error):
        before = tree_of(tmp_path)
        store = LocalStore(str(tmp_path / "out"))

        def work():
            with store.stage("a/b/c") as staged:
                staged.write(b"half")
                if error is not None:
                    raise error

        if error is None:
            work()
        else:
            with pytest.raises(error):
                work()

        assert tree_of(tmp_path) == before

    def test_keeps_directories_that_were_there_or_that_others_use(self, tmp_path):
        (tmp_path / "out").mkdir()
        store = LocalStore(str(tmp_path / "out"))

        with store.stage("a/b"):
            (tmp_path / "out/a").mkdir(exist_ok=True)
            (tmp_path / "out/a/other").write_bytes(b"1")

        assert tree_of(tmp_path) == {"out": None, "out/a": None, "out/a/other": b"1"}

    def test_leaves_no_new_directory_where_the_file_cannot_get_its_name(self, tmp_path, monkeypatch):
        def refuse(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", refuse)

        with pytest.raises(SynthflowTransientError, match="its disk is full"):
            publish(LocalStore(str(tmp_path)), b"half")

        assert not tree_of(tmp_path)

    def test_replaces_a_file_that_a_reader_has_open_without_the_reader_s_notice(self, tmp_path):
        store = LocalStore(str(tmp_path))
        publish(store, b"old")

        with (tmp_path / "a/b/file").open("rb") as reader:
            publish(store, b"new!")
            assert reader.read() == b"old"

        assert (tmp_path / "a/b/file").read_bytes() == b"new!"

    @pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0o000, 0o666)])
    def test_gives_files_the_mode_that_the_umask_says(self, tmp_path, umask, mask, mode):
        umask(mask)

        publish(LocalStore(str(tmp_path)), b"x")

        assert stat.S_IMODE((tmp_path / "a/b/file").stat().st_mode) == mode
        assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == mode | (mode >> 2 & 0o111)

    def test_works_where_the_file_system_has_no_locks(self, tmp_path, monkeypatch):
        def no_locks(*_):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", no_locks)

        publish(LocalStore(str(tmp_path)), b"x")

        assert (tmp_path / "a/b/file").read_bytes() == b"x"


def killed(root: Path, how: str, before: str = "") -> dict[str, bytes | None]:
    """Write half of a file in a process of its own, kill it, and return what it left."""
    code = (
        "import os, sys, time\n"
        "sys.modules['airflow'] = None  # the core needs none, and starts at once without it\n"
        "from airflow_provider_synthflow.storage.local import LocalStore\n"
        f"{before}\n"
        f"with LocalStore({str(root)!r}).{how}('a') as staged:\n"
        "    staged.write(b'half'); staged.flush(); print('ready', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
        assert process.stdout.readline() == "ready\n"
        process.kill()
    return tree_of(root)


class TestDrafting:
    def test_leaves_no_trace_of_a_killed_process(self, tmp_path):
        assert killed(tmp_path, "draft") == {}

    def test_publishes_as_staging_does(self, tmp_path):
        with LocalStore(str(tmp_path)).draft("a/b") as draft:
            draft.write(b"new")
            assert tree_of(tmp_path) == {}
            draft.publish("file")

        assert tree_of(tmp_path) == {"a": None, "a/b": None, "a/b/file": b"new"}

    @pytest.mark.parametrize("why", ["no such files", "not here", "no /proc"])
    def test_is_not_done_where_a_trace_could_stay(self, tmp_path, monkeypatch, why):
        if why == "no such files":
            monkeypatch.delattr(os, "O_TMPFILE")
        elif why == "not here":
            monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)  # all that an old kernel understands of it
        else:
            monkeypatch.setattr("airflow_provider_synthflow.storage.local._OWN_FILES", tmp_path / "proc")

        with LocalStore(str(tmp_path)).draft("a/b") as draft:
            assert draft is None

        assert tree_of(tmp_path) == {}


@pytest.mark.usefixtures("kind")
class TestComparing:
    @pytest.mark.parametrize("there", [None, b"", b"0123456789", os.urandom(3 * 1024 * 1024 + 17)])
    def test_tells_whether_the_same_bytes_are_there(self, tmp_path, there):
        store = LocalStore(str(tmp_path))
        if there is not None:
            publish(store, there)
        for data in (b"", b"9876543210", b"0123456789", there or b"1"):
            with store.stage("a/b") as staged:
                staged.write(data)

                assert staged.compare("file")[0] is (data == there)

    def test_knows_its_own_file_without_reading_it(self, tmp_path, monkeypatch):
        with LocalStore(str(tmp_path)).stage("a/b") as staged:
            staged.write(b"x" * 100)
            staged.publish("file")
            monkeypatch.setattr("airflow_provider_synthflow.storage.local.PIECE", None)  # it cannot read

            assert staged.compare("file")[0]

    @pytest.mark.parametrize("links", [True, False])
    def test_publishes_again_where_another_came_between(self, tmp_path, monkeypatch, links, kind):
        store = LocalStore(str(tmp_path))

        def refuse(*_, **__):
            raise OSError(95, "Operation not supported")

        with store.stage("a/b") as staged:
            staged.write(b"mine")
            staged.publish("file")
            if not links and kind == "named":
                monkeypatch.setattr(os, "link", refuse)
            staged.publish("file")
            publish(LocalStore(f"{tmp_path}/other"), b"theirs")
            (tmp_path / "other/a/b/file").replace(tmp_path / "a/b/file")
            assert not staged.compare("file")[0]
            staged.publish("file")
            assert staged.compare("file")[0]
        for name in ("other/a/b", "other/a", "other"):
            (tmp_path / name).rmdir()

        assert tree_of(tmp_path) == {"a": None, "a/b": None, "a/b/file": b"mine"}


class TestSweeping:
    def age(self, path: Path, seconds: float = 120) -> None:
        os.utime(path, (time.time() - seconds,) * 2)

    def test_takes_away_at_once_what_a_killed_process_left(self, tmp_path):
        assert b"half" in killed(tmp_path, "stage", "del os.O_TMPFILE").values()

        LocalStore(str(tmp_path)).sweep("a")

        assert tree_of(tmp_path) == {"a": None}

    @pytest.mark.parametrize(("age", "left"), [(30, True), (120, False)])
    def test_leaves_an_empty_file_so_young_that_its_lock_may_be_due(self, tmp_path, age, left):
        (tmp_path / "a").mkdir()
        young = tmp_path / "a/.0123456789abcdef.tmp"
        young.write_bytes(b"")
        self.age(young, age)

        LocalStore(str(tmp_path)).sweep("a")

        assert young.exists() is left

    @pytest.mark.parametrize(("age", "left"), [(3600, True), (2 * 24 * 3600, False)])
    def test_without_locks_goes_by_age(self, tmp_path, monkeypatch, age, left):
        def no_locks(*_):
            raise OSError(95, "Operation not supported")

        monkeypatch.setattr("fcntl.flock", no_locks)
        (tmp_path / "a").mkdir()
        path = tmp_path / "a/.0123456789abcdef.tmp"
        path.write_bytes(b"half")
        self.age(path, age)

        LocalStore(str(tmp_path)).sweep("a")

        assert path.exists() is left

    @pytest.mark.usefixtures("named")
    def test_leaves_what_a_living_process_still_writes(self, tmp_path):
        store = LocalStore(str(tmp_path))

        with store.stage("a") as slow:
            slow.write(b"slow")
            slow.flush()
            (hidden,) = (tmp_path / "a").iterdir()
            self.age(hidden)
            store.sweep("a")
            slow.publish("file")

        assert tree_of(tmp_path) == {"a": None, "a/file": b"slow"}

    def test_leaves_files_of_others(self, tmp_path):
        (tmp_path / "a").mkdir()
        for name in (".hidden", "notes.tmp", "calls.jsonl"):
            (tmp_path / "a" / name).write_bytes(b"1")
            self.age(tmp_path / "a" / name)

        LocalStore(str(tmp_path)).sweep("a")

        assert {path.name for path in (tmp_path / "a").iterdir()} == {".hidden", "notes.tmp", "calls.jsonl"}

    def test_of_a_directory_that_is_not_there_does_nothing(self, tmp_path):
        LocalStore(str(tmp_path)).sweep("a/b")

        assert not tree_of(tmp_path)


class TestReading:
    def test_tells_a_file_that_is_not_there_from_an_empty_one(self, tmp_path):
        store = LocalStore(str(tmp_path))
        publish(store, b"")
        (tmp_path / "plain").write_bytes(b"")

        assert store.read("a/b/file") == b""
        for missing in ("a/b/other", "other/file", "plain/file"):
            assert store.read(missing) is None

    def test_removes_a_file_that_may_not_be_there(self, tmp_path):
        store = LocalStore(str(tmp_path))
        publish(store, b"x")

        for name in ("a/b/file", "a/b/file", "other/file"):
            store.remove(name)

        assert tree_of(tmp_path) == {"a": None, "a/b": None}


class TestUnwritable:
    @pytest.mark.parametrize("place", ["file", "file/below", "file/far/below", "dangling", "dangling/below"])
    def test_paths_are_told_before_anything_is_made(self, tmp_path, place):
        (tmp_path / "file").write_bytes(b"1")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        before = tree_of(tmp_path)
        store = LocalStore(str(tmp_path / place))

        with pytest.raises(SynthflowConfigError, match=r"cannot be written.*Use a directory"):
            store.check_writable()

        assert tree_of(tmp_path) == before

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_directories_of_others_are_told(self, tmp_path):
        (tmp_path / "locked").mkdir(mode=0o555)

        with pytest.raises(SynthflowConfigError, match="may not write there"):
            LocalStore(str(tmp_path / "locked/out")).check_writable()

    def test_directories_are_told_by_what_the_system_allows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode & os.W_OK))

        with pytest.raises(SynthflowConfigError, match="may not write there"):
            LocalStore(str(tmp_path / "out/deeper")).check_writable()

    @pytest.mark.parametrize("place", ["", "new", "new/deeper"])
    def test_is_not_what_can_be_made(self, tmp_path, place):
        LocalStore(str(tmp_path / place)).check_writable()

        assert not tree_of(tmp_path)

    @pytest.mark.parametrize(
        ("directory", "text"),
        [("file/below", "Not a directory"), ("file", "File exists|Not a directory"), ("x" * 300, "name too long")],
    )
    def test_directories_below_the_path_are_typed_errors_too(self, tmp_path, directory, text):
        (tmp_path / "file").write_bytes(b"1")

        with pytest.raises(SynthflowConfigError, match=f"cannot be written: .*({text})"):
            publish(LocalStore(str(tmp_path)), b"x", directory)

        assert tree_of(tmp_path) == {"file": b"1"}

    @pytest.mark.parametrize("method", ["read", "remove"])
    def test_files_below_the_path_are_typed_errors_too(self, tmp_path, method):
        with pytest.raises(SynthflowConfigError, match="cannot be written"):
            getattr(LocalStore(str(tmp_path)), method)("x" * 300)

    def test_does_not_stand_for_an_error_of_somebody_else_s(self, tmp_path):
        def work():
            with LocalStore(str(tmp_path)).stage("a"):
                raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            work()


@pytest.mark.usefixtures("kind")
class TestAFullDisk:
    @pytest.mark.parametrize(
        ("number", "text"),
        [(28, "its disk is full"), (122, "quota"), (24, "ulimit -n"), (23, "fs.file-max"), (5, "Input/output error")],
    )
    @pytest.mark.parametrize("at", ["write", "fsync", "open"])
    def test_is_told_with_the_path_and_may_pass(self, tmp_path, monkeypatch, number, text, at):
        def fail(*_, **__):
            raise OSError(number, os.strerror(number))

        def write():
            with LocalStore(str(tmp_path)).stage("a") as staged:
                if at == "write":
                    staged._file = mock.Mock(wraps=staged._file, write=fail)
                staged.write(b"x")
                staged.publish("file")

        with monkeypatch.context() as patch:
            if at != "write":
                patch.setattr(os, at, fail)
            with pytest.raises(SynthflowTransientError, match=f"output_path {tmp_path} cannot be written: .*{text}"):
                write()

        assert tree_of(tmp_path) == {}

    def test_that_can_only_be_read_is_a_setting(self, tmp_path, monkeypatch):
        def fail(*_, **__):
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(os, "open", fail)
        with pytest.raises(SynthflowConfigError, match="Read-only file system"):
            publish(LocalStore(str(tmp_path)), b"x")


class TestPrivateFiles:
    def test_can_be_read_by_their_user_only_whatever_the_umask(self, tmp_path):
        before = os.umask(0)
        try:
            LocalStore(str(tmp_path / "below")).put_private("run/1.pages", b"one")
        finally:
            os.umask(before)

        assert stat.S_IMODE((tmp_path / "below" / "run").stat().st_mode) == 0o700
        assert stat.S_IMODE((tmp_path / "below" / "run" / "1.pages").stat().st_mode) == 0o600
        assert (tmp_path / "below" / "run" / "1.pages").read_bytes() == b"one"

    def test_that_cannot_be_written_leave_nothing_half_done(self, tmp_path):
        (tmp_path / "run" / "1.pages").mkdir(parents=True)

        with pytest.raises(SynthflowConfigError):
            LocalStore(str(tmp_path)).put_private("run/1.pages", b"one")

        assert [path.name for path in (tmp_path / "run").iterdir()] == ["1.pages"]

    def test_go_with_their_directory_and_no_other_does(self, tmp_path):
        store = LocalStore(str(tmp_path))
        store.put_private("run/1.pages", b"one")
        store.put_private("other/1.pages", b"theirs")

        store.remove_all("run")
        store.remove_all("run")

        assert [path.name for path in tmp_path.iterdir()] == ["other"]
        assert store.read("other/1.pages") == b"theirs"


def test_a_temporary_directory_that_cannot_be_used_is_named(tmp_path, monkeypatch):
    pytest.importorskip("fsspec")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    store = ObjectStore(LocalFileSystem(), str(tmp_path), "any://lake")

    with pytest.raises(SynthflowConfigError, match=f"The temporary directory {tmp_path}/temporary .*TMPDIR"):
        publish(store, b"x")
