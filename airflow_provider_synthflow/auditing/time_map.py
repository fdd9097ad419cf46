# SPDX-License-Identifier: Apache-2.0
"""The state of an agent's time, hour by hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HOURS_A_DAY", "STATES", "TimeMap"]

STATES = ("outside", "whole", "unsettled", "changed", "doubled", "gap", "damaged")
"""The states of an hour, from the best to the worst; the worst of what happened in an hour is shown."""

_HOUR_MS = 3_600_000
HOURS_A_DAY = 24
_MOST_HOURS = 24 * 366 * 20


class TimeMap:
    """
    A byte for each hour between two instants; of more than twenty years the last twenty.

    :param from_ms: the begin, UTC milliseconds since 1970
    :param to_ms: the end, exclusive
    """

    def __init__(self, from_ms: int, to_ms: int) -> None:
        last = -(-to_ms // _HOUR_MS)
        self.first_hour = max(from_ms // _HOUR_MS, last - _MOST_HOURS)
        self._hours = bytearray(max(0, last - self.first_hour))

    def mark(self, from_ms: int, to_ms: int, state: str) -> None:
        """Say of a stretch what state it is in; what is worse already stays."""
        level = STATES.index(state)
        begin = max(0, from_ms // _HOUR_MS - self.first_hour)
        end = min(len(self._hours), -(-to_ms // _HOUR_MS) - self.first_hour)
        for hour in range(begin, end):
            self._hours[hour] = max(self._hours[hour], level)

    def days(self) -> Iterator[tuple[int, bytes]]:
        """Yield each day, as days since 1970, with the levels of its 24 hours."""
        begin = self.first_hour // HOURS_A_DAY
        padded = bytes(self.first_hour % HOURS_A_DAY) + self._hours
        padded += bytes(-len(padded) % HOURS_A_DAY)
        for number in range(len(padded) // HOURS_A_DAY):
            yield begin + number, padded[number * HOURS_A_DAY : (number + 1) * HOURS_A_DAY]
