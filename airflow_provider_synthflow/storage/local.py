# SPDX-License-Identifier: Apache-2.0
"""A place for files on a local disk, where a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import shutil
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.base import PIECE, StagedFile
from airflow_provider_synthflow.storage.directory import Folder, begin_writeback, list_directory, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalStore"]

_FIXABLE = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOENT,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EINVAL,
}
_SWEPT_AFTER = 60.0
_WRITTEN_AT_ONCE = 8 * 1024 * 1024
"""How much of a file the disk is asked to take at a time, while more comes."""

_OWN_FILES = Path("/proc/self/fd")


class LocalStore:
    """
    Keep files below a directory of a local disk.

    :param output_path: a path, or a ``file://`` URL; a relative path counts from the working directory
    :raises SynthflowConfigError: for what names no local file
    """

    def __init__(self, output_path: str) -> None:
        if output_path.startswith("file:"):
            self._root = _path_of_url(output_path)
            self._given = f"file://{self._root}"
        else:
            self._root = _path_of_text(output_path)
            self._given = str(self._root)

    def location(self, relative: str) -> str:
        """
        Return a file's full name in the way the output path was given, a relative path made absolute.

        :param relative: its path below the output path
        """
        return f"{self._given}{'' if self._given.endswith('/') else '/'}{relative}"

    def check_writable(self) -> None:
        """
        Raise where a file could not be written; nothing is created for that.

        :raises SynthflowConfigError: where the nearest directory that exists is none, or not writable
        """
        nearest = self._root
        while not os.path.lexists(nearest) and nearest != nearest.parent:
            nearest = nearest.parent
        if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
            raise self._unwritable("it is no directory, or not writable for this worker")

    def read(self, relative: str) -> bytes | None:
        """
        Return a file's bytes, or None where there is no such file.

        :param relative: its path below the output path
        """
        try:
            return (self._root / relative).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._typed(error) from None

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """
        Tell whether the file that has a name now has these bytes.

        :param relative: its path below the output path
        :param size: their number
        :param sha256: their SHA-256 as hexadecimal digits
        """
        try:
            return _sha256_of(self._root / relative, size) == sha256
        except OSError as error:
            raise self._typed(error) from None

    def list_files(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """
        Yield the files whose relative paths begin with a prefix, as pairs of path and size, in the order of the paths.

        :param prefix: what the paths below the output path begin with
        """
        directory, slash, _ = prefix.rpartition("/")
        try:
            yield from list_directory(self._root / directory, f"{directory}{slash}", prefix, ())
        except OSError as error:
            raise self._typed(error) from None

    def open(self, relative: str) -> IO[bytes] | None:
        """
        Open a file for reading, or return None where there is no such file.

        :param relative: its path below the output path
        """
        try:
            return (self._root / relative).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise self._typed(error) from None

    @contextlib.contextmanager
    def upload(self, relative: str) -> Iterator[_LocalStaged]:
        """
        Open a file to write into, which is seen, whole, when the context ends without an error.

        :param relative: its path below the output path
        """
        directory, _, name = relative.rpartition("/")
        with self.stage(directory) as staged:
            yield staged
            staged.publish(name)

    def take(self, relative: str) -> bytes | None:
        """
        Remove a small file, and return the bytes of what was removed, or None where there was no such file.

        Of several who take it one gets it. A power cut does not bring it back.

        :param relative: its path below the output path
        """
        path = self._root / relative
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            path.replace(temporary)
            data = temporary.read_bytes()
            temporary.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._typed(error) from None
        sync(path.parent)
        return data

    def put_private(self, relative: str, data: bytes) -> None:
        """
        Write a small file that only this user can read (mode 0600, its directory 0700); it appears whole or not at all.

        :param relative: its path below the output path
        :param data: its bytes
        """
        path = self._root / relative
        temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            path.parent.parent.mkdir(parents=True, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
                file.write(data)
            temporary.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise self._typed(error) from None

    def remove_all(self, directory: str) -> None:
        """
        Remove a directory with all that is in it, if there is one.

        :param directory: the directory, below the output path
        """
        try:
            shutil.rmtree(self._root / directory)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._typed(error) from None

    @contextlib.contextmanager
    def locked(self, directory: str) -> Iterator[None]:
        """
        Keep others who ask for the same out of a directory meanwhile, where its file system has locks.

        :param directory: the directory, below the output path
        :raises SynthflowConfigError: where the directory cannot be written
        """
        try:
            lock = Folder(self._root / directory).lock()
        except OSError as error:
            raise self._typed(error) from None
        with lock:
            yield

    def sweep(self, directory: str) -> None:
        """
        Remove what killed processes left unfinished in a directory: the lock of a living one still holds.

        :param directory: the directory, below the output path
        """
        for path in (self._root / directory).glob(".*.tmp"):
            with contextlib.suppress(OSError), path.open("rb") as file:
                # The age covers the moment between a file's creation and its lock.
                if time.time() - path.stat().st_mtime > _SWEPT_AFTER:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    path.unlink()

    @contextlib.contextmanager
    def stage(self, directory: str) -> Iterator[_LocalStaged]:
        """
        Open a file that nobody sees until :meth:`_LocalStaged.publish`; unpublished, it is gone at the end.

        Where the system can, the file has no name before that, and is gone with the process, also a killed one. Then
        its directory is not made before that, either.

        :param directory: the directory that it is to be published in, below the output path
        :raises SynthflowConfigError: where the directory cannot be written
        """
        folder = Folder(self._root / directory)
        temporary = folder.path / f".{secrets.token_hex(8)}.tmp"
        staged = None
        try:
            descriptor = _open_nameless(folder.nearest())
            nameless = descriptor is not None
            if descriptor is None:
                folder.make()
                # Opened with the usual mode, unlike a tempfile: the file is to be readable like any other.
                descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                with contextlib.suppress(OSError):  # some network file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                staged = _LocalStaged(file, temporary, folder, nameless=nameless)
                yield staged
        except OSError as error:
            raise self._typed(error) from None
        finally:
            with contextlib.suppress(OSError):  # it has its name, or never had one
                temporary.unlink()
            if staged is None or not staged.published:
                folder.unmake()

    @contextlib.contextmanager
    def draft(self, directory: str) -> Iterator[_LocalStaged | None]:
        """
        Open a file as :meth:`stage` does if no trace of it can outlive the process, however that ends; else None.

        :param directory: the directory that it is to be published in, below the output path
        :raises SynthflowConfigError: where the directory cannot be written
        """
        descriptor = _open_nameless(Folder(self._root / directory).nearest())
        if descriptor is None:
            yield None
            return
        os.close(descriptor)
        with self.stage(directory) as staged:
            yield staged

    def _typed(self, error: OSError) -> OSError | SynthflowConfigError:
        """Return an error of the system as one of this package where a person can mend it."""
        return self._unwritable(os.strerror(error.errno)) if error.errno in _FIXABLE else error

    def _unwritable(self, why: str) -> SynthflowConfigError:
        return SynthflowConfigError(
            f"output_path {self._given} cannot be written: {why}. "
            "Name a directory that every worker can write, or an object store."
        )


class _LocalStaged(StagedFile):
    """A staged file on the disk where it will be published."""

    def __init__(self, file: IO[bytes], temporary: Path, folder: Folder, *, nameless: bool) -> None:
        super().__init__(file)
        self._temporary = temporary
        self._folder = folder
        self._nameless = nameless
        self._handed_over = 0
        self.published = False

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""
        written = super().write(data)
        if self.size - self._handed_over >= _WRITTEN_AT_ONCE:
            begin_writeback(self._file.fileno(), self._handed_over, self.size)
            self._handed_over = self.size
        return written

    def publish(self, name: str) -> None:
        """Give the file its name, in place of an earlier one; readers see the old file or the new one, whole."""
        self.flush()
        os.fsync(self._file.fileno())
        if self._nameless:
            self._folder.make()
            _give_name(self._file.fileno(), self._temporary)
            self._nameless = False
        # By a second name, so that the first is there to publish again; a rename onto itself would be none.
        second = self._temporary.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            second.hardlink_to(self._temporary)
        except OSError:  # some file systems have no links: it is published once
            second = self._temporary
        try:
            second.replace(self._folder.path / name)
        finally:
            if second != self._temporary:
                second.unlink(missing_ok=True)
        self.published = True
        sync(self._folder.path)  # so that the name outlives a power cut, too

    def is_at(self, name: str) -> bool:
        """Tell whether the file that has a name now has these very bytes."""
        self.flush()
        path = self._folder.path / name
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(path.stat(), os.fstat(self._file.fileno())):
                return True
        return _sha256_of(path, self.size) == self.sha256


def _sha256_of(path: Path, size: int) -> str | None:
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


def _path_of_url(url: str) -> Path:
    """Return the path that a ``file://`` URL names; as in Airflow's ObjectStoragePath, nothing in it is decoded."""
    rest = url.removeprefix("file:")
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        rest = slash + path if host in {"", "localhost"} else ""
    if not rest.startswith("/") or "\0" in rest:
        msg = "output_path names no local file: write file:///directory, with three slashes."
        raise SynthflowConfigError(msg)
    return Path(rest)


def _path_of_text(text: str) -> Path:
    try:
        path = Path(text).expanduser().absolute()
    except RuntimeError:  # a tilde with a name that is no user's
        path = None
    if path is None or "\0" in text:
        msg = "output_path names no directory. Name one that every worker can write, or an object store."
        raise SynthflowConfigError(msg)
    return path


def _open_nameless(folder: Path) -> int | None:
    """Open a file that has no name, on the disk of a directory; None where the system has no such files."""
    if not (_OWN_FILES.exists() and hasattr(os, "O_TMPFILE")):
        return None
    with contextlib.suppress(OSError):  # not on this file system, or not in this directory: the usual way tells
        # With the usual mode, unlike a tempfile: the file is to be readable like any other.
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    return None


def _give_name(descriptor: int, path: Path) -> None:
    """Give a file that was opened without a name its first one."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.link(_OWN_FILES / str(descriptor), path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)
