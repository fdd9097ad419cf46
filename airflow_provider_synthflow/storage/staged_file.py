# SPDX-License-Identifier: Apache-2.0
"""A private file on a local disk, the base of staged files."""

from __future__ import annotations

import hashlib
import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

__all__ = ["StagedFile"]


class StagedFile:
    """A private file whose size and hash grow as it is written."""

    def __init__(self, file: IO[bytes], typed: Callable[[], AbstractContextManager[None]]) -> None:
        self._file = file
        self._typed = typed
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""
        return self._sha256.hexdigest()

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""
        with self._typed():
            written = self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)
        return written

    def flush(self) -> None:
        """Pass on what is buffered."""
        with self._typed():
            self._file.flush()

    def read(self, length: int, offset: int) -> bytes:
        """Read what was written and flushed."""
        with self._typed():
            return os.pread(self._file.fileno(), length, offset)
