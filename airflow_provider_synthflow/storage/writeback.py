# SPDX-License-Identifier: Apache-2.0
"""Put a large file on its disk while it is written, so that little is left to wait for in the end."""

from __future__ import annotations

import os
import threading

__all__ = ["Writeback"]

_AT_ONCE = 2 * 1024 * 1024
"""How much is written before the disk is to have it: what is left in the end takes as long as that, or less."""


class Writeback:
    """The thread that has a file put on its disk, again and again; there is none for a small file."""

    # Asking the system to begin writing is not enough: a disk with a cache of its own empties that only for `fsync`.

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._ended = False
        self._begun = 0
        self._error: OSError | None = None

    def follow(self, size: int) -> None:
        """Take in how large the file is by now."""
        if size - self._begun < _AT_ONCE:
            return
        self._begun = size
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="synthflow-writeback", daemon=True)
            self._thread.start()
        self._wake.set()

    def end(self) -> None:
        """Write no more, and wait for what is being written."""
        self._ended = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def finish(self) -> None:
        """Have all of the file on its disk, or raise what any of it failed with."""
        self.end()
        if self._error is not None:
            raise self._error  # the system tells it once
        os.fsync(self._descriptor)

    def _work(self) -> None:
        while self._wake.wait() and not self._ended:
            self._wake.clear()
            try:
                os.fsync(self._descriptor)
            except OSError as error:
                self._error = error
                return
