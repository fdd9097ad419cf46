# SPDX-License-Identifier: Apache-2.0
"""A store on a local disk."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import time
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.base import ABSENT, PIECE, ChangedMeanwhileError, ListedFile, StagedFile
from airflow_provider_synthflow.storage.claim import CLAIM_NAME
from airflow_provider_synthflow.storage.directory import Directory, list_directory, sync
from airflow_provider_synthflow.storage.disk_errors import typed_disk_errors
from airflow_provider_synthflow.storage.writeback import Writeback

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalStore"]

_EMPTY_SWEPT_AFTER = 60.0
"""Seconds after which an empty file is nobody's: a younger one may be about to be locked by its process."""

_UNLOCKED_SWEPT_AFTER = 24 * 3600.0
"""Seconds after which a file is nobody's on a file system without locks."""

_OWN_FILES = Path("/proc/self/fd")


class LocalStore:
    """A store below a directory of a local disk."""

    def __init__(self, output_path: str, *, name: str = "output_path") -> None:
        if output_path.startswith("file:"):
            self._root = _read_url(output_path, name)
            self._given = f"file://{self._root}"
        else:
            self._root = _read_path(output_path, name)
            self._given = str(self._root)
        self._where = f"{name} {self._given}"

    def location(self, relative: str) -> str:
        """Return a file's full path, as the output path was given, a relative one made absolute."""
        return f"{self._given}{'' if self._given.endswith('/') else '/'}{relative}"

    def check_writable(self) -> None:
        """Raise where the nearest directory that exists is not writable, without creating any."""
        nearest = self._root
        while not os.path.lexists(nearest) and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise SynthflowConfigError(
                f"{self._where} cannot be written: it is not a directory, or this worker may not write there. "
                "Use a directory that every worker can write to, or an object store."
            )

    def read(self, relative: str) -> bytes | None:
        """Return a file's bytes, or None where there is no such file."""
        return self.read_version(relative)[0]

    def read_version(self, relative: str) -> tuple[bytes | None, str | None]:
        """Return a file's bytes, and their version."""
        file = self.open(relative)
        if file is None:
            return None, ABSENT
        with file, typed_disk_errors(self._where):
            return file.read(), _make_version(os.fstat(file.fileno()))

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """Tell whether the file of a name has these bytes."""
        with typed_disk_errors(self._where):
            return _hash_file(self._root / relative, size) == sha256

    def list_files(self, prefix: str = "") -> Iterator[ListedFile]:
        """Yield the files with a prefix, in order."""
        directory, slash, _ = prefix.rpartition("/")
        with typed_disk_errors(self._where):
            found = list_directory(self._root / directory, f"{directory}{slash}", prefix)
        while True:
            with typed_disk_errors(self._where):
                each = next(found, None)
            if each is None:
                return
            path, status = each
            yield ListedFile(path, status.st_size, _make_version(status))

    def open(self, relative: str) -> IO[bytes] | None:
        """Open a file for reading, or return None where there is no such file."""
        with (
            typed_disk_errors(self._where),
            contextlib.suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError),
        ):
            return (self._root / relative).open("rb")
        return None

    @contextlib.contextmanager
    def upload(self, relative: str) -> Iterator[_LocalStaged]:
        """Open a file for writing, which appears, whole, when the context ends without an error."""
        directory, _, name = relative.rpartition("/")
        with self.stage(directory) as staged:
            yield staged
            staged.publish(name)

    def remove(self, relative: str, over: str | None = None) -> None:
        """Remove a file, durably."""
        path = self._root / relative
        with typed_disk_errors(self._where), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            _check_version(path, over)
            path.unlink()
            sync(path.parent)

    def put_private(self, relative: str, data: bytes) -> None:
        """Write a small file that only this user can read (mode 0600, its directory 0700)."""
        path = self._root / relative
        temporary = path.with_name(_make_temporary_name())
        try:
            with typed_disk_errors(self._where):
                path.parent.parent.mkdir(parents=True, exist_ok=True)
                path.parent.mkdir(mode=0o700, exist_ok=True)
                with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                    file.write(data)
                temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def remove_all(self, directory: str) -> None:
        """Remove a directory with all that is in it."""
        with typed_disk_errors(self._where), contextlib.suppress(FileNotFoundError, NotADirectoryError):
            shutil.rmtree(self._root / directory)

    @contextlib.contextmanager
    def locked(self, directory: str) -> Iterator[None]:
        """Lock a directory."""
        with typed_disk_errors(self._where):
            lock = Directory(self._root / directory).lock()
        with lock:
            yield

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether killed processes left unfinished files in a directory, or it is locked."""
        return any(True for _ in self._list_hidden(directory))

    def sweep(self, directory: str) -> None:
        """Remove the unfinished files of killed processes, whose locks are free, from a directory."""
        for path in self._list_hidden(directory):
            if path.name != CLAIM_NAME:
                with contextlib.suppress(OSError):
                    _sweep_file(path)

    def _list_hidden(self, directory: str) -> Iterator[Path]:
        with contextlib.suppress(OSError), os.scandir(self._root / directory) as entries:
            for entry in list(entries):
                if _TEMPORARY.fullmatch(entry.name) or entry.name == CLAIM_NAME:
                    yield Path(entry.path)

    @contextlib.contextmanager
    def stage(self, directory: str) -> Iterator[_LocalStaged]:
        """Open a file that is not visible until :meth:`_LocalStaged.publish`."""
        # Where the system can, the file has no name before that, and is gone with the process, also a killed one.
        # Then its directory is not made before that, either.
        target = Directory(self._root / directory)
        staged = None
        try:
            with typed_disk_errors(self._where):
                staged = _LocalStaged(target, self._where)
            yield staged
        finally:
            if staged is not None:
                staged.close()
            if staged is None or not staged.published:
                target.unmake()

    @contextlib.contextmanager
    def draft(self, directory: str) -> Iterator[_LocalStaged | None]:
        """Open a file as :meth:`stage` does if it cannot outlive a killed process; else None."""
        descriptor = _open_nameless(Directory(self._root / directory).nearest())
        if descriptor is None:
            yield None
            return
        os.close(descriptor)
        with self.stage(directory) as staged:
            yield staged


class _LocalStaged(StagedFile):
    """A staged file on the disk it will be published on."""

    def __init__(self, directory: Directory, where: str) -> None:
        self._directory = directory
        self._hidden: Path | None = None  # its name, where it has one and is not published
        descriptor = _open_nameless(directory.nearest())
        if descriptor is None:
            directory.make()
            self._hidden, descriptor = _open_hidden(directory.path)
        super().__init__(os.fdopen(descriptor, "wb"), partial(typed_disk_errors, where))
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._writeback = Writeback(descriptor)
        self.published = False

    def write(self, data: bytes, /) -> int:
        written = super().write(data)
        self._writeback.follow(self.size)
        return written

    def publish(self, name: str, over: str | None = None) -> None:
        self.flush()
        with self._typed():
            self._writeback.finish()
            self._directory.make()
            if self._hidden is None:
                self._hidden = self._give_hidden_name()
            _check_version(self._directory.path / name, over)
            self._hidden.replace(self._directory.path / name)
            self._hidden.unlink(missing_ok=True)  # where both names were this file's, nothing was renamed
            self._hidden = None
            self.published = True
            sync(self._directory.path)  # so that the name outlives a power cut, too

    def compare(self, name: str) -> tuple[bool, str | None]:
        self.flush()
        path = self._directory.path / name
        with self._typed():
            try:
                status = path.stat()
            except (FileNotFoundError, NotADirectoryError):
                return False, ABSENT
            own = os.path.samestat(status, os.fstat(self._file.fileno()))
            return own or _hash_file(path, self.size) == self.sha256, _make_version(status)

    def close(self) -> None:
        """Close the file, and remove it if it is unpublished."""
        self._writeback.end()
        with contextlib.suppress(OSError):
            self._file.close()
        if self._hidden is not None:
            self._hidden.unlink(missing_ok=True)

    def _give_hidden_name(self) -> Path:
        """Give a nameless file a hidden name; copy one that was published and then replaced by others."""
        path = self._directory.path / _make_temporary_name()
        try:
            _give_name(self._file.fileno(), path)
        except OSError:
            path, descriptor = _open_hidden(self._directory.path)
            with os.fdopen(descriptor, "wb") as copy:
                for offset in range(0, self.size, PIECE):
                    copy.write(self.read(PIECE, offset))
                copy.flush()
                os.fsync(copy.fileno())
        return path


_TEMPORARY = re.compile(r"\.[0-9a-f]{16}\.tmp")


def _make_temporary_name() -> str:
    return f".{secrets.token_hex(8)}.tmp"


def _open_hidden(directory: Path) -> tuple[Path, int]:
    """Create a file with a hidden name and the usual mode, which a tempfile has not."""
    path = directory / _make_temporary_name()
    return path, os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)


def _sweep_file(path: Path) -> None:
    """Remove an unpublished file whose process is dead."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        age = time.time() - status.st_mtime
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:  # there are no locks: only its age tells
            if age < _UNLOCKED_SWEPT_AFTER:
                return
        if status.st_size or age > _EMPTY_SWEPT_AFTER:
            path.unlink()


