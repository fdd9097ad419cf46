# SPDX-License-Identifier: Apache-2.0
"""The recordings: what is run, and the lines of the table about their speed and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.bench.lines import Line
from dev.bench.running import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.bench.plan import Effort, Runs

__all__ = ["recording_cases", "recording_lines"]

_SIZE = 500_000
"""The bytes of a talk of one or two minutes."""
_LONG = 50_000_000
_LEAST = 0.9
_MOST_MEMORY_MIB = 8


def recording_cases(effort: Effort) -> Iterator[tuple[Case, int]]:
    """Yield what is run, and in how many rounds: for speed, and for what their number and their length cost."""
    few, many = effort.recordings // 10, effort.recordings
    for reader in ("floor_recordings", "ours_recordings", "async_recordings"):
        yield _case(reader, many), effort.rounds
    yield _case("ours_recordings", few), effort.rounds
    yield _case("ours_recordings", few // 4, _LONG), effort.rounds


def recording_lines(runs: Runs, effort: Effort) -> Iterator[Line]:
    """Yield the lines about speed, as a multiple of the others', and about memory."""
    few, many = effort.recordings // 10, effort.recordings
    ours = _case("ours_recordings", many)
    for other, named, least in (("floor", "the floor's", _LEAST), ("async", "the asyncio downloader's", _LEAST)):
        ratio = runs.times_as_fast(ours, _case(f"{other}_recordings", many))
        yield Line(
            f"{many:,} recordings of {_SIZE // 1000} KB, 50 ms a request: bytes a second as a multiple of {named}",
            f"at least {least:g}",
            None if ratio is None else f"{ratio:.2f}",
            None if ratio is None else ratio >= least,
        )
    base = runs.median(_case("ours_recordings", few), "peak_kib")
    for case, work in (
        (ours, f"peak memory of {many:,} recordings over that of {few:,}"),
        (
            _case("ours_recordings", few // 4, _LONG),
            f"peak memory of recordings of {_LONG // 10**6} MB over that of {_SIZE // 1000} KB",
        ),
    ):
        peak = runs.median(case, "peak_kib")
        more = None if peak is None or base is None else (peak - base) / 1024
        measured = None if more is None else f"{more:.1f} MiB"
        yield Line(
            work, f"at most {_MOST_MEMORY_MIB} MiB", measured, None if more is None else more <= _MOST_MEMORY_MIB
        )


def _case(reader: str, count: int, size: int = _SIZE) -> Case:
    return Case(reader, str(size), 50, count)
