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
"""The version of a file that is not there. Others are opaque texts; None stands for a version that is not known."""


class ChangedMeanwhileError(SynthflowTransientError):
    """A write that was left out, since another task changed the file after this one had looked at it."""


class Writable(Protocol):
    """What takes bytes: all that a format asks of the file below."""

    def write(self, data: bytes, /) -> int:
        """
        Write bytes at the end.

        :param data: the bytes
        """

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
        """
        Read what was written and flushed.

        :param length: how many bytes
        :param place: from which on
        """

    def publish(self, name: str, over: str | None = None) -> None:
        """
        Give the file its name, in place of an earlier one, as often as asked; readers see one of the two, whole.

        :param name: the name in the directory
        :param over: the version that it replaces, :data:`ABSENT` for none; default: any
        :raises ChangedMeanwhileError: where another version is there, as far as the store can tell
        """

    def compare(self, name: str) -> tuple[bool, str | None]:
        """
        Tell whether the file that has a name now has these very bytes, and return its version.

        :param name: the name in the directory
        """


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

    def read_version(self, relative: str) -> tuple[bytes | None, str | None]:
        """
        Return a small file's bytes as :meth:`read` does, and the version that has them.

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

    def remove(self, relative: str, over: str | None = None) -> None:
        """
        Remove a file, if there is one.

        :param relative: its path below the output path
        :param over: the version that is removed; default: any
        :raises ChangedMeanwhileError: where another version is there, as far as the store can tell
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
        Keep others who ask for the same out of a directory meanwhile: by a lock, or by a claim in a hidden file.

        A process that is killed keeps nobody out for long.

        :param directory: the directory, below the output path
        """

    def has_leftovers(self, directory: str) -> bool:
        """
        Tell whether something is in a directory that :meth:`sweep` under the lock removes, or that somebody works on.

        :param directory: the directory, below the output path
        """

    def sweep(self, directory: str) -> None:
        """
        Remove what killed processes left unfinished in a directory, not in those below it.

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
