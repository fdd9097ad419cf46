# SPDX-License-Identifier: Apache-2.0
"""A directory on a local disk: created when needed, locked while written to, removed if it stays empty."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_synthflow.storage.claim import CLAIM_NAME, claimed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Directory", "list_directory", "sync"]


def sync(folder: Path) -> None:
    """Flush a directory's entries to its disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Directory:
    """A directory that is created when needed, and removed if it stays empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []  # the deepest first

    def nearest(self) -> Path:
        """Return the directory, or the nearest one above it that exists."""
        nearest = self.path
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        return nearest

    def make(self) -> None:
        """Create it, with those above it."""
        missing = self.path
        while not missing.exists() and missing != missing.parent:
            self._made.append(missing)
            missing = missing.parent
        self.path.mkdir(parents=True, exist_ok=True)

    def unmake(self) -> None:
        """Remove the directories that were created and are empty."""
        for path in self._made:
            with contextlib.suppress(OSError):  # something else was put there meanwhile
                path.rmdir()
        self._made.clear()

    def lock(self) -> contextlib.ExitStack:
        """Create it, wait for its lock, and return what releases that."""
        # The lock leaves no trace, and goes with the process. Where the file system has no locks, a claim stands for
        # it.
        while True:
            with contextlib.ExitStack() as lock:
                lock.callback(self.unmake)
                self.make()
                descriptor = os.open(self.path, os.O_RDONLY)
                lock.callback(os.close, descriptor)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                except OSError:
                    lock.enter_context(claimed(_DiskClaim(self.path / CLAIM_NAME), str(self.path)))
                with contextlib.suppress(FileNotFoundError):
                    # Whoever had the lock before may have unmade the directory.
                    if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                        return lock.pop_all()


class _DiskClaim:
    """The file of a claim, on a disk without locks."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def create(self, data: bytes) -> bool:
        self._path.parent.mkdir(parents=True, exist_ok=True)  # whoever had the claim may have unmade it
        try:
            with os.fdopen(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666), "wb") as file:
                file.write(data)
        except FileExistsError:
            return False
        return True

    def take_over(self, old: bytes, new: bytes) -> bool:
        return self._move_away(old) and self.create(new)

    def refresh(self, old: bytes, new: bytes) -> None:
        with self._path.open("r+b") as file:
            if file.read() == old:
                file.seek(0)
                file.write(new)
                file.truncate()

    def remove(self, old: bytes) -> None:
        self._move_away(old)

    def _move_away(self, old: bytes) -> bool:
        """Move the file away if it has these bytes; of several tasks, one succeeds."""
        aside = self._path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            self._path.replace(aside)
        except FileNotFoundError:
            return False
        if aside.read_bytes() == old:
            aside.unlink()
            return True
        with contextlib.suppress(OSError):
            self._path.hardlink_to(aside)
        aside.unlink(missing_ok=True)
        return False


def list_directory(
    directory: Path, relative: str, prefix: str, above: tuple[tuple[int, int], ...] = ()
) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the files below a directory in the order of their paths, as an object store does."""
    try:
        status = directory.stat()
        with os.scandir(directory) as entries:
            found = sorted((f"{relative}{entry.name}{'/' * entry.is_dir()}", entry) for entry in entries)
    except (FileNotFoundError, NotADirectoryError):
        return  # it was removed meanwhile, or never there
    if (status.st_dev, status.st_ino) in above:
        return  # a link that leads back
    for path, entry in found:
        if path.endswith("/"):
            if path.startswith(prefix[: len(path)]):
                yield from list_directory(Path(entry.path), path, prefix, (*above, (status.st_dev, status.st_ino)))
        elif path.startswith(prefix) and not entry.name.startswith("."):
            with contextlib.suppress(FileNotFoundError):
                yield path, entry.stat()
