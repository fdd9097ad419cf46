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
from airflow_provider_synthflow.tables.json_text import read_nearest_text
from airflow_provider_synthflow.tables.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["CHOICE", "Texts", "build_turns", "read_texts"]

CHOICE = pa.dictionary(pa.int8(), pa.string())
"""The type of a column of a few texts, which is written faster by their numbers."""

_MARK = re.compile(rb"\n(bot|human): ")
_BOT, _HUMAN = b"bot: ", b"human: "
_SPEAKERS = [b"bot", b"human"]
_POSITIONS = array("q", range(4096)).tobytes()
_WIDTH = 8

_texts_decoder = msgspec.json.Decoder(list[str | None])


class _Turns(NamedTuple):
    """Turns of some calls, and how many each of these has."""

    counts: list[int]
    speakers: pa.Array  # by their places in _SPEAKERS
    texts: pa.Array


class Texts(NamedTuple):
    """A field that is to be a text: the text of each call, null where there is none, and the JSON of what is none."""

    values: pa.Array
    odd: Mapping[int, bytes] = {}  # by the call's place


def read_texts(raws: Sequence[bytes]) -> Texts:
    """Read a field of some calls from its JSON."""
    try:
        return Texts(make_array(_texts_decoder.decode(b"[%b]" % b",".join(raws)), pa.string()))
    except msgspec.MsgspecError:
        read = [read_nearest_text(raw) for raw in raws]
        odd = {place: raws[place] for place, (_, fits) in enumerate(read) if not fits}
        return Texts(make_array([text for text, _ in read], pa.string()), odd)


def build_turns(transcripts: Texts) -> Rows:
    """Make the rows of calls from their transcripts."""
    # Transcripts in which each line begins with a mark are split all at once, which takes a tenth of the time.
    lengths = pc.binary_length(transcripts.values).to_pylist()
    spoken = [place for place, length in enumerate(lengths) if length or place in transcripts.odd]
    texts = transcripts.values.view(pa.binary())
    if len(spoken) < len(lengths):
        texts = texts.take(make_array(spoken, pa.int64()))
    unmarked, turns = _split_marked(texts)
    if unmarked:
        turns = _replace(turns, unmarked, _split_any([texts[place].as_py() for place in unmarked]))
    counts = [0] * len(lengths)
    for place, count in zip(spoken, turns.counts, strict=True):
        counts[place] = count
    raws = pa.nulls(len(turns.texts), pa.string())
    if transcripts.odd:
        raws = make_array(
            [transcripts.odd.get(place) for place, count in enumerate(counts) for _ in range(count)], pa.string()
        )
    speakers = pa.DictionaryArray.from_arrays(turns.speakers, make_array(_SPEAKERS, pa.string()))
    return Rows(counts, (_number(turns.counts), speakers, turns.texts, raws))


def _split_marked(texts: pa.Array) -> tuple[list[int], _Turns]:
    """Split texts whose lines all begin with a mark, and tell which of them are others."""
    if texts.null_count:  # pyarrow's fill_null loads pandas where it is installed
        texts = make_array([text or b"" for text in texts.to_pylist()], pa.string()).view(pa.binary())
    lists = pc.split_pattern(texts, b"\n")
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
