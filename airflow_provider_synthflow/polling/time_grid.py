# SPDX-License-Identifier: Apache-2.0
"""The cells of the time grid to announce: those that are over, settled, and have calls. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["CellAnnouncer", "PollResult"]

_LONGEST_READ_MS = 24 * 3_600_000
_MOST_CELLS = 1000
"""What one event names at the most, since one run reads all of it; the rest follows with the next one."""


@dataclass
class PollResult:
    """The starts of the calls that one poll found in ``[from_ms, to_ms)``, an empty range if nothing was read."""

    from_ms: int
    to_ms: int
    now_ms: int
    starts: list[int]
    on_stored: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


class CellAnnouncer:
    """The announcements of the cells of a grid that is aligned to 1970: each once, in the order of time."""

    # Read the calls of `wanted`, pass them to `next_event`, send the event that it returns, if any, and confirm it with
    # `announced`. What lies before `cursor` is never read again. Instants are UTC milliseconds since 1970.

    def __init__(
        self,
        model_id: str,
        *,
        width_ms: int,
        settle_ms: int,
        start_ms: int,
        min_calls: int = 1,
        gather_ms: int = 24 * 3_600_000,
    ) -> None:
        self.model_id = model_id
        self.width_ms = width_ms
        self.settle_ms = settle_ms
        self.min_calls = min_calls
        self.gather_ms = gather_ms
        self.read_to = self._floor(start_ms)
        self._waiting: dict[int, int] = {}  # calls by the start of their cell; read, and not announced
        self._due_to = self.read_to  # what waits before this has been gathered

    @property
    def cursor(self) -> int:
        """Return the instant, UTC milliseconds since 1970, before which every call has been announced."""
        return min(self._waiting, default=self.read_to)

    @property
    def longest_read_ms(self) -> int:
        """Return how long a stretch may be that is read at once: a day, or a cell where that is longer."""
        return max(_LONGEST_READ_MS, self.width_ms)

    def settled_to(self, now_ms: int) -> int:
        """Return the end of the last cell that is over and settled."""
        return self._floor(now_ms - self.settle_ms)

    def wanted(self, now_ms: int) -> tuple[int, int] | None:
        """Return the stretch to read, ``[from, to)``, or None where nothing new is settled."""
        settled = self.settled_to(now_ms)
        return (self.read_to, settled) if self.read_to < settled else None

    def next_event(self, poll: PollResult) -> dict[str, Any] | None:
        """Add the calls of a poll, as far as they are settled and new, and return what to announce now, or None."""
        self._add(poll)
        # It begins and ends with a cell that holds calls, and as a rule so does every cell between. Where calls are
        # gathered, empty cells between them come along, so that one run reads all that was gathered.
        if not self._waiting:
            return None
        first = min(self._waiting)
        gathered = sum(self._waiting.values()) >= self.min_calls
        if gathered or first + self.width_ms + self.settle_ms + self.gather_ms <= poll.now_ms:
            self._due_to = self.read_to
        if not self.has_more:
            return None
        end = first
        for cell in sorted(self._waiting):
            is_next = cell == end or self.min_calls > 1
            if not is_next or cell >= min(self._due_to, first + _MOST_CELLS * self.width_ms):
                break
            end = cell + self.width_ms
        count = sum(calls for cell, calls in self._waiting.items() if cell < end)
        return {
            "model_id": self.model_id,
            "from_date": format_instant(first),
            "to_date": format_instant(end),
            "window": self.width_ms // 1000,
            "count": count,
        }

    def _add(self, poll: PollResult) -> None:
        end = min(self._floor(poll.to_ms), self.settled_to(poll.now_ms))
        if not poll.from_ms <= self.read_to < end:
            return
        for start in poll.starts:
            if self.read_to <= start < end:
                cell = self._floor(start)
                self._waiting[cell] = self._waiting.get(cell, 0) + 1
        self.read_to = end

    def announced(self, count: int) -> None:
        """Note that the last event, of so many calls, was sent."""
        while count > 0:
            count -= self._waiting.pop(min(self._waiting))

    @property
    def has_more(self) -> bool:
        """Tell whether there is something left to announce, so that the next event need not wait."""
        return bool(self._waiting) and min(self._waiting) < self._due_to

    def _floor(self, instant_ms: int) -> int:
        return instant_ms - instant_ms % self.width_ms
