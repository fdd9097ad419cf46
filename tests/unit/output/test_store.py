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

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.output.store import LocalStore, open_store
from tests.unit.making import tree_of


@pytest.fixture
def umask():
    """Give a function that sets the process's umask for the test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def publish(store: LocalStore, data: bytes, directory: str = "a/b", name: str = "file") -> None:
    with store.stage(directory) as staged:
        staged.write(data)
        staged.publish(name)


class TestStaging:
    def test_shows_nothing_under_the_name_before_publishing(self, tmp_path):
        store = LocalStore(str(tmp_path))
        publish(store, b"old")

        with store.stage("a/b") as staged:
            staged.write(b"new")
            staged.flush()
            assert (tmp_path / "a/b/file").read_bytes() == b"old"
            hidden = [path.name for path in (tmp_path / "a/b").iterdir() if path.name != "file"]
            staged.publish("file")

        assert len(hidden) == 1
        assert hidden[0].startswith(".")
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
            (tmp_path / "out/a/other").write_bytes(b"1")

        assert tree_of(tmp_path) == {"out": None, "out/a": None, "out/a/other": b"1"}

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


class TestSweeping:
    def age(self, path: Path, seconds: float = 120) -> None:
        os.utime(path, (time.time() - seconds,) * 2)

    def killed(self, root: Path) -> Path:
        """Stage a file in a process of its own, kill it, and return what it left."""
        code = (
            "import sys, time\n"
            "sys.modules['airflow'] = None  # the core needs none, and starts at once without it\n"
            "from airflow_provider_synthflow.output.store import LocalStore\n"
            f"with LocalStore({str(root)!r}).stage('a') as staged:\n"
            "    staged.write(b'half'); staged.flush(); print('ready', flush=True); time.sleep(60)\n"
        )
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own program
            assert process.stdout.readline() == "ready\n"
            process.kill()
        (left,) = (root / "a").iterdir()
        return left

    def test_takes_away_what_a_killed_process_left(self, tmp_path):
        left = self.killed(tmp_path)
        self.age(left)

        publish(LocalStore(str(tmp_path)), b"x", "a")

        assert tree_of(tmp_path) == {"a": None, "a/file": b"x"}

    def test_leaves_what_is_so_young_that_its_lock_may_be_due(self, tmp_path):
        (tmp_path / "a").mkdir()
        young = tmp_path / "a/.0123456789abcdef.tmp"
        young.write_bytes(b"half")
        self.age(young, 30)

        publish(LocalStore(str(tmp_path)), b"x", "a")

        assert young.exists()

    def test_leaves_what_a_living_process_still_writes(self, tmp_path):
        store = LocalStore(str(tmp_path))

        with store.stage("a") as slow:
            slow.write(b"slow")
            slow.flush()
            (hidden,) = (tmp_path / "a").iterdir()
            self.age(hidden)
            publish(store, b"quick", "a")
            slow.publish("file")

        assert tree_of(tmp_path) == {"a": None, "a/file": b"slow"}

    def test_leaves_files_of_others(self, tmp_path):
        (tmp_path / "a").mkdir()
        for name in (".hidden", "notes.tmp", "calls.jsonl"):
            (tmp_path / "a" / name).write_bytes(b"1")
            self.age(tmp_path / "a" / name)

        publish(LocalStore(str(tmp_path)), b"x", "a")

        assert {path.name for path in (tmp_path / "a").iterdir()} == {".hidden", "notes.tmp", "calls.jsonl", "file"}


class TestReading:
    def test_tells_a_file_that_is_not_there_from_an_empty_one(self, tmp_path):
        store = LocalStore(str(tmp_path))
        publish(store, b"")
        (tmp_path / "plain").write_bytes(b"")

        assert store.read("a/b/file") == b""
        assert store.sha256("a/b/file") == hashlib.sha256(b"").hexdigest()
        for missing in ("a/b/other", "other/file", "plain/file"):
            assert store.read(missing) is None
            assert store.sha256(missing) is None

    def test_hashes_a_file_larger_than_a_piece(self, tmp_path):
        data = os.urandom(3 * 1024 * 1024 + 17)
        publish(LocalStore(str(tmp_path)), data)

        assert LocalStore(str(tmp_path)).sha256("a/b/file") == hashlib.sha256(data).hexdigest()

    def test_removes_a_file_that_may_not_be_there(self, tmp_path):
        store = LocalStore(str(tmp_path))
        publish(store, b"x")

        store.remove("a/b/file")
        store.remove("a/b/file")
        store.remove("other/file")

        assert tree_of(tmp_path) == {"a": None, "a/b": None}


class TestUnwritable:
    @pytest.mark.parametrize("place", ["file", "file/below", "file/far/below", "dangling", "dangling/below"])
    def test_paths_are_told_before_anything_is_made(self, tmp_path, place):
        (tmp_path / "file").write_bytes(b"1")
        (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
        before = tree_of(tmp_path)
        store = LocalStore(str(tmp_path / place))

        with pytest.raises(SynthflowConfigError, match=r"cannot be written.*Name a directory"):
            store.check_writable()

        assert tree_of(tmp_path) == before

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
    def test_directories_of_others_are_told(self, tmp_path):
        (tmp_path / "locked").mkdir(mode=0o555)

        with pytest.raises(SynthflowConfigError, match="not writable"):
            LocalStore(str(tmp_path / "locked/out")).check_writable()

    def test_directories_are_told_by_what_the_system_allows(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: not (path == tmp_path and mode & os.W_OK))

        with pytest.raises(SynthflowConfigError, match="not writable"):
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

    @pytest.mark.parametrize("method", ["read", "sha256", "remove"])
    @pytest.mark.parametrize("place", ["folder", "x" * 300])
    def test_files_below_the_path_are_typed_errors_too(self, tmp_path, method, place):
        (tmp_path / "folder").mkdir()

        with pytest.raises(SynthflowConfigError, match="cannot be written"):
            getattr(LocalStore(str(tmp_path)), method)(place)

    def test_does_not_stand_for_a_full_disk(self, tmp_path):
        def full():
            with LocalStore(str(tmp_path)).stage("a"):
                raise OSError(28, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            full()


class TestPaths:
    @pytest.mark.parametrize(
        "form",
        [
            "{tmp}/out",
            "{tmp}/out/",
            "file://{tmp}/out",
            "file://{tmp}/out//",
            "file:{tmp}/out",
            "{tmp}/a b#c?d%20e",
            "file://{tmp}/a b#c?d%20e",
            "{tmp}/Grüße",
        ],
    )
    def test_name_the_place_that_airflow_s_own_paths_name(self, tmp_path, form):
        given = form.format(tmp=tmp_path)
        store = open_store(given)

        publish(store, b"x")

        location = store.location("a/b/file")
        assert ObjectStoragePath(location).read_bytes() == b"x"
        assert (ObjectStoragePath(given) / "a/b/file").read_bytes() == b"x"
        assert location.startswith("file:///" if given.startswith("file:") else "/")
        assert "//" not in location.removeprefix("file://")

    def test_that_are_relative_count_from_the_working_directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = open_store("out/deeper")

        publish(store, b"x")
        monkeypatch.chdir("/")

        assert store.location("a/b/file") == str(tmp_path / "out/deeper/a/b/file")
        assert Path(store.location("a/b/file")).read_bytes() == b"x"

    def test_with_a_tilde_begin_at_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))

        assert open_store("~/out").location("x") == str(tmp_path / "out/x")

    def test_on_this_host_may_say_so(self, tmp_path):
        assert open_store(f"file://localhost{tmp_path}/out").location("x") == f"file://{tmp_path}/out/x"

    def test_may_be_the_root(self):
        assert open_store("/").location("a/x") == "/a/x"
        assert open_store("file:///").location("a/x") == "file:///a/x"

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("file://host/out", "three slashes"),
            ("file:out", "three slashes"),
            ("file://out", "three slashes"),
            ("file:///a\0b", "no local file"),
            ("a\0b", "no directory"),
            ("~no-such-user-here/out", "no directory"),
            ("ftp://host/out", "ftp://"),
        ],
    )
    def test_that_name_no_local_place_are_errors(self, path, text):
        with pytest.raises(SynthflowConfigError, match=text):
            open_store(path)

    def test_need_no_connection(self, tmp_path):
        with pytest.raises(SynthflowConfigError, match="Remove one"):
            open_store(str(tmp_path), "aws_default")
