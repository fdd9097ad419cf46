# SPDX-License-Identifier: Apache-2.0
"""What an fsspec file system needs so that a file appears whole: any of them, and what object stores have in common."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_synthflow.storage.base import PIECE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["DIGEST_KEY", "LISTED_AT_ONCE", "PART", "FileUpload", "Files", "ObjectFiles", "PartUpload"]

_Answer = TypeVar("_Answer")

DIGEST_KEY = "sha256"
"""Under which name an object's metadata keep the SHA-256 of its bytes."""

LISTED_AT_ONCE = 1000
"""How many objects a page of a listing has at most."""

PART = 8 * 1024 * 1024
"""How large a part of an upload is, where the store has no rule of its own."""

_MOST_SECONDS_TO_END = 30.0
_SWEPT_AFTER = 24 * 3600.0


class Files:
    """
    Work with any file system: upload under a hidden name, and give the file its name by a move.

    :param fs: the fsspec file system
    """

    def __init__(self, fs: Any) -> None:
        self.fs = fs

    def probe(self, path: str) -> None:
        """
        Raise the file system's own error where a file could not be written, as far as it can be told before.

        :param path: the file
        """
        self.fs.invalidate_cache()
        self.fs.exists(path)

    def read(self, path: str) -> bytes | None:
        """
        Return a small file's bytes as they are now, or None where there is no such file.

        :param path: the file
        """
        try:
            data: bytes = self.fs.cat_file(path)
        except FileNotFoundError:
            return None
        return data

    def remove(self, path: str) -> None:
        """
        Remove a file, if there is one.

        :param path: the file
        """
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(path)
        self.fs.invalidate_cache()

    def remove_all(self, directory: str) -> None:
        """
        Remove a directory with all that is in it, if there is one.

        :param directory: the directory
        """
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            # By exact names: fsspec's own recursive removal takes a path for a pattern.
            for found in self.fs.ls(directory, detail=True):
                if found["type"] == "directory":
                    self.remove_all(found["name"])
                else:
                    self.fs.rm_file(found["name"])
            self.fs.rmdir(directory)
        self.fs.invalidate_cache()

    def list_page(self, prefix: str, token: Any = None) -> tuple[list[tuple[str, int]], Any]:
        """
        Return some of the files whose paths begin with a prefix, as pairs of path and size, in order.

        :param prefix: what the paths begin with
        :param token: what the page before came with; None: the first page
        :return: the files, and what brings the next page; None after the last
        """
        if token is None:
            self.fs.invalidate_cache()
            token = [(prefix.rpartition("/")[0], None)]
        pending, found = list(token), []
        while pending:
            path, size = pending.pop()
            if size is not None:
                found.append((path, size))
                continue
            pending += self._children(path, prefix)
            break
        return found, pending or None

    def _children(self, directory: str, prefix: str) -> list[tuple[str, int | None]]:
        """Return what is in a directory, the last first; directories without a size."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            entries = [
                (each["name"], None if each["type"] == "directory" else each["size"])
                for each in self.fs.ls(directory, detail=True)
                if each["name"].startswith(prefix) or prefix.startswith(f"{each['name']}/")
            ]
            return sorted(entries, key=lambda entry: entry[0] + "/" * (entry[1] is None), reverse=True)
        return []

    def open(self, path: str) -> Any | None:
        """
        Open a file for reading in pieces, or return None where there is no such file.

        :param path: the file
        """
        self.fs.invalidate_cache()
        try:
            return self.fs.open(path, "rb", cache_type="readahead") if self.fs.isfile(path) else None
        except FileNotFoundError:
            return None

    def begin_upload(self, path: str) -> PartUpload:
        """
        Begin an upload whose bytes are still to come.

        :param path: the file, which others see when the upload is finished
        """
        folder, _, _ = path.rpartition("/")
        hidden = f"{folder}/.{secrets.token_hex(8)}.tmp"
        self.fs.makedirs(folder, exist_ok=True)
        return FileUpload(self.fs, hidden, finish=lambda: self._rename(hidden, path), drop=lambda: self.remove(hidden))

    def put(self, local: str, path: str, sha256: str) -> None:  # noqa: ARG002 - for stores with metadata
        """
        Upload a local file, which others then see whole, in place of an earlier one.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256, as hexadecimal digits
        """
        folder, _, _ = path.rpartition("/")
        hidden = f"{folder}/.{secrets.token_hex(8)}.tmp"
        self.fs.makedirs(folder, exist_ok=True)
        try:
            self.upload(local, hidden)
            self._rename(hidden, path)
        finally:
            self.fs.invalidate_cache()
            with contextlib.suppress(Exception):  # it has its name, or the file system is not there
                self.fs.rm_file(hidden)

    def sha256(self, path: str, size: int) -> str | None:
        """
        Return a file's SHA-256 as hexadecimal digits, or None where there is no file of that size.

        :param path: the file
        :param size: the size in bytes that is of interest
        """
        self.fs.invalidate_cache()
        try:
            if self.fs.info(path)["size"] != size:
                return None
            digest = hashlib.sha256()
            with self.fs.open(path, "rb", cache_type="readahead") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def sweep(self, directory: str) -> None:
        """
        Remove what killed processes left unfinished in a directory.

        :param directory: the directory
        """
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError, NotImplementedError):
            for path in self.fs.ls(directory, detail=False):
                name = path.rpartition("/")[2]
                # Nothing tells whether its process still lives, but its age.
                if (
                    name.startswith(".")
                    and name.endswith(".tmp")
                    and time.time() - self.fs.modified(path).timestamp() > _SWEPT_AFTER
                ):
                    self.fs.rm_file(path)

    def upload(self, local: str, path: str, options: dict[str, Any] | None = None) -> None:
        """
        Upload a file, and cancel the upload where the waiting for it is interrupted.

        :param local: the local file
        :param path: where it goes
        :param options: what the file system's own ``put_file`` takes
        """
        options = options or {}
        if not getattr(self.fs, "async_impl", False):
            self.fs.put_file(local, path, **options)
            return
        self.wait_for(self.fs._put_file(local, path, **options))  # noqa: SLF001 - the coroutine of put_file

    def _rename(self, path: str, new: str) -> None:
        if type(self.fs).mv is not AbstractFileSystem.mv:
            self.fs.mv(path, new)
            return
        self.fs.cp_file(path, new)  # fsspec's own move takes a path for a pattern
        self.fs.rm_file(path)

    def wait_for(self, upload: Coroutine[Any, Any, _Answer]) -> _Answer:
        """
        Wait for an upload, and cancel it where the waiting is interrupted.

        :param upload: what the file system's own thread is to do
        """
        # fsspec's own waiting leaves an upload to its thread when a signal's exception ends it: a task that timed
        # out would go on to write.
        ended = threading.Event()

        async def run() -> _Answer:
            try:
                return await upload
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(run(), self.fs.loop)
        try:
            return future.result()
        finally:
            if not future.done():
                future.cancel()
                ended.wait(_MOST_SECONDS_TO_END)
            self.fs.invalidate_cache()


class PartUpload(Protocol):
    """An upload in parts, of which nothing is seen before its end."""

    repeatable: bool
    """Whether a part that failed may be sent again."""

    @property
    def part_size(self) -> int:
        """Return the size of the next part."""

    def send(self, part: bytes) -> None:
        """
        Send a part, which is not the last.

        :param part: its bytes, :attr:`part_size` of them
        """

    def finish(self, last: bytes, sha256: str) -> None:
        """
        Send the last part, and let the file be seen.

        :param last: its bytes, any number of them
        :param sha256: the SHA-256 of all
        """

    def abort(self) -> None:
        """Leave nothing behind."""


class FileUpload:
    """An upload through a file of fsspec's, as its libraries divide it."""

    part_size = PART
    repeatable = False

    def __init__(
        self,
        fs: Any,
        path: str,
        *,
        finish: Callable[[], None] = lambda: None,
        drop: Callable[[], None] = lambda: None,
    ) -> None:
        self._file = fs.open(path, "wb", block_size=self.part_size)
        self._finish = finish
        self._drop = drop

    def send(self, part: bytes) -> None:
        """Send a part, which is not the last."""
        self._file.write(part)

    def finish(self, last: bytes, sha256: str) -> None:  # noqa: ARG002 - what fsspec has no place for
        """Send the last part, and let the file be seen."""
        self._file.write(last)
        self._file.close()
        self._finish()

    def abort(self) -> None:
        """Leave nothing behind; a file that is closed without its end is not seen."""
        with contextlib.suppress(Exception):  # why it came to that matters more
            if hasattr(self._file, "discard"):
                self._file.discard()
        if isinstance(self._file, AbstractBufferedFile):
            self._file.closed = True
        else:
            self._file.close()
        with contextlib.suppress(Exception):
            self._drop()


class ObjectFiles(Files):
    """Work with an object store, where an object appears by the last request of its upload."""

    def probe(self, path: str) -> None:
        """
        Raise the store's own error where the bucket or container is not there.

        :param path: the file
        """
        bucket, _, _ = path.partition("/")
        self.fs.invalidate_cache()
        with contextlib.suppress(PermissionError):  # who may write objects need not be allowed to look at buckets
            self.fs.info(bucket)

    def sweep(self, directory: str) -> None:
        """
        Leave what is unfinished to the store, which does not show it and forgets it within a week.

        :param directory: the directory
        """

    def remove_all(self, directory: str) -> None:
        """
        Remove all objects below a directory, by their exact names.

        :param directory: the directory
        """
        token = None
        while True:
            page, token = self.list_page(f"{directory}/", token)
            for path, _ in page:
                self.remove(path)
            if token is None:
                return
