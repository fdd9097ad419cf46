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

    def write(self, records: list[bytes]) -> list[int] | None:
        """Take records, and return where each begins."""
        places = []
        for record in records:
            places.append(len(self._bytes))
            self.records.append(record)
            self._bytes += record + b"\n"
        return places if self._lends else None

    def reader(self) -> Callable[[int, int], bytes]:
        """Return what reads so many bytes at a place."""
        return lambda length, place: self._bytes[place : place + length]
