# SPDX-License-Identifier: Apache-2.0
"""One row an utterance of the transcript."""

from __future__ import annotations

import re
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from airflow_provider_synthflow.output.parquet import make_array
from airflow_provider_synthflow.tables.json_text import NULL, read_nearest_text
from airflow_provider_synthflow.tables.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CHOICE", "build_turns"]

CHOICE = pa.dictionary(pa.int8(), pa.string())
"""The type of a column of a few texts, which is written faster by their numbers."""

_MARK = re.compile(rb"\n(bot|human): ")
_BOT, _HUMAN = b"bot: ", b"human: "
_SPEAKERS = [b"bot", b"human"]
_POSITIONS = array("q", range(4096)).tobytes()
_WIDTH = 8

_texts_decoder = msgspec.json.Decoder(list[str])


class _Turns(NamedTuple):
    """Turns of some calls, and how many each of these has."""

    counts: list[int]
    speakers: pa.Array  # by their places in _SPEAKERS
    texts: pa.Array


def build_turns(transcripts: Sequence[bytes]) -> Rows:
    """Make the rows of calls from their transcripts as JSON."""
    # Transcripts in which each line begins with a mark are split all at once, which takes a tenth of the time.
    spoken = [place for place, raw in enumerate(transcripts) if raw not in (NULL, b'""')]
    texts, odd = _read_texts([transcripts[place] for place in spoken])
    unmarked, turns = _split_marked(texts)
    if unmarked:
        turns = _replace(turns, unmarked, _split_any([texts[place] for place in unmarked]))
    counts = [0] * len(transcripts)
    for place, count in zip(spoken, turns.counts, strict=True):
        counts[place] = count
    raws = pa.nulls(len(turns.texts), pa.string())
    if odd:
        raws = make_array(
            [
                transcripts[place] if number in odd else None
                for number, place in enumerate(spoken)
                for _ in range(turns.counts[number])
            ],
            pa.string(),
        )
    speakers = pa.DictionaryArray.from_arrays(turns.speakers, make_array(_SPEAKERS, pa.string()))
    return Rows(counts, (_number(turns.counts), speakers, turns.texts, raws))


def _read_texts(raws: list[bytes]) -> tuple[list[bytes | None], set[int]]:
    """Return the texts in UTF-8, and which of the values are none."""
    try:
        return [text.encode() for text in _texts_decoder.decode(b"[%b]" % b",".join(raws))], set()
    except msgspec.MsgspecError:
        read = [read_nearest_text(raw) for raw in raws]
        return [text for text, _ in read], {place for place, (_, fits) in enumerate(read) if not fits}


def _split_marked(texts: list[bytes | None]) -> tuple[list[int], _Turns]:
    """Split texts whose lines all begin with a mark, and tell which of them are others."""
    lists = pc.split_pattern(make_array([text or b"" for text in texts], pa.string()).view(pa.binary()), b"\n")
    lines = lists.flatten()
    by_bot = pc.starts_with(lines, _BOT)
    marked = pc.or_(by_bot, pc.starts_with(lines, _HUMAN))
    unmarked: list[int] = []
    if not pc.all(marked, min_count=0).as_py():
        unmarked = pc.unique(pc.list_parent_indices(lists).filter(pc.invert(marked))).to_pylist()
    said = pc.if_else(
        by_bot, pc.binary_replace_slice(lines, 0, len(_BOT), b""), pc.binary_replace_slice(lines, 0, len(_HUMAN), b"")
    )
    speakers = pc.invert(by_bot).cast(pa.int8())
    counts = pc.list_value_length(lists).to_pylist()
    return unmarked, _Turns(counts, speakers, said.view(pa.string()))


def _split_any(texts: Sequence[bytes | None]) -> _Turns:
    """Split texts one after the other; one that is none is a turn without a text."""
    counts: list[int] = []
    speakers: list[int | None] = []
    said: list[bytes | None] = []
    for text in texts:
        parts = [b"", None, None] if text is None else [*_MARK.split(b"\n" + text)]
        by, turns = parts[1::2], parts[2::2]
        if parts[0]:  # before the first mark nobody is named
            by, turns = [None, *by], [parts[0][1:], *turns]
        counts.append(len(turns))
        speakers += [None if one is None else _SPEAKERS.index(one) for one in by]
        said += turns
    return _Turns(counts, make_array(speakers, pa.int64()).cast(pa.int8()), make_array(said, pa.string()))


def _replace(turns: _Turns, places: list[int], others: _Turns) -> _Turns:
    """Put the turns of other calls in the places of some."""
    starts = list(accumulate(turns.counts, initial=0))
    counts = list(turns.counts)
    pieces: list[tuple[_Turns, int, int]] = []
    at = taken = 0
    for place, count in zip(places, others.counts, strict=True):
        pieces += [(turns, at, starts[place] - at), (others, taken, count)]
        at, taken = starts[place + 1], taken + count
        counts[place] = count
    pieces.append((turns, at, starts[-1] - at))
    speakers = pa.concat_arrays([each.speakers.slice(begin, length) for each, begin, length in pieces])
    texts = pa.concat_arrays([each.texts.slice(begin, length) for each, begin, length in pieces])
    return _Turns(counts, speakers, texts)


def _number(counts: list[int]) -> pa.Array:
    """Return the numbers of the turns of each call."""
    numbers = [
        _POSITIONS[: count * _WIDTH] if count * _WIDTH <= len(_POSITIONS) else array("q", range(count)).tobytes()
        for count in counts
    ]
    return pa.Array.from_buffers(pa.int64(), sum(counts), [None, pa.py_buffer(b"".join(numbers))])
