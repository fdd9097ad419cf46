# SPDX-License-Identifier: Apache-2.0
"""Many ids in little memory: packed as bytes, unpacked a few at a time."""

from __future__ import annotations

import hashlib
import marshal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["KeyLog", "distinct_count", "fingerprint", "ids_gone", "pack", "sequence_digest", "unpack"]

_GROUP = 256
_PART = 32_768
_PLAIN = 2  # the version of marshal's format without references between objects, which are slower to look for


def pack(ids: Sequence[str]) -> bytes:
    """Pack ids, in less than half of the memory."""
    return marshal.dumps(tuple(ids), _PLAIN)


def unpack(packed: bytes) -> tuple[str, ...]:
    """Unpack ids, packed in this very process."""
    ids: tuple[str, ...] = marshal.loads(packed)  # noqa: S302 - nothing from outside
    return ids


def distinct_count(packs: Sequence[bytes], count: int) -> int:
    """Count the different ids of several packs with so many ids in all, a part of them at a time."""
    return sum(map(len, _parted(packs, count)))


def fingerprint(packs: Sequence[bytes], count: int) -> bytes:
    """Return a digest that is equal only for equal sets of ids."""
    digest = hashlib.sha256()
    for ids in _parted(packs, count):
        for start in range(0, len(ordered := sorted(ids)), _GROUP):
            digest.update(pack(ordered[start : start + _GROUP]))
    return digest.digest()


def sequence_digest(rows: Iterable[Sequence[str]]) -> bytes:
    """Return a digest that is equal only for equal sequences of ids, however they are cut."""
    digest = hashlib.sha256()
    for ids in rows:
        for each in ids:
            digest.update(pack((each,)))
    return digest.digest()


def ids_gone(before: Sequence[bytes], now: Sequence[bytes], count: int) -> Iterator[str]:
    """Yield the ids that are in some packs and not in others, each once."""
    if before:
        for left, right in zip(_parted(before, count), _parted(now, count), strict=True):
            yield from left - right


def _parted(packs: Sequence[bytes], count: int) -> Iterator[set[str]]:
    """Yield the different ids of several packs as disjoint sets, none of them large."""
    parts = 1 + count // _PART
    if parts == 1:
        yield set().union(*map(unpack, packs))
        return
    for part in range(parts):
        yield {each for packed in packs for each in unpack(packed) if hash(each) % parts == part}


class KeyLog:
    """Keys in the order in which they came, repeats included."""

    def __init__(self) -> None:
        self._groups: list[bytes] = []
        self._open: list[str] = []

    def __len__(self) -> int:
        """Return how many keys came."""
        return len(self._groups) * _GROUP + len(self._open)

    def __getitem__(self, slot: int) -> str:
        """Return the key of a slot."""
        group, index = divmod(slot, _GROUP)
        return (unpack(self._groups[group]) if group < len(self._groups) else self._open)[index]

    def extend(self, keys: Iterable[str]) -> None:
        """Append keys."""
        self._open += keys
        while len(self._open) >= _GROUP:
            self._groups.append(pack(self._open[:_GROUP]))
            del self._open[:_GROUP]

    def last_slots(self) -> Iterator[int]:
        """Yield the last slot of each different key, in no particular order."""
        parts = 1 + len(self) // _PART
        for part in range(parts):
            last: dict[str, int] = {}
            first = 0
            for keys in self._all():
                if parts == 1:
                    last.update(zip(keys, range(first, first + len(keys)), strict=True))
                else:
                    last.update({key: slot for slot, key in enumerate(keys, first) if hash(key) % parts == part})
                first += len(keys)
            yield from last.values()

    def _all(self) -> Iterable[Sequence[str]]:
        yield from map(unpack, self._groups)
        yield self._open
