# SPDX-License-Identifier: Apache-2.0
"""The time that windows cover: gaps, overlaps, and the state of each hour. Pure."""

from __future__ import annotations

import bisect
import heapq
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["STATES", "Span", "TimeMap", "choose_windows", "find_gaps", "find_overlaps"]

STATES = ("outside", "whole", "unsettled", "changed", "doubled", "gap", "damaged")
"""The states of an hour, from the best to the worst; an hour shows its worst."""

_HOUR_MS = 3_600_000
_HOURS_A_DAY = 24
_MOST_HOURS = 24 * 366 * 20


class Span(Protocol):
    """The time of a window, its end exclusive."""

    @property
    def from_ms(self) -> int:
        """Return its start."""

    @property
    def to_ms(self) -> int:
        """Return its end."""

    @property
    def extracted_ms(self) -> int:
        """Return when it was published."""


_Span = TypeVar("_Span", bound=Span)


def find_gaps(windows: Iterable[Span], from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """Return the time between two instants that no window covers, of windows sorted by their starts."""
    gaps, reached = [], from_ms
    for window in windows:
        if window.from_ms > reached:
            gaps.append((reached, min(window.from_ms, to_ms)))
        reached = max(reached, window.to_ms)
        if reached >= to_ms:
            return gaps
    if reached < to_ms:
        gaps.append((reached, to_ms))
    return [gap for gap in gaps if gap[0] < gap[1]]


def find_overlaps(windows: Sequence[_Span], most: int) -> Iterator[tuple[_Span, _Span]]:
    """Yield pairs of windows that overlap, up to so many for each window, of windows sorted by their starts."""
    open_until: list[tuple[int, int]] = []
    for number, window in enumerate(windows):
        while open_until and open_until[0][0] <= window.from_ms:
            heapq.heappop(open_until)
        for _, other in sorted(open_until)[:most] if len(open_until) > 1 else open_until:
            yield windows[other], window
        heapq.heappush(open_until, (window.to_ms, number))


def choose_windows(windows: Sequence[_Span]) -> set[int]:
    """Choose windows that do not overlap and cover the most time, and return their indexes."""
    # Of equal choices, the one that was published last, then the one with the fewest windows.
    ends = sorted(range(len(windows)), key=lambda number: windows[number].to_ms)
    ended_at = [windows[number].to_ms for number in ends]
    best: list[tuple[int, int, int]] = [(0, 0, 0)]  # covered, published last, windows (fewer are better)
    previous: list[int] = []  # of the first so many by their ends: how many are before the last one, or -1 to leave it
    for position, number in enumerate(ends):
        window = windows[number]
        before = bisect.bisect_right(ended_at, window.from_ms, 0, position)
        covered, newest, fewer = best[before]
        with_it = (covered + window.to_ms - window.from_ms, max(newest, window.extracted_ms), fewer - 1)
        if with_it > best[position]:
            best.append(with_it)
            previous.append(before)
        else:
            best.append(best[position])
            previous.append(-1)
    chosen, position = set(), len(ends)
    while position:
        if previous[position - 1] < 0:
            position -= 1
        else:
            chosen.add(ends[position - 1])
            position = previous[position - 1]
    return chosen


class TimeMap:
    """The state of each hour between two instants; of more than twenty years, the last twenty."""

    def __init__(self, from_ms: int, to_ms: int) -> None:
        last = -(-to_ms // _HOUR_MS)
        self.first_hour = max(from_ms // _HOUR_MS, last - _MOST_HOURS)
        self._hours = bytearray(max(0, last - self.first_hour))

    def mark(self, from_ms: int, to_ms: int, state: str) -> None:
        """Set the state of the hours that a window touches, unless an hour's state is worse already."""
        level = STATES.index(state)
        begin = max(0, from_ms // _HOUR_MS - self.first_hour)
        end = min(len(self._hours), -(-to_ms // _HOUR_MS) - self.first_hour)
        for hour in range(begin, end):
            self._hours[hour] = max(self._hours[hour], level)

    def days(self) -> Iterator[tuple[int, bytes]]:
        """Yield each day, as days since 1970, with the levels of its 24 hours."""
        begin = self.first_hour // _HOURS_A_DAY
        padded = bytes(self.first_hour % _HOURS_A_DAY) + self._hours
        padded += bytes(-len(padded) % _HOURS_A_DAY)
        for number in range(len(padded) // _HOURS_A_DAY):
            yield begin + number, padded[number * _HOURS_A_DAY : (number + 1) * _HOURS_A_DAY]
