# SPDX-License-Identifier: Apache-2.0
"""A place for files in an object store, or in any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

import tenacity

from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.storage.azure import AzureFiles
from airflow_provider_synthflow.storage.base import PIECE, StagedFile
from airflow_provider_synthflow.storage.errors import typed, was_cut_off
from airflow_provider_synthflow.storage.fsspec_files import Files
from airflow_provider_synthflow.storage.google import GoogleFiles
from airflow_provider_synthflow.storage.s3 import S3Files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_synthflow.storage.fsspec_files import PartUpload

__all__ = ["ObjectStore"]

_Answer = TypeVar("_Answer")

_TRIES = 4
_PROBE = ".probe"
_PATIENCE = 20.0
_LONGEST_PAUSE = 4.0


_KINDS: dict[str, type[Files]] = {
    **dict.fromkeys(("s3", "s3a"), S3Files),
    **dict.fromkeys(("gs", "gcs"), GoogleFiles),
    **dict.fromkeys(("abfs", "abfss", "az"), AzureFiles),
}


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
        names = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
        self._files = next((_KINDS[name] for name in names if name in _KINDS), Files)(fs)
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

    def list_files(self, prefix: str = "") -> Iterator[tuple[str, int]]:
        """
        Yield the files whose relative paths begin with a prefix, as pairs of path and size, in the order of the paths.

        :param prefix: what the paths below the output path begin with
        """
        token, above = None, f"{self._root}/"
        while True:
            page, token = _ask(self._url, partial(self._files.list_page, f"{above}{prefix}", token))
            for path, size in page:
                if not path.endswith("/") and not path.rpartition("/")[2].startswith("."):
                    yield path.removeprefix(above), size
            if token is None:
                return

    def open(self, relative: str) -> IO[bytes] | None:
        """
        Open a file for reading in pieces, or return None where there is no such file.

        :param relative: its path below the output path
        """
        file = _ask(self._url, lambda: self._files.open(f"{self._root}/{relative}"))
        return None if file is None else io.BufferedReader(_Reader(file, self._url), PIECE)

    @contextlib.contextmanager
    def upload(self, relative: str) -> Iterator[_Upload]:
        """
        Open a file to write into, which is seen, whole, when the context ends without an error.

        Its bytes are sent as they come: the worker's disk has none of them.

        :param relative: its path below the output path
        """
        parts = _ask(self._url, lambda: self._files.begin_upload(f"{self._root}/{relative}"))
        upload = _Upload(parts, self._url)
        try:
            yield upload
            upload.finish()
        except BaseException:
            parts.abort()
            raise

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


class _Upload:
    """A file that is sent in parts as its bytes come."""

    def __init__(self, parts: PartUpload, url: str) -> None:
        self._parts = parts
        self._url = url
        self._buffer = bytearray()
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, as hexadecimal digits."""
        return self._sha256.hexdigest()

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""
        self._sha256.update(data)
        self.size += len(data)
        self._buffer += data
        while len(self._buffer) > self._parts.part_size:  # so that there is always a last part
            part = bytes(self._buffer[: self._parts.part_size])
            self._ask(partial(self._parts.send, part))
            del self._buffer[: len(part)]
        return len(data)

    def flush(self) -> None:
        """Leave what is buffered to its part."""

    def finish(self) -> None:
        """Send what is left, and let the file be seen."""
        self._ask(lambda: self._parts.finish(bytes(self._buffer), self.sha256))

    def _ask(self, action: Callable[[], None]) -> None:
        if self._parts.repeatable:
            _ask(self._url, action)
            return
        with typed(self._url):
            action()


class _Reader(io.RawIOBase):
    """A file of a store, whose failing requests are made again."""

    def __init__(self, file: Any, url: str) -> None:
        self._file = file
        self._url = url

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that it can be read from anywhere."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read bytes into a buffer."""
        begin = self._file.tell()

        def read() -> bytes:
            self._file.seek(begin)
            data: bytes = self._file.read(len(buffer))
            return data

        data = _ask(self._url, read)
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Go to a place in the file."""
        place: int = self._file.seek(offset, whence)
        return place

    def tell(self) -> int:
        """Return the place in the file."""
        place: int = self._file.tell()
        return place

    def close(self) -> None:
        """Close the file below, too."""
        if not self.closed:
            self._file.close()
        super().close()


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
