# SPDX-License-Identifier: Apache-2.0
"""Follow a spill as a file does that is written while the calls come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Following"]


class Following:
    """
    Hold what a spill hands on.

    :param lends: whether the records can be read back, so that the spill need not keep them
    """

    def __init__(self, *, lends: bool) -> None:
        self.records: list[bytes] = []
        self._lends = lends
        self._bytes = b""

    @property
    def place(self) -> int | None:
        """Return at which byte the next record will begin."""
        return len(self._bytes) if self._lends else None

    def write(self, record: bytes) -> None:
        """
        Take a record.

        :param record: its bytes
        """
        self.records.append(record)
        self._bytes += record + b"\n"

    def reader(self) -> Callable[[int, int], bytes]:
        """Return what reads so many bytes at a place."""
        return lambda length, place: self._bytes[place : place + length]