def _make_version(status: os.stat_result) -> str:
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


def _check_version(path: Path, over: str | None) -> None:
    """Raise where a file has another version."""
    if over is None:
        return
    try:
        there = _make_version(path.stat())
    except FileNotFoundError:
        there = ABSENT
    if there != over:
        msg = f"{path} was changed by another task at the same time. Let one task at a time write a window."
        raise ChangedMeanwhileError(msg)


def _hash_file(path: Path, size: int) -> str | None:
    """Return a file's SHA-256, or None where there is no file of that size."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size != size:
                return None
            while piece := file.read(PIECE):
                digest.update(piece)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return digest.hexdigest()


def _read_url(url: str, name: str) -> Path:
    """Return the path of a ``file://`` URL, without decoding it, as Airflow's ObjectStoragePath does."""
    rest = url.removeprefix("file:")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path if host in {"", "localhost"} else ""
    if not rest.startswith("/") or "\0" in rest:
        msg = f"{name} is not the URL of a local file: write file:///directory, with three slashes."
        raise SynthflowConfigError(msg)
    return Path(rest)


def _read_path(text: str, name: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:  # a tilde with a name that is no user's
        path = None
    if path is None or "\0" in text:
        msg = f"{name} is not the path of a directory. Use one that every worker can write to, or an object store."
        raise SynthflowConfigError(msg)
    return path


def _open_nameless(folder: Path) -> int | None:
    """Open a file without a name on the disk of a directory; None where the system has no such files."""
    if not (_OWN_FILES.exists() and hasattr(os, "O_TMPFILE")):
        return None
    with contextlib.suppress(OSError):  # not on this file system, or not in this directory: the usual way tells
        # With the usual mode, unlike a tempfile: the file is to be readable like any other.
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    return None


def _give_name(descriptor: int, path: Path) -> None:
    """Give a nameless file its first name."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.link(_OWN_FILES / str(descriptor), path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)
