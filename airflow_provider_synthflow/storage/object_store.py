# SPDX-License-Identifier: Apache-2.0
"""A place for files in an object store, or in any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import IO, TYPE_CHECKING, Any, TypeVar

import tenacity

from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.storage.base import StagedFile
from airflow_provider_synthflow.storage.errors import typed, was_cut_off
from airflow_provider_synthflow.storage.fsspec_files import files_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_synthflow.storage.fsspec_files import Files

__all__ = ["ObjectStore"]

_Answer = TypeVar("_Answer")

_TRIES = 4
_PROBE = ".probe"
_PATIENCE = 20.0
_LONGEST_PAUSE = 4.0


class ObjectStore:
    """
    Keep files below a directory of an object store.

    Files are written into a private file without a name on the local disk (mode 0600), which the system frees with
    the process, and uploaded as a whole.

    :param fs: the fsspec file system
    :param root: the directory, in the way that the file system itself writes paths: ``bucket/directory``
    :param url: the directory as others name it: ``s3://bucket/directory``
    """

    def __init__(self, fs: Any, root: str, url: str) -> None:
        self._files = files_of(fs)
        self._root = root.rstrip("/")
        self._url = url.rstrip("/")

    def location(self, relative: str) -> str:
        """
        Return a file's URL.

        :param relative: its path below the output path
        """
        return f"{self._url}/{relative}"

    def check_writable(self) -> None:
        """
        Raise where a file could not be written; nothing that a reader could see is made for that.

        :raises SynthflowConfigError: where the bucket is not there, or the store refuses
        :raises SynthflowTransientError: where the store does not answer
        """
        _ask(self._url, lambda: self._files.probe(f"{self._root}/{_PROBE}"))

    def read(self, relative: str) -> bytes | None:
        """
        Return a small file's bytes as they are now, or None where there is no such file.

        :param relative: its path below the output path
        """
        return _ask(self._url, lambda: self._files.read(f"{self._root}/{relative}"))

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """
        Tell whether the file that has a name now has these bytes.

        :param relative: its path below the output path
        :param size: their number
        :param sha256: their SHA-256 as hexadecimal digits
        """
        return _ask(self._url, lambda: self._files.sha256(f"{self._root}/{relative}", size)) == sha256

    def take(self, relative: str) -> bytes | None:
        """
        Remove a small file, and return its bytes just before that, or None where there was no such file.

        :param relative: its path below the output path
        """
        data = self.read(relative)
        _ask(self._url, lambda: self._files.remove(f"{self._root}/{relative}"))
        return data

    def put_private(self, relative: str, data: bytes) -> None:
        """
        Write a small file that is for this package alone; who may read it is the store's own rule.

        :param relative: its path below the output path
        :param data: its bytes
        """
        directory, _, name = relative.rpartition("/")
        with self.stage(directory) as staged:
            staged.write(data)
            staged.publish(name)

    def remove_all(self, directory: str) -> None:
        """
        Remove a directory with all that is in it, if there is one.

        :param directory: the directory, below the output path
        """
        _ask(self._url, lambda: self._files.remove_all(f"{self._root}/{directory}"))

    def locked(self, directory: str) -> contextlib.AbstractContextManager[None]:  # noqa: ARG002 - the store's
        """
        Do nothing: these stores have no locks.

        :param directory: the directory, below the output path
        """
        return contextlib.nullcontext()

    def sweep(self, directory: str) -> None:
        """
        Remove what killed processes left unfinished in a directory; a store that refuses is left to its own rules.

        :param directory: the directory, below the output path
        """

        def sweep() -> None:
            with contextlib.suppress(PermissionError):
                self._files.sweep(f"{self._root}/{directory}")

        _ask(self._url, sweep)

    @contextlib.contextmanager
    def stage(self, directory: str) -> Iterator[_ObjectStaged]:
        """
        Open a file that nobody sees until :meth:`_ObjectStaged.publish`.

        :param directory: the directory that it is to be published in, below the output path
        """
        with tempfile.TemporaryFile(prefix="synthflow-") as file:
            yield _ObjectStaged(file, self._files, f"{self._root}/{directory}", self._url)

    def draft(self, directory: str) -> contextlib.AbstractContextManager[_ObjectStaged]:
        """
        Open a file as :meth:`stage` does, of which no trace outlives the process.

        :param directory: the directory that it is to be published in, below the output path
        """
        return self.stage(directory)


class _ObjectStaged(StagedFile):
    """Be a staged file on the local disk, until it is uploaded."""

    def __init__(self, file: IO[bytes], files: Files, folder: str, url: str) -> None:
        super().__init__(file)
        self._files = files
        self._folder = folder
        self._url = url

    def publish(self, name: str) -> None:
        """
        Upload the file, in place of an earlier one; readers see the old object or the new one, whole.

        :param name: the name in the directory
        :raises SynthflowConfigError: where the store refuses
        :raises SynthflowTransientError: where the store does not answer, or others cut the upload off again and again
        """
        self.flush()
        for _ in range(_TRIES):
            if _ask(self._url, lambda: self._put(f"{self._folder}/{name}")):
                return
        msg = (
            f"The upload to {self._url} was cut off {_TRIES} times by another task that writes the same window. "
            "Let one task at a time write a window."
        )
        raise SynthflowTransientError(msg, attempts=_TRIES)

    def is_at(self, name: str) -> bool:
        """
        Tell whether the object that has a name now has these very bytes.

        :param name: the name in the directory
        """
        return _ask(self._url, lambda: self._files.sha256(f"{self._folder}/{name}", self.size)) == self.sha256

    def _put(self, path: str) -> bool:
        """Upload the file, unless somebody cuts the upload off, and tell whether that is so."""
        try:
            # By its descriptor, since it has no name.
            self._file.seek(0)
            self._files.put(f"/dev/fd/{self._file.fileno()}", path, self.sha256)
        except FileNotFoundError as error:
            if was_cut_off(error):
                return False
            raise
        finally:
            self._file.seek(0, os.SEEK_END)
        return True


def _ask(url: str, action: Callable[[], _Answer]) -> _Answer:
    """Do something with a store, and again while it fails in a way that passes, though not for long."""
    for attempt in tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(SynthflowTransientError),
        stop=tenacity.stop_after_delay(_PATIENCE),
        wait=tenacity.wait_random_exponential(max=_LONGEST_PAUSE),
        reraise=True,
    ):
        with attempt, typed(url):
            return action()
    raise AssertionError  # the last attempt has raised
