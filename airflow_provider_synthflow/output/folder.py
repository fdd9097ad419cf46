# SPDX-License-Identifier: Apache-2.0
"""A directory of a local disk: made when it is needed, locked while it is written, unmade where nothing came of it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Folder", "sync"]


def sync(folder: Path) -> None:
    """
    Have a directory's names written down.

    :param folder: the directory
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Folder:
    """
    Be a directory that is made when it is needed, and unmade where nothing came of that.

    :param path: where it is, or will be
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made: list[Path] = []  # the deepest first

    def nearest(self) -> Path:
        """Return the directory itself, or the nearest one above it that is there."""
        nearest = self.path
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
        return nearest

    def make(self) -> None:
        """Make it, with those above it."""
        missing = self.path
        while not missing.exists() and missing != missing.parent:
            self._made.append(missing)
            missing = missing.parent
        self.path.mkdir(parents=True, exist_ok=True)

    def unmake(self) -> None:
        """Remove what was made, as far as it is empty."""
        for path in self._made:
            with contextlib.suppress(OSError):  # something else was put there meanwhile
                path.rmdir()
        self._made.clear()

    def lock(self) -> contextlib.ExitStack:
        """
        Make it, wait until nobody else has its lock, and return what gives the lock back.

        The lock leaves no trace, and goes with the process. Some network file systems have none: there nobody waits.

        :raises OSError: where it cannot be made
        """
        while True:
            with contextlib.ExitStack() as lock:
                lock.callback(self.unmake)
                self.make()
                descriptor = os.open(self.path, os.O_RDONLY)
                lock.callback(os.close, descriptor)
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                with contextlib.suppress(FileNotFoundError):
                    # Whoever had the lock before may have unmade the directory.
                    if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                        return lock.pop_all()
