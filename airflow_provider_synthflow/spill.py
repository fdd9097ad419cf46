# SPDX-License-Identifier: Apache-2.0
"""Keep the calls of one window on disk while they come, and give them back in order."""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Spill"]

_IN_MEMORY = 4 * 1024 * 1024


class Spill:
    """
    Hold records by key, the last one given for a key, and give them back sorted.

    The bytes go into a private file without a name (mode 0600), which the system frees with the process, also when
    it is killed; up to 4 MiB stay in memory. Only the place of each record stays in memory otherwise.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY, prefix="synthflow-")  # noqa: SIM115
        self._places: dict[str, tuple[int, int, int]] = {}  # key: (order, position, length)
        self._end = 0

    def __enter__(self) -> Self:
        """Return the spill itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the file."""
        self.close()

    def __len__(self) -> int:
        """Return how many records there are."""
        return len(self._places)

    def close(self) -> None:
        """Free the file and forget the records."""
        self._file.close()
        self._places.clear()

    def put(self, key: str, order: int, data: bytes) -> None:
        """
        Keep a record, in place of an earlier one with the same key.

        :param key: what tells records apart, and orders those of the same order
        :param order: what the records are sorted by
        :param data: the record
        """
        self._file.seek(self._end)
        self._file.write(data)
        self._places[key] = (order, self._end, len(data))
        self._end += len(data)

    def discard(self, key: str) -> None:
        """
        Forget a record, if there is one with this key.

        :param key: its key
        """
        self._places.pop(key, None)

    def keep_only(self, keys: Iterable[str]) -> None:
        """
        Forget all records but some.

        :param keys: the keys to keep
        """
        kept = keys if isinstance(keys, (set, frozenset)) else set(keys)
        for key in [key for key in self._places if key not in kept]:
            del self._places[key]

    def size(self) -> int:
        """Return the number of bytes of all records together."""
        return sum(length for _, _, length in self._places.values())

    def records(self) -> Iterator[bytes]:
        """Yield the records, sorted by their order and then by their key."""
        for _, (_, position, length) in sorted(self._places.items(), key=lambda item: (item[1][0], item[0])):
            self._file.seek(position)
            yield self._file.read(length)
