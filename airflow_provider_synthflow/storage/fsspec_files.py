# SPDX-License-Identifier: Apache-2.0
"""What any fsspec file system needs so that a file appears whole, and what object stores have in common."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from fsspec.spec import AbstractBufferedFile, AbstractFileSystem  # type: ignore[import-untyped]

from airflow_provider_synthflow.storage.base import ABSENT, PIECE, ChangedMeanwhileError
from airflow_provider_synthflow.storage.errors import is_refused_condition, unless_refused

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

__all__ = ["DIGEST_KEY", "LISTED_AT_ONCE", "PART", "FileUpload", "Files", "ObjectFiles", "PartUpload", "conditional"]

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
    """Any file system: a file is written under a hidden name, and gets its own by a move."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    @property
    def fs(self) -> Any:
        """Return the file system; a forked process, which has none of the threads that it needs, opens it anew."""
        fs = self._fs
        if getattr(fs, "_pid", os.getpid()) != os.getpid():
            self._fs = fs = type(fs)(*fs.storage_args, **fs.storage_options)
        return fs

    def probe(self, path: str) -> None:
        """Raise the file system's own error where a file could not be written, as far as it can be told before."""
        self._is_there(path)

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes as they are now, None where there is no such file, and its version."""
        try:
            return self.fs.cat_file(path), None
        except (FileNotFoundError, NotADirectoryError):
            return None, ABSENT

    def write(self, path: str, data: bytes, over: str | None = None) -> None:
        """Write a small file over a version of it."""
        self._check_absent(path, over)
        self.fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        self.fs.pipe_file(path, data)
        self.fs.invalidate_cache()

    def put(self, local: str, path: str, sha256: str, over: str | None = None) -> None:  # noqa: ARG002 - for metadata
        """Upload a local file over a version of it; others then see it whole."""
        folder, _, _ = path.rpartition("/")
        hidden = f"{folder}/.{secrets.token_hex(8)}.tmp"
        self.fs.makedirs(folder, exist_ok=True)
        try:
            self._upload(local, hidden)
            self._check_absent(path, over)
            self._rename(hidden, path)
        finally:
            self.fs.invalidate_cache()
            with contextlib.suppress(Exception):  # it has its name, or the file system is not there
                self.fs.rm_file(hidden)

    def remove(self, path: str, over: str | None = None) -> None:  # noqa: ARG002 - for stores with versions
        """Remove a version of a file, if there is one."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self.fs.rm_file(path)
        self.fs.invalidate_cache()

    def remove_all(self, directory: str) -> None:
        """Remove a directory with all that is in it, by exact names: fsspec itself takes a path for a pattern."""
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            for found in self.fs.ls(directory, detail=True):
                if found["type"] == "directory":
                    self.remove_all(found["name"])
                else:
                    self.fs.rm_file(found["name"])
            self.fs.rmdir(directory)
        self.fs.invalidate_cache()

    def compare(self, path: str, size: int, sha256: str) -> tuple[bool, str | None]:
        """Tell whether a file has these bytes, and return its version."""
        self.fs.invalidate_cache()
        try:
            if self.fs.info(path)["size"] != size:
                return False, None
            return self.hash_file(path) == sha256, None
        except (FileNotFoundError, NotADirectoryError):
            return False, ABSENT

    def hash_file(self, path: str) -> str:
        """Return the SHA-256 of a file's bytes, which are read for that."""
        digest = hashlib.sha256()
        with self.fs.open(path, "rb", cache_type="readahead") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
        return digest.hexdigest()

    def list_page(self, prefix: str, token: Any = None) -> tuple[list[tuple[str, int]], Any]:
        """Return some of the files whose paths begin with a prefix, as pairs of path and size, in order."""
        if token is None:
            self.fs.invalidate_cache()
            token = [(prefix.rpartition("/")[0], None)]
        pending, found = list(token), []
        while pending:
            path, size = pending.pop()
            if size is not None:
                found.append((path, size))
                continue
            pending += self._list_directory(path, prefix)
            break
        return found, pending or None

    def open(self, path: str) -> Any | None:
        """Open a file for reading in pieces, or return None where there is no such file."""
        self.fs.invalidate_cache()
        try:  # isfile takes any error for a no, too
            is_file = self.fs.info(path)["type"] == "file"
            return self.fs.open(path, "rb", cache_type="readahead") if is_file else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def begin_upload(self, path: str) -> PartUpload:
        """Begin an upload whose bytes are still to come."""
        folder, _, _ = path.rpartition("/")
        hidden = f"{folder}/.{secrets.token_hex(8)}.tmp"
        self.fs.makedirs(folder, exist_ok=True)
        return FileUpload(self.fs, hidden, finish=lambda: self._rename(hidden, path), drop=lambda: self.remove(hidden))

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether killed processes left something unfinished in a directory."""
        return any(True for _ in self._find_leftovers(directory))

    def sweep(self, directory: str) -> None:
        """Remove what killed processes left unfinished in a directory."""
        for path in self._find_leftovers(directory):
            self.fs.rm_file(path)

    def _find_leftovers(self, directory: str) -> Iterator[str]:
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
                    yield path

    def wait_for(self, action: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Wait for what the file system's own thread does, and cancel it where the waiting is interrupted."""
        # fsspec's own waiting leaves an upload to its thread when a signal's exception ends it: a task that timed
        # out would go on to write.
        ended = threading.Event()

        async def run() -> _Answer:
            try:
                return await action
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

    def _check_absent(self, path: str, over: str | None) -> None:
        """Raise where a file is there that should not be; these file systems know of no versions."""
        if over == ABSENT and self._is_there(path):
            raise ChangedMeanwhileError(_CHANGED.format(path))

    def _is_there(self, path: str) -> bool:
        """Tell whether a file or a directory is there; fsspec's own ``exists`` takes any error for a no."""
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return bool(self.fs.info(path))
        return False

    def _list_directory(self, directory: str, prefix: str) -> list[tuple[str, int | None]]:
        """Return what is in a directory, the last first; directories without a size."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            entries = [
                (each["name"], None if each["type"] == "directory" else each["size"])
                for each in self.fs.ls(directory, detail=True)
                if each["name"].startswith(prefix) or prefix.startswith(f"{each['name']}/")
            ]
            return sorted(entries, key=lambda entry: entry[0] + "/" * (entry[1] is None), reverse=True)
        return []

    def _upload(self, local: str, path: str) -> None:
        if getattr(self.fs, "async_impl", False):
            self.wait_for(self.fs._put_file(local, path))  # noqa: SLF001 - the coroutine of put_file
        else:
            self.fs.put_file(local, path)

    def _rename(self, path: str, new: str) -> None:
        if type(self.fs).mv is not AbstractFileSystem.mv:
            self.fs.mv(path, new)
            return
        self.fs.cp_file(path, new)  # fsspec's own move takes a path for a pattern
        self.fs.rm_file(path)


_CHANGED = "{} was changed by another task at the same time. Let one task at a time write a window."


@contextlib.contextmanager
def conditional(path: str, over: str | None) -> Iterator[None]:
    """Raise where a store refuses a write since another version is there."""
    try:
        yield
    except Exception as error:
        if over is not None and is_refused_condition(error):
            raise ChangedMeanwhileError(_CHANGED.format(path)) from None
        raise


class PartUpload(Protocol):
    """An upload in parts, of which nothing is seen before its end."""

    repeatable: bool
    """Whether a part that failed may be sent again."""

    @property
    def part_size(self) -> int:
        """Return the size of the next part."""

    def send(self, part: bytes) -> None:
        """Send a part, which is not the last."""

    def finish(self, last: bytes, sha256: str) -> None:
        """Send the last part, and let the file be seen."""

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
    """An object store, where an object appears by the last request of its upload."""

    def probe(self, path: str) -> None:
        """Raise the store's own error where the bucket or container is not there."""
        bucket, _, _ = path.partition("/")
        self.fs.invalidate_cache()
        with unless_refused():  # who may write objects need not be allowed to look at buckets
            self.fs.info(bucket)

    def has_leftovers(self, directory: str) -> bool:  # noqa: ARG002 - which it does not show
        """Leave what is unfinished to the store, which does not show it and forgets it within a week."""
        return False

    def sweep(self, directory: str) -> None:
        """Leave what is unfinished to the store."""

    def remove_all(self, directory: str) -> None:
        """Remove all objects below a directory, by their exact names."""
        token = None
        while True:
            page, token = self.list_page(f"{directory}/", token)
            for path, _ in page:
                self.remove(path)
            if token is None:
                return
