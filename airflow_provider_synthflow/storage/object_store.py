# SPDX-License-Identifier: Apache-2.0
"""A store in an object store, or in any file system that fsspec knows."""

from __future__ import annotations

import contextlib
import io
import os
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar

import tenacity

from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.storage.azure import AzureFiles
from airflow_provider_synthflow.storage.base import (
    ABSENT,
    PIECE,
    ChangedMeanwhileError,
    ListedFile,
    StagedFile,
    WrittenBytes,
)
from airflow_provider_synthflow.storage.claim import CLAIM_NAME, claimed
from airflow_provider_synthflow.storage.disk_errors import open_temporary_file, typed_temporary_errors
from airflow_provider_synthflow.storage.errors import typed, unless_refused, was_cut_off
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
    """A store below a directory of an object store."""

    # Files are written into a private file without a name on the local disk (mode 0600), which the system frees with
    # the process, and uploaded as a whole.

    def __init__(self, fs: Any, root: str, url: str, *, name: str = "output_path") -> None:
        names = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
        self._files = next((_KINDS[each] for each in names if each in _KINDS), Files)(fs)
        self._root = root.rstrip("/")
        self._url = url.rstrip("/")
        self._ask = _Patience(self._url, name)

    def location(self, relative: str) -> str:
        """Return a file's URL."""
        return f"{self._url}/{relative}"

    def check_writable(self) -> None:
        """Raise where a file could not be written, without leaving any."""
        self._ask(lambda: self._files.probe(self._path(_PROBE)))

    def read(self, relative: str) -> bytes | None:
        """Return a small file's bytes, or None where there is no such file."""
        return self.read_version(relative)[0]

    def read_version(self, relative: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes, and their version."""
        return self._ask(lambda: self._files.read(self._path(relative)))

    def holds(self, relative: str, size: int, sha256: str) -> bool:
        """Tell whether the file of a name has these bytes."""
        return self._ask(lambda: self._files.compare(self._path(relative), size, sha256))[0]

    def list_files(self, prefix: str = "") -> Iterator[ListedFile]:
        """Yield the files with a prefix, as pairs of path and size, in order."""
        token, above = None, f"{self._root}/"
        while True:
            page, token = self._ask(partial(self._files.list_page, f"{above}{prefix}", token))
            for path, size, version in page:
                if not path.endswith("/") and not path.rpartition("/")[2].startswith("."):
                    yield ListedFile(path.removeprefix(above), size, version)
            if token is None:
                return

    def open(self, relative: str) -> IO[bytes] | None:
        """Open a file for reading, or return None where there is no such file."""
        file = self._ask(lambda: self._files.open(self._path(relative)))
        return None if file is None else io.BufferedReader(_Reader(file, self._ask), PIECE)

    @contextlib.contextmanager
    def upload(self, relative: str) -> Iterator[_Upload]:
        """Open a file for writing, which appears, whole, when the context ends without an error."""
        # Its bytes are sent as they come: the worker's disk has none of them.
        parts = self._ask(lambda: self._files.begin_upload(self._path(relative)))
        upload = _Upload(parts, self._ask)
        try:
            yield upload
            upload.finish()
        except BaseException:
            parts.abort()
            raise

    def remove(self, relative: str, over: str | None = None) -> None:
        """Remove a file, if there is one."""
        self._ask(lambda: self._files.remove(self._path(relative), over))

    def put_private(self, relative: str, data: bytes) -> None:
        """Write a small file for this package alone; the store's own rules say who may read it."""
        directory, _, name = relative.rpartition("/")
        with self.stage(directory) as staged:
            staged.write(data)
            staged.publish(name)

    def remove_all(self, directory: str) -> None:
        """Remove a directory with all that is in it."""
        self._ask(lambda: self._files.remove_all(self._path(directory)))

    def locked(self, directory: str) -> contextlib.AbstractContextManager[None]:
        """Lock a directory by a claim, since these stores have no locks."""
        claim = _ObjectClaim(self._files, self._path(f"{directory}/{CLAIM_NAME}"), self._ask)
        return claimed(claim, self.location(directory))

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether killed processes left unfinished files in a directory."""

        def find() -> bool:
            with unless_refused():
                if self._files.has_leftovers(self._path(directory)):
                    return True
            return False

        return self.read(f"{directory}/{CLAIM_NAME}") is not None or self._ask(find)

    def sweep(self, directory: str) -> None:
        """Remove the unfinished files of killed processes from a directory."""

        def sweep() -> None:
            with unless_refused():
                self._files.sweep(self._path(directory))

        self._ask(sweep)

    @contextlib.contextmanager
    def stage(self, directory: str) -> Iterator[_ObjectStaged]:
        """Open a file that is not visible until :meth:`_ObjectStaged.publish`."""
        with open_temporary_file() as file:
            yield _ObjectStaged(file, self._files, self._path(directory), self._ask)

    def draft(self, directory: str) -> contextlib.AbstractContextManager[_ObjectStaged]:
        """Open a file as :meth:`stage` does, since none can outlive a killed process."""
        return self.stage(directory)

    def _path(self, relative: str) -> str:
        return f"{self._root}/{relative}"


class _Patience:
    """The retries of a store's requests that fail in a transient way."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self._name = name

    def __call__(self, action: Callable[[], _Answer], *, again: bool = True) -> _Answer:
        """Return what an action returns, tried several times where it is repeatable."""
        for attempt in tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            stop=tenacity.stop_after_delay(_PATIENCE if again else 0.0),
            wait=tenacity.wait_random_exponential(max=_LONGEST_PAUSE),
            reraise=True,
        ):
            with attempt, typed(self.url, self._name):
                return action()
        raise AssertionError  # the last attempt has raised


