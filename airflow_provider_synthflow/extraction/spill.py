# SPDX-License-Identifier: Apache-2.0
"""Keep the calls of one window on disk while they come, and give them back in order."""

from __future__ import annotations

import os
from array import array
from itertools import accumulate, pairwise
from operator import lt
from typing import IO, TYPE_CHECKING, Protocol

from airflow_provider_synthflow.pagination.packed_ids import KeyLog
from airflow_provider_synthflow.storage.disk_errors import open_temporary_file, typed_temporary_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Follower", "Spill"]

_IN_MEMORY = 4 * 1024 * 1024
_PIECE = 512 * 1024
_JOINED = 128
_DISCARDED = -1
_SLOT_BITS = 40


class Follower(Protocol):
    """A taker of a spill's records as they come."""

    def write(self, records: list[bytes]) -> list[int] | None:
        """
        Take the next records, and return at which of its bytes each begins; None where they cannot be read back.

        :param records: the bytes of each
        """

    def reader(self) -> Callable[[int, int], bytes]:
        """Return what reads so many bytes at a place, of all that was written so far."""


class Spill:
    """
    Records kept by key, the last one given for a key, and given back sorted.

    The bytes go into a private file without a name (mode 0600), which the system frees with the process, also when
    it is killed; up to 4 MiB stay in memory. What comes is only appended, in memory the key, the order and the
    place, packed: about 60 bytes a call. Which record of a key is the last is found out when records are asked for.
    """

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._closed = False
        self._clear()

    def _clear(self) -> None:
        self._due: list[bytes] = []  # not in the file yet
        self._due_bytes = 0
        self._end = 0
        self._keys = KeyLog()
        self._orders = array("q")
        self._places = array("q")  # in the file; of records that the follower has, the complement of that in its file
        self._lengths = array("q")  # or _DISCARDED
        self._different = 0  # so many different keys came, or more
        self._live: Sequence[int] | None = None  # the slots of the last records in order; None: not yet found out
        self._follower: Follower | None = None
        self._lent: Follower | None = None  # the follower, also when it is one no more: it has records to be read back
        self._last = (float("-inf"), "")  # the order and the key of the last one

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
        return len(self._sorted())

    def close(self) -> None:
        """Free the file and forget the records."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._closed = True
        self._clear()

    def put(self, keys: Sequence[str], orders: Sequence[int], records: Sequence[bytes | None]) -> None:
        """
        Keep records, each in place of an earlier one with the same key, or forget that.

        :param keys: what tells records apart, and orders those of the same order
        :param orders: what they are sorted by
        :param records: the records; None where there is to be none with this key
        """
        if self._closed:
            msg = "The spill is closed."
            raise ValueError(msg)
        kept = [at for at, record in enumerate(records) if record is not None]
        data = [record for record in records if record is not None]
        lengths = list(map(len, data))
        places = None
        if self._follower is not None and self._is_in_order([(orders[at], keys[at]) for at in kept]):
            places = self._follower.write(data)
        if places is None:
            *places, self._end = accumulate(lengths, initial=self._end)
            self._due += data
            self._due_bytes += sum(lengths)
        else:
            places = [~place for place in places]
        if len(data) < len(records):
            places, lengths = _spread(places, kept, len(records), 0), _spread(lengths, kept, len(records), _DISCARDED)
        self._keys.extend(keys)
        self._orders.extend(orders)
        self._places.extend(places)
        self._lengths.extend(lengths)
        self._live = None
        if self._due_bytes > (_IN_MEMORY if self._file is None else _PIECE):
            self._write()

    def _is_in_order(self, ranks: list[tuple[int, str]]) -> bool:
        """Tell whether records may go to the follower; once they may not, none does: it would be at a wrong place."""
        whole = [self._last, *ranks]
        if not all(map(lt, whole, ranks)):
            self._follower = None
            return False
        self._last = whole[-1]
        return True

    def lead(self, follower: Follower) -> None:
        """
        Hand each record on as it comes, as long as they come in the order in which :meth:`records` gives them back.

        What the follower can give back is not kept a second time, so that it has to live as long as the spill.

        :param follower: what takes records
        """
        self._follower = self._lent = follower

    def expect(self, different: int) -> None:
        """
        Take in how many different keys came at the least: where that is how many came in all, none came twice.

        :param different: how many
        """
        self._different = different

    def in_step(self) -> bool:
        """Tell whether the follower got just what :meth:`records` gives back."""
        self._sorted()
        return self._follower is not None

    def size(self) -> int:
        """Return the number of bytes of all records together."""
        return sum(self._lengths[slot] for slot in self._sorted())

    def items(self) -> Iterator[tuple[str, int, bytes]]:
        """Yield the records as :meth:`records` does, with their keys and what they are sorted by."""
        for slot, record in zip(self._sorted(), self.records(), strict=True):
            yield self._keys[slot], self._orders[slot], record

    def records(self) -> Iterator[bytes]:
        """Yield the records, sorted by their order and then by their key."""
        live = self._sorted()
        read = self._reader()
        places, lengths = self._places, self._lengths
        for slot in live:
            yield read(lengths[slot], places[slot])

    def _write(self) -> None:
        """Hand what is due to the file."""
        if self._file is None:
            self._file = open_temporary_file()
        with typed_temporary_errors():
            for start in range(0, len(self._due), _JOINED):
                self._file.write(b"".join(self._due[start : start + _JOINED]))
            self._file.flush()
        self._due.clear()
        self._due_bytes = 0

    def _reader(self) -> Callable[[int, int], bytes]:
        """Return what reads so many bytes at a place, of all that is there now."""
        own = self._own_reader()
        if self._lent is None:
            return own
        lent = self._lent.reader()
        return lambda length, place: own(length, place) if place >= 0 else lent(length, ~place)

    def _own_reader(self) -> Callable[[int, int], bytes]:
        if self._file is None:
            held = b"".join(self._due)
            return lambda length, place: held[place : place + length]
        self._write()
        descriptor = self._file.fileno()
        return lambda length, place: os.pread(descriptor, length, place)

    def _sorted(self) -> Sequence[int]:
        """Return the slots of the last record of each key, in the order of the records."""
        lengths = self._lengths
        if self._live is None and self._follower is not None:
            # All was handed on, in order: that is what there is, unless some of it was replaced or forgotten later.
            handed_on: Sequence[int] = range(len(lengths))
            if _DISCARDED in lengths:
                handed_on = array("q", [slot for slot in handed_on if lengths[slot] != _DISCARDED])
            if len(lengths) == self._different or len(handed_on) == sum(
                lengths[slot] != _DISCARDED for slot in self._keys.last_slots()
            ):
                self._live = handed_on
            else:
                self._follower = None
        if self._live is None:
            orders = self._orders
            # One number for order and slot: a list of them takes half of what tuples would.
            ranked = [
                orders[slot] << _SLOT_BITS | slot for slot in self._keys.last_slots() if lengths[slot] != _DISCARDED
            ]
            ranked.sort()
            live = array("q", [rank & (1 << _SLOT_BITS) - 1 for rank in ranked])
            del ranked
            self._sort_ties(live)
            self._live = live
        return self._live

    def _sort_ties(self, slots: array[int]) -> None:
        """Sort the slots of equal orders by their keys."""
        orders = self._orders
        begin = 0
        ends = [at for at, (left, right) in enumerate(pairwise(slots), 1) if orders[left] != orders[right]]
        for end in [*ends, len(slots)]:
            if end - begin > 1:
                slots[begin:end] = array("q", sorted(slots[begin:end], key=self._keys.__getitem__))
            begin = end


def _spread(values: list[int], slots: list[int], count: int, other: int) -> list[int]:
    """Return so many numbers: values in their slots, and another one elsewhere."""
    spread = [other] * count
    for slot, value in zip(slots, values, strict=True):
        spread[slot] = value
    return spread
