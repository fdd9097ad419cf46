# SPDX-License-Identifier: Apache-2.0
"""A place for files on a local disk, where a file appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider_synthflow.exceptions import SynthflowConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LocalStore", "StagedFile", "open_store"]

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
_PIECE = 1024 * 1024
_SWEPT_AFTER = 60.0


class StagedFile:
    """
    Be a file that nobody sees until it is published; its size and hash grow with what is written.

    :param file: the file below
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, as hexadecimal digits."""
        return self._sha256.hexdigest()

    def write(self, data: bytes) -> int:
        """
        Write bytes at the end.

        :param data: the bytes
        """
        self._sha256.update(data)
        self.size += len(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        self._file.flush()


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

    def remove(self, relative: str) -> None:
        """
        Remove a file, if there is one; a power cut does not bring it back.

        :param relative: its path below the output path
        """
        path = self._root / relative
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise self._typed(error) from None
        _sync(path.parent)

    def sha256(self, relative: str) -> str | None:
        """
        Return a file's SHA-256 as hexadecimal digits, or None where there is no such file.

        :param relative: its path below the output path
        """
        digest = hashlib.sha256()
        try:
            with (self._root / relative).open("rb") as file:
                while piece := file.read(_PIECE):
                    digest.update(piece)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._typed(error) from None
        return digest.hexdigest()

    @contextlib.contextmanager
    def stage(self, directory: str) -> Iterator[_LocalStaged]:
        """
        Open a file that nobody sees until :meth:`_LocalStaged.publish`; unpublished, it is gone at the end.

        :param directory: the directory that it is to be published in, below the output path
        :raises SynthflowConfigError: where the directory cannot be written
        """
        folder = self._root / directory
        created: list[Path] = []
        temporary = folder / f".{secrets.token_hex(8)}.tmp"
        published = False
        try:
            created = _missing(folder)
            folder.mkdir(parents=True, exist_ok=True)
            _sweep(folder)
            # Opened with the usual mode, unlike a tempfile: the file is to be readable like any other.
            descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                with contextlib.suppress(OSError):  # some network file systems have no locks
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                staged = _LocalStaged(file, temporary, folder)
                yield staged
                published = staged.published
        except OSError as error:
            raise self._typed(error) from None
        finally:
            if not published:
                with contextlib.suppress(OSError):  # its directory could not be made
                    temporary.unlink()
                for each in created:
                    with contextlib.suppress(OSError):  # something else was put there meanwhile
                        each.rmdir()

    def _typed(self, error: OSError) -> OSError | SynthflowConfigError:
        """Return an error of the system as one of this package where a person can mend it."""
        return self._unwritable(os.strerror(error.errno)) if error.errno in _FIXABLE else error

    def _unwritable(self, why: str) -> SynthflowConfigError:
        return SynthflowConfigError(
            f"output_path {self._given} cannot be written: {why}. "
            "Name a directory that every worker can write, or an object store."
        )


class _LocalStaged(StagedFile):
    """Be a staged file in the directory where it will be published."""

    def __init__(self, file: IO[bytes], temporary: Path, folder: Path) -> None:
        super().__init__(file)
        self._temporary = temporary
        self._folder = folder
        self.published = False

    def publish(self, name: str) -> None:
        """
        Give the file its name, in place of an earlier one; readers see the old file or the new one, whole.

        :param name: the name in the directory
        """
        self._file.flush()
        os.fsync(self._file.fileno())
        self._temporary.replace(self._folder / name)
        self.published = True
        _sync(self._folder)  # so that the name outlives a power cut, too


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


def _sync(folder: Path) -> None:
    """Have a directory's names written down."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _missing(folder: Path) -> list[Path]:
    """Return the directories that do not exist yet, the deepest first."""
    missing = []
    while not folder.exists() and folder != folder.parent:
        missing.append(folder)
        folder = folder.parent
    return missing


def _sweep(folder: Path) -> None:
    """Remove what killed processes left behind: the lock of a living one still holds."""
    for path in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError), path.open("rb") as file:
            # The age covers the moment between a file's creation and its lock.
            if time.time() - path.stat().st_mtime > _SWEPT_AFTER:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def open_store(output_path: str, output_conn_id: str | None = None) -> LocalStore:
    """
    Return the store of an output path.

    :param output_path: a path, or a ``file://`` URL
    :param output_conn_id: the Airflow connection of the store; a local disk needs none
    :raises SynthflowConfigError: for a store that is not known
    """
    scheme = urlsplit(output_path).scheme if "://" in output_path else ""
    if scheme not in {"", "file"}:
        msg = (
            f"output_path begins with {scheme}://, which this version does not write. "
            "Name a local path or a file:// URL."
        )
        raise SynthflowConfigError(msg)
    if output_conn_id:
        msg = "output_conn_id is set, but output_path is on a local disk, which needs none. Remove one of the two."
        raise SynthflowConfigError(msg)
    return LocalStore(output_path)
