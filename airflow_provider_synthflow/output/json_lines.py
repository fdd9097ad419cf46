# SPDX-License-Identifier: Apache-2.0
"""JSON Lines: each call's own bytes on a line of its own, plain or through a compressor."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.storage.base import Writable

__all__ = ["Compressor", "JsonLines", "gzip_compressor", "zstd_compressor"]

_PIECE = 128 * 1024
_GZIP_LEVEL = 2  # docs/formats.md has the measurements; level 3 gives other bytes on other processors
_GZIP_WITH_HEADER = 31  # the largest window, and gzip's header: neither a name nor a time in it
_ZSTD_LEVEL = 2  # level 3 takes 1.4 to 2.4 times as long for files that are 2 % smaller (docs/formats.md)


class Compressor(Protocol):
    """A compressor of a stream."""

    def compress(self, data: bytes, /) -> bytes:
        """Add bytes, and return what is ready."""

    def flush(self) -> bytes:
        """Return all that is left."""


class JsonLines:
    """A writer of records as JSON Lines, each with its own bytes."""

    def __init__(self, file: Writable, compressor: Compressor | None = None) -> None:
        self._file = file
        self._compressor = compressor
        self._due: list[bytes] = []
        self._due_bytes = 0
        self._end = 0

    def lead(self, _: object) -> bool:
        """Hand on nothing: no record is put into columns."""
        return False

    def write(self, records: Sequence[bytes]) -> list[int] | None:
        """Write records, and return their offsets in the file, or None where it is compressed."""
        lengths = list(map(len, records))
        *places, self._end = accumulate([length + 1 for length in lengths], initial=self._end)
        due, size = self._due, self._due_bytes
        for record, length in zip(records, lengths, strict=True):
            due.append(_on_one_line(record) if b"\n" in record or b"\r" in record else record)
            size += length
            if size >= _PIECE:
                self._hand_on()
                size = 0
        self._due_bytes = size
        return None if self._compressor else places

    def flush(self) -> None:
        """Write what is still due, and leave the end open."""
        self._hand_on()

    def close(self) -> None:
        """Write what is still due, and the end."""
        self._hand_on()
        if self._compressor is not None:
            self._file.write(self._compressor.flush())

    def _hand_on(self) -> None:
        """Write whole lines in large pieces: each costs the compressor, the hash and the file some time."""
        if not self._due:
            return
        self._due.append(b"")
        data = b"\n".join(self._due)
        self._due.clear()
        self._due_bytes = 0
        if self._compressor is not None:
            data = self._compressor.compress(data)
        if data:
            self._file.write(data)


def _on_one_line(record: bytes) -> bytes:
    """Replace a line's end, which stands only between tokens, by a blank, which means the same and is as long."""
    return record.replace(b"\r", b" ").replace(b"\n", b" ")


def gzip_compressor(isal_zlib: Any) -> Compressor:
    """Return what makes one plain gzip member, the same for the same bytes, by the library given."""
    compressor: Compressor = isal_zlib.compressobj(_GZIP_LEVEL, wbits=_GZIP_WITH_HEADER)
    return compressor


def zstd_compressor(zstandard: Any) -> Compressor:
    """Return what makes one Zstandard frame with a checksum, by the library given."""
    compressor: Compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
    return compressor
