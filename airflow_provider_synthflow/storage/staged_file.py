# SPDX-License-Identifier: Apache-2.0
"""A private file on a local disk, which stores publish in their own ways."""

from __future__ import annotations

import hashlib
import os
from typing import IO

from airflow_provider_synthflow.storage.disk_errors import typed_disk_errors

__all__ = ["StagedFile"]


class StagedFile:
    """A private file whose size and hash grow with what is written; errors say in which directory it is."""

    def __init__(self, file: IO[bytes], where: str) -> None:
        self._file = file
        self._where = where
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, as hexadecimal digits."""
        return self._sha256.hexdigest()

    def write(self, data: bytes, /) -> int:
        """Write bytes at the end."""
        with typed_disk_errors(self._where):
            written = self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)
        return written

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        with typed_disk_errors(self._where):
            self._file.flush()

    def read(self, length: int, place: int) -> bytes:
        """Read what was written and flushed."""
        with typed_disk_errors(self._where):
            return os.pread(self._file.fileno(), length, place)
