# SPDX-License-Identifier: Apache-2.0
"""The interface of a store, in which a file appears whole or not at all."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING, NamedTuple, Protocol

from airflow_provider_synthflow.exceptions import SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

__all__ = [
    "ABSENT",
    "PIECE",
    "ChangedMeanwhileError",
    "ListedFile",
    "Staged",
    "StagedFile",
    "Store",
    "Upload",
    "Writable",
    "WrittenBytes",
]

PIECE = 1024 * 1024
"""How many bytes of a file are read at a time."""

ABSENT = ""
"""The version of a file that is not there; other versions are opaque texts, None is an unknown or any version."""


class ChangedMeanwhileError(SynthflowTransientError):
    """A write that was refused, since another task has changed the file meanwhile."""


class ListedFile(NamedTuple):
    """A file as a listing shows it."""

    path: str
    size: int
    version: str | None  # None: the store shows none


class Writable(Protocol):
    """A file to write to, as the formats need it."""

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""

    def flush(self) -> None:
        """Pass on what is buffered."""


class Upload(Writable, Protocol):
    """A file that appears, whole, when the context of :meth:`Store.upload` ends without an error."""

    size: int

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""


class Staged(Upload, Protocol):
    """A file that is not visible until it is published."""

    def read(self, length: int, offset: int) -> bytes:
        """Read what was written and flushed."""

    def publish(self, name: str, over: str | None = None) -> None:
        """Give the file its name, over a version of an earlier file; it may be published several times."""

    def compare(self, name: str) -> tuple[bool, str | None]:
        """Tell whether the file of a name has these bytes, and return its version."""


class WrittenBytes:
    """The size and the hash of a file, which grow as it is written."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""
        return self._sha256.hexdigest()

    def count(self, data: bytes) -> None:
        """Count bytes that were written."""
        self._sha256.update(data)
        self.size += len(data)


class StagedFile(WrittenBytes):
    """A private file that can be read while it is written."""

    def __init__(self, file: IO[bytes], typed: Callable[[], AbstractContextManager[None]]) -> None:
        super().__init__()
        self._file = file
        self._typed = typed

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""
        with self._typed():
            written = self._file.write(data)
        self.count(data)
        return written

    def flush(self) -> None:
        """Pass on what is buffered."""
        with self._typed():
            self._file.flush()

    def read(self, length: int, offset: int) -> bytes:
        """Read what was written and flushed."""
        with self._typed():
            return os.pread(self._file.fileno(), length, offset)


class Store(Protocol):
    """A store of files; ``relative`` and ``directory`` are paths below the output path."""

    def location(self, relative: str) -> str:
        """Return a file's full path or URL."""

    def check_writable(self) -> None:
        """Raise where a file could not be written, without leaving any."""

    def read(self, relative: str) -> bytes | None:
        """Return a small file's bytes, or None where there is no such file."""

    def read_version(self, relative: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes as :meth:`read` does, and their version."""

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """Tell whether the file of a name has these bytes."""

    def list_files(self, prefix: str = "") -> Iterator[ListedFile]:
        """Yield the files with a prefix, in the order of their paths, without hidden ones."""

    def open(self, relative: str) -> IO[bytes] | None:
        """Open a seekable file for reading, or return None where there is no such file."""

    def upload(self, relative: str) -> AbstractContextManager[Upload]:
        """Open a file of any length for writing, which appears, whole, when the context ends without an error."""

    def remove(self, relative: str, over: str | None = None) -> None:
        """Remove a file, if there is one."""

    def put_private(self, relative: str, data: bytes) -> None:
        """Write a small file that is for this package alone."""

    def remove_all(self, directory: str) -> None:
        """Remove a directory with all that is in it."""

    def locked(self, directory: str) -> AbstractContextManager[None]:
        """Lock a directory; the lock of a killed process does not last."""

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether a directory holds something for :meth:`sweep`, or is locked."""

    def sweep(self, directory: str) -> None:
        """Remove the unfinished files of killed processes from a directory, not from those below it."""

    def stage(self, directory: str) -> AbstractContextManager[Staged]:
        """Open a file that is not visible until :meth:`Staged.publish`; if unpublished, it is gone at the end."""

    def draft(self, directory: str) -> AbstractContextManager[Staged | None]:
        """Open a file as :meth:`stage` does if it cannot outlive a killed process; else None."""
