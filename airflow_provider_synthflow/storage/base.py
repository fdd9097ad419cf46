# SPDX-License-Identifier: Apache-2.0
"""What publishing asks of a place for files: a file appears there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

__all__ = ["PIECE", "Staged", "StagedFile", "Store", "Upload", "Writable"]

PIECE = 1024 * 1024
"""How many bytes of a file are read at a time."""


class Writable(Protocol):
    """Take bytes: all that a format asks of the file below."""

    def write(self, data: bytes, /) -> int:
        """
        Write bytes at the end.

        :param data: the bytes
        """

    def flush(self) -> None:
        """Hand on what is buffered."""


class Staged(Protocol):
    """Be a file that nobody sees until it is published."""

    size: int

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, as hexadecimal digits."""

    def write(self, data: bytes, /) -> int:
        """
        Write bytes at the end.

        :param data: the bytes
        """

    def flush(self) -> None:
        """Hand on what is buffered."""

    def read(self, length: int, place: int) -> bytes:
        """
        Read what was written and flushed.

        :param length: how many bytes
        :param place: from which on
        """

    def publish(self, name: str) -> None:
        """
        Give the file its name, in place of an earlier one, as often as asked; readers see one of the two, whole.

        :param name: the name in the directory
        """

    def is_at(self, name: str) -> bool:
        """
        Tell whether the file that has a name now has these very bytes.

        :param name: the name in the directory
        """


class Upload(Writable, Protocol):
    """A file that is seen, whole, when the context of :meth:`Store.upload` ends without an error."""

    size: int

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, as hexadecimal digits."""


class Store(Protocol):
    """A place for files."""

    def location(self, relative: str) -> str:
        """
        Return a file's full name, by which others find it.

        :param relative: its path below the output path
        """

    def check_writable(self) -> None:
        """
        Raise where a file could not be written; nothing that a reader could see is made for that.

        :raises SynthflowConfigError: where a person has to mend something
        """

    def read(self, relative: str) -> bytes | None:
        """
        Return a small file's bytes as they are now, or None where there is no such file.

        :param relative: its path below the output path
        """

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """
        Tell whether the file that has a name now has these bytes.

        :param relative: its path below the output path
        :param size: their number
        :param sha256: their SHA-256 as hexadecimal digits
        """

    def list_files(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """
        Yield the files whose relative paths begin with a prefix, as pairs of path and size, in the order of the paths.

        They are listed as they are asked for, in small memory however many there are. Left out are files whose own
        names begin with a dot, as those do that are not yet published.

        :param prefix: what the paths below the output path begin with, such as ``model_id=``; default: all files
        """

    def open(self, relative: str) -> IO[bytes] | None:
        """
        Open a file for reading in pieces, from any place in it, or return None where there is no such file.

        :param relative: its path below the output path
        """

    def upload(self, relative: str) -> AbstractContextManager[Upload]:
        """
        Open a file to write into, which is seen, whole, when the context ends without an error.

        It replaces an earlier one. After an error nothing of it is left; what a killed process leaves, :meth:`sweep` of
        its directory removes. Files of any length can be written: an object store gets the bytes as they come.

        :param relative: its path below the output path
        """

    def take(self, relative: str) -> bytes | None:
        """
        Remove a small file, and return the bytes of what was removed, or None where there was no such file.

        :param relative: its path below the output path
        """

    def put_private(self, relative: str, data: bytes) -> None:
        """
        Write a small file that is for this package alone; it appears whole or not at all.

        :param relative: its path below the output path
        :param data: its bytes
        """

    def remove_all(self, directory: str) -> None:
        """
        Remove a directory with all that is in it, if there is one.

        :param directory: the directory, below the output path
        """

    def locked(self, directory: str) -> AbstractContextManager[None]:
        """
        Keep others who ask for the same out of a directory meanwhile, where the store has locks.

        :param directory: the directory, below the output path
        """

    def sweep(self, directory: str) -> None:
        """
        Remove what killed processes left unfinished in a directory.

        :param directory: the directory, below the output path
        """

    def stage(self, directory: str) -> AbstractContextManager[Staged]:
        """
        Open a file that nobody sees until :meth:`Staged.publish`; unpublished, it is gone at the end.

        :param directory: the directory that it is to be published in, below the output path
        """

    def draft(self, directory: str) -> AbstractContextManager[Staged | None]:
        """
        Open a file as :meth:`stage` does if no trace of it can outlive the process, however that ends; else None.

        So that it can be written while it is not yet known whether there will be anything to publish.

        :param directory: the directory that it is to be published in, below the output path
        """


class StagedFile:
    """
    Write into a private file; its size and hash grow with what is written.

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

    def write(self, data: bytes, /) -> int:
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

    def read(self, length: int, place: int) -> bytes:
        """
        Read what was written and flushed.

        :param length: how many bytes
        :param place: from which on
        """
        return os.pread(self._file.fileno(), length, place)
