# SPDX-License-Identifier: Apache-2.0
"""The calls that are read: 5 KB of JSON each, as the test server makes them, with talks that compress as talks do."""

from __future__ import annotations

import itertools
import random
import struct
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tests.synthflow_server.records import RecordMaker
from tests.synthflow_server.words import BOT_LINES, CITIES, FIRST_NAMES, HUMAN_LINES, TOPICS

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FROM_MS", "MODEL_ID", "TO_MS", "Dataset", "make_dataset"]

FROM_MS = 1_748_736_000_000
"""The window's begin, 2025-06-01 UTC: every call lies in one day."""

TO_MS = FROM_MS + 86_400_000
MODEL_ID = "5f3c1f0a-6f0d-4c8e-9d5b-0d6f7f1e2a3b"
_DIFFERENT = 20_000
"""After so many records their texts come again, under other ids: far beyond what a compressor looks back."""

_VERSION = 2
_ENTRY = struct.Struct("<Qq")
_SYLLABLES = (
    *("ba", "de", "ki", "lo", "mu", "na", "re", "si", "to", "vu", "an", "er", "in"),
    *("on", "ul", "sta", "tri", "ble", "cho", "ment", "tion", "ing", "ver", "pre", "con"),
)


@dataclass(frozen=True)
class Dataset:
    """
    Hold where the rows are.

    :param rows: the file of rows, newest first, parted by commas
    :param index: a pair of 64-bit numbers a row: where it begins, and its start in milliseconds; then the end
    :param count: how many rows there are
    """

    rows: Path
    index: Path
    count: int

    def entries(self) -> list[tuple[int, int]]:
        """Return the pairs of the index."""
        return list(_ENTRY.iter_unpack(self.index.read_bytes()))


class _Talk:
    """Make transcripts of words that come as often as words do: few often, many seldom."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        words = {"".join(rng.choices(_SYLLABLES, k=rng.choice((1, 1, 2, 2, 2, 3, 3, 4)))) for _ in range(6000)}
        self._words = sorted(words, key=lambda word: (len(word), rng.random()))
        self._weights = list(itertools.accumulate(1 / (rank + 2.7) for rank in range(len(self._words))))

    def transcript(self, length: int) -> str:
        rng = self._rng
        words = iter(rng.choices(self._words, cum_weights=self._weights, k=length // 4 + 20))
        lines: list[str] = []
        size = 0
        while size < length:
            said = " ".join(itertools.islice(words, rng.randint(4, 16))).capitalize()
            if rng.random() < 0.15:
                said = rng.choice(BOT_LINES)
            elif rng.random() < 0.15:
                said = rng.choice(HUMAN_LINES).format(
                    topic=rng.choice(TOPICS), name=rng.choice(FIRST_NAMES), city=rng.choice(CITIES)
                )
            line = f"{'human' if len(lines) % 2 else 'bot'}: {said}."
            lines.append(line)
            size += len(line) + 2
        return "\n".join(lines)[:length]


def make_dataset(folder: Path, count: int, *, seed: int = 20250601) -> Dataset:
    """
    Make the rows in a folder, unless they are there.

    :param folder: where to keep them
    :param count: how many
    :param seed: where chance comes from
    """
    stem = f"calls-{count}-{seed}-v{_VERSION}"
    dataset = Dataset(folder / f"{stem}.rows", folder / f"{stem}.index", count)
    if dataset.index.exists():
        return dataset
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)  # noqa: S311 - it makes data, and guards nothing
    maker = RecordMaker(rng, record_bytes=None, telephony_lag_ms=(300, 1500))
    talk = _Talk(rng)
    index = bytearray()
    begin = 0
    different: list[tuple[bytes, bytes, bytes]] = []
    unfinished = dataset.rows.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        for number in range(count):
            start_ms = TO_MS - 1 - number * (86_400_000 // (count + 1))
            call_id, start = str(uuid.UUID(int=rng.getrandbits(128))).encode(), str(start_ms).encode()
            if number < _DIFFERENT:
                row = _row(maker, talk, rng, call_id.decode(), start_ms)
                different.append((row, call_id, start))
            else:
                row, its_id, its_start = different[number % _DIFFERENT]
                row = row.replace(its_id, call_id).replace(its_start, start)
            index += _ENTRY.pack(begin, start_ms)
            file.write(b"," + row if number else row)
            begin += len(row) + 1
    index += _ENTRY.pack(begin, 0)
    unfinished.replace(dataset.rows)
    dataset.index.write_bytes(index)
    return dataset


def _row(maker: RecordMaker, talk: _Talk, rng: random.Random, call_id: str, start_ms: int) -> bytes:
    record, _ = maker.make(call_id, MODEL_ID, start_ms, rng.randint(20, 900))
    record["transcript"] = ""
    missing = rng.randint(4000, 6000) - len(msgspec.json.encode(record))
    record["transcript"] = talk.transcript(max(missing, 200))
    return msgspec.json.encode(record)
