# SPDX-License-Identifier: Apache-2.0
"""Files of any fsspec file system, and what the object stores have in common."""

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

from airflow_provider_synthflow.storage.base import ABSENT, PIECE, ChangedMeanwhileError, ListedFile
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
    """The files of any file system: each is written under a hidden name, then moved."""

    def __init__(self, fs: Any) -> None:
        self._fs = fs

    @property
    def fs(self) -> Any:
        """Return the file system, opened anew in a forked process, which lacks its threads."""
        fs = self._fs
        if getattr(fs, "_pid", os.getpid()) != os.getpid():
            self._fs = fs = type(fs)(*fs.storage_args, **fs.storage_options)
        return fs

    def probe(self, path: str) -> None:
        """Raise the file system's own error where a file could not be written, as far as that can be told."""
        self._is_there(path)

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes and version, or None where there is none."""
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
        """Upload a local file over a version of it; it appears whole."""
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
        """Remove a directory by the exact names of its files, since fsspec takes a path for a pattern."""
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
        """Return the SHA-256 of a file, by reading it."""
        digest = hashlib.sha256()
        with self.fs.open(path, "rb", cache_type="readahead") as file:
            while piece := file.read(PIECE):
                digest.update(piece)
        return digest.hexdigest()

    def list_page(self, prefix: str, token: Any = None) -> tuple[list[ListedFile], Any]:
        """Return some of the files with a prefix, in order."""
        if token is None:
            self.fs.invalidate_cache()
            token = [prefix.rpartition("/")[0]]
        pending, found = list(token), []
        while pending:
            entry = pending.pop()
            if isinstance(entry, ListedFile):
                found.append(entry)
                continue
            pending += self._list_directory(entry, prefix)
            break
        return found, pending or None

    def open(self, path: str) -> Any | None:
        """Open a file for reading, or return None where there is no such file."""
        self.fs.invalidate_cache()
        try:  # isfile takes any error for a no, too
            is_file = self.fs.info(path)["type"] == "file"
            return self.fs.open(path, "rb", cache_type="readahead") if is_file else None
        except (FileNotFoundError, NotADirectoryError):
            return None

    def begin_upload(self, path: str) -> PartUpload:
        """Begin an upload in parts."""
        folder, _, _ = path.rpartition("/")
        hidden = f"{folder}/.{secrets.token_hex(8)}.tmp"
        self.fs.makedirs(folder, exist_ok=True)
        return FileUpload(self.fs, hidden, finish=lambda: self._rename(hidden, path), drop=lambda: self.remove(hidden))

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether killed processes left unfinished files in a directory."""
        return any(True for _ in self._find_leftovers(directory))

    def sweep(self, directory: str) -> None:
        """Remove the unfinished files of killed processes from a directory."""
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
        """Wait for a coroutine in the file system's thread, and cancel it where the waiting is interrupted."""
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
        """Raise where a file exists that should not; these file systems have no versions."""
        if over == ABSENT and self._is_there(path):
            raise ChangedMeanwhileError(_CHANGED.format(path))

    def _is_there(self, path: str) -> bool:
        """Tell whether a path exists; fsspec's own ``exists`` takes any error for a no."""
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            return bool(self.fs.info(path))
        return False

    def _list_directory(self, directory: str, prefix: str) -> list[ListedFile | str]:
        """Return the entries of a directory, the last first, directories by their paths."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            entries: list[ListedFile | str] = [
                each["name"] if each["type"] == "directory" else _read_entry(each)
                for each in self.fs.ls(directory, detail=True)
                if each["name"].startswith(prefix) or prefix.startswith(f"{each['name']}/")
            ]
            return sorted(
                entries, key=lambda each: each.path if isinstance(each, ListedFile) else f"{each}/", reverse=True
            )
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
    """Raise where a store refuses a write because the version has changed."""
    try:
        yield
    except Exception as error:
        if over is not None and is_refused_condition(error):
            raise ChangedMeanwhileError(_CHANGED.format(path)) from None
        raise


def _read_entry(entry: dict[str, Any]) -> ListedFile:
    """Read a file's entry of a listing; what tells its version has a name of its own in each file system."""
    told = [entry[name] for name in ("etag", "ETag", "generation", "mtime", "LastModified", "created") if name in entry]
    return ListedFile(entry["name"], entry["size"], " ".join(map(str, told)) or None)


class PartUpload(Protocol):
    """An upload in parts, which appear together at its end."""

    repeatable: bool
    """Whether a part that failed may be sent again."""

    @property
    def part_size(self) -> int:
        """Return the size of the next part."""

    def send(self, part: bytes) -> None:
        """Send a part that is not the last."""

    def finish(self, last: bytes, sha256: str) -> None:
        """Send the last part, and let the file appear."""

    def abort(self) -> None:
        """Leave nothing behind."""


class FileUpload:
    """An upload through an fsspec file, which makes the parts itself."""

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
        """Send a part that is not the last."""
        self._file.write(part)

    def finish(self, last: bytes, sha256: str) -> None:  # noqa: ARG002 - what fsspec has no place for
        """Send the last part, and let the file appear."""
        self._file.write(last)
        self._file.close()
        self._finish()

    def abort(self) -> None:
        """Discard the upload."""
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
    """The files of an object store, each of which appears by the last request of its upload."""

    def probe(self, path: str) -> None:
        """Raise the store's own error where the bucket or container does not exist."""
        bucket, _, _ = path.partition("/")
        self.fs.invalidate_cache()
        with unless_refused():  # who may write objects need not be allowed to look at buckets
            self.fs.info(bucket)

    def has_leftovers(self, directory: str) -> bool:  # noqa: ARG002 - which it does not show
        """Return False: the store hides unfinished uploads, and deletes them within a week."""
        return False

    def sweep(self, directory: str) -> None:
        """Do nothing: the store deletes unfinished uploads itself."""

    def remove_all(self, directory: str) -> None:
        """Remove all objects below a directory by their exact names."""
        token = None
        while True:
            page, token = self.list_page(f"{directory}/", token)
            for path, *_ in page:
                self.remove(path)
            if token is None:
                return