def _may_pass(error: BaseException) -> bool:
    return isinstance(error, SynthflowTransientError) and not isinstance(error, ChangedMeanwhileError)


class _ObjectClaim:
    """The file of a claim, in a store."""

    def __init__(self, files: Files, path: str, ask: _Patience) -> None:
        self._files = files
        self._path = path
        self._ask = ask

    def read(self) -> bytes | None:
        return self._ask(lambda: self._files.read(self._path))[0]

    def create(self, data: bytes) -> bool:
        return self._write(data, ABSENT)

    def take_over(self, old: bytes, new: bytes) -> bool:
        there, version = self._ask(lambda: self._files.read(self._path))
        return there == old and self._write(new, version)

    def refresh(self, old: bytes, new: bytes) -> None:
        self.take_over(old, new)

    def remove(self, old: bytes) -> None:
        there, version = self._ask(lambda: self._files.read(self._path))
        if there == old:
            with contextlib.suppress(ChangedMeanwhileError):
                self._ask(lambda: self._files.remove(self._path, version))

    def _write(self, data: bytes, over: str | None) -> bool:
        try:
            self._ask(lambda: self._files.write(self._path, data, over))
        except ChangedMeanwhileError:
            return False
        return True


class _ObjectStaged(StagedFile):
    """A staged file on the local disk, until it is uploaded."""

    def __init__(self, file: IO[bytes], files: Files, directory: str, ask: _Patience) -> None:
        super().__init__(file, typed_temporary_errors)
        self._files = files
        self._directory = directory
        self._ask = ask

    def publish(self, name: str, over: str | None = None) -> None:
        self.flush()
        for _ in range(_TRIES):
            if self._ask(lambda: self._put(f"{self._directory}/{name}", over)):
                return
        msg = (
            f"The upload to {self._ask.url} was cut off {_TRIES} times by another task that writes the same window. "
            "Let one task at a time write a window."
        )
        raise SynthflowTransientError(msg, attempts=_TRIES)

    def compare(self, name: str) -> tuple[bool, str | None]:
        return self._ask(lambda: self._files.compare(f"{self._directory}/{name}", self.size, self.sha256))

    def _put(self, path: str, over: str | None) -> bool:
        """Upload the file, and tell whether another task cut the upload off."""
        try:
            # By its descriptor, since it has no name.
            self._file.seek(0)
            self._files.put(f"/dev/fd/{self._file.fileno()}", path, self.sha256, over)
        except FileNotFoundError as error:
            if was_cut_off(error):
                return False
            raise
        finally:
            self._file.seek(0, os.SEEK_END)
        return True


class _Upload(WrittenBytes):
    """A file that is uploaded in parts as it is written."""

    def __init__(self, parts: PartUpload, ask: _Patience) -> None:
        super().__init__()
        self._parts = parts
        self._ask = ask
        self._buffer = bytearray()

    def write(self, data: bytes, /) -> int:
        self.count(data)
        self._buffer += data
        while len(self._buffer) > self._parts.part_size:  # so that there is always a last part
            part = bytes(self._buffer[: self._parts.part_size])
            self._ask(partial(self._parts.send, part), again=self._parts.repeatable)
            del self._buffer[: len(part)]
        return len(data)

    def flush(self) -> None:
        """Do nothing: a part is sent when it is full."""

    def finish(self) -> None:
        last = bytes(self._buffer)
        self._ask(lambda: self._parts.finish(last, self.sha256), again=self._parts.repeatable)


class _Reader(io.RawIOBase):
    """A file of a store, whose failing requests are tried again."""

    def __init__(self, file: Any, ask: _Patience) -> None:
        self._file = file
        self._ask = ask

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        begin = self._file.tell()

        def read() -> bytes:
            self._file.seek(begin)
            data: bytes = self._file.read(len(buffer))
            return data

        data = self._ask(read)
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        position: int = self._file.seek(offset, whence)
        return position

    def tell(self) -> int:
        position: int = self._file.tell()
        return position

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
