# SPDX-License-Identifier: Apache-2.0
"""What publishing asks of a place for files: a file appears there whole or not at all."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Protocol

from airflow_provider_synthflow.exceptions import SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["ABSENT", "PIECE", "ChangedMeanwhileError", "Staged", "Store", "Upload", "Writable"]

PIECE = 1024 * 1024
"""How many bytes of a file are read at a time."""

ABSENT = ""
"""The version of a file that is not there; other versions are opaque texts, None is an unknown or any version."""


class ChangedMeanwhileError(SynthflowTransientError):
    """A write that was left out, since another task changed the file after this one had looked at it."""


class Writable(Protocol):
    """What takes bytes: all that a format asks of the file below."""

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""

    def flush(self) -> None:
        """Hand on what is buffered."""


class Upload(Writable, Protocol):
    """A file that is seen, whole, when the context of :meth:`Store.upload` ends without an error."""

    size: int

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, as hexadecimal digits."""


class Staged(Upload, Protocol):
    """A file that nobody sees until it is published."""

    def read(self, length: int, place: int) -> bytes:
        """Read what was written and flushed."""

    def publish(self, name: str, over: str | None = None) -> None:
        """Give the file its name over a version of an earlier one, any number of times; readers see a whole file."""

    def compare(self, name: str) -> tuple[bool, str | None]:
        """Tell whether the file that has a name now has these very bytes, and return its version."""


class Store(Protocol):
    """A place for files; ``relative`` and ``directory`` are paths below the output path."""

    def location(self, relative: str) -> str:
        """Return a file's full name, by which others find it."""

    def check_writable(self) -> None:
        """Raise where a file could not be written, without making anything that a reader could see."""

    def read(self, relative: str) -> bytes | None:
        """Return a small file's bytes as they are now, or None where there is no such file."""

    def read_version(self, relative: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes as :meth:`read` does, and the version that has them."""

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """Tell whether the file that has a name now has these bytes."""

    def list_files(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """Yield path and size of the files whose paths begin with a prefix, in order; hidden files are left out."""

    def open(self, relative: str) -> IO[bytes] | None:
        """Open a file for reading in pieces, from any place in it, or return None where there is no such file."""

    def upload(self, relative: str) -> AbstractContextManager[Upload]:
        """Open a file of any length to write into; it is seen, whole, when the context ends without an error."""

    def remove(self, relative: str, over: str | None = None) -> None:
        """Remove a file, if there is one."""

    def put_private(self, relative: str, data: bytes) -> None:
        """Write a small file that is for this package alone; it appears whole or not at all."""

    def remove_all(self, directory: str) -> None:
        """Remove a directory with all that is in it, if there is one."""

    def locked(self, directory: str) -> AbstractContextManager[None]:
        """Keep others who ask for the same out of a directory; a killed process keeps nobody out for long."""

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether a directory holds something for :meth:`sweep`, or somebody works there."""

    def sweep(self, directory: str) -> None:
        """Remove what killed processes left unfinished in a directory, not in those below it."""

    def stage(self, directory: str) -> AbstractContextManager[Staged]:
        """Open a file that nobody sees until :meth:`Staged.publish`; unpublished, it is gone at the end."""

    def draft(self, directory: str) -> AbstractContextManager[Staged | None]:
        """Open a file as :meth:`stage` does if no trace of it can outlive the process, however that ends; else None."""
