# SPDX-License-Identifier: Apache-2.0
"""The pace that all requests of one task share: a refusal slows all of them, success recovers it."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RateLimiter"]

log = logging.getLogger(__name__)

_FIRST_INTERVAL = 0.05
_LONGEST_INTERVAL = 10.0
_RECOVERY = 0.9
_FULL_SPEED = 0.01


class RateLimiter:
    """The shared pace of requests: an interval between two starts, at first none."""

    # A limit that is reached doubles the interval, once: not again by what was reserved before, and not again before
    # a request has come through. It may halt all requests until a moment. Each success takes a tenth off the
    # interval.

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.now = clock
        self.interval = 0.0
        self.jitter = random.random()  # noqa: S311 - spreads load, guards nothing
        """A number from 0 to 1, drawn anew for each limit: what was refused together is sent again together."""
        self.halted_until = float("-inf")
        """Until when no request is to start, since the server asked for that."""
        self._lock = threading.Lock()
        self._next_start = float("-inf")
        self._lowered_at = float("-inf")
        self._came_through = True
        self._closed_at = float("-inf")
        self._rounds = 0

    def reserve(self) -> float:
        """Reserve the next free start, and return how many seconds it is away."""
        with self._lock:
            now = self.now()
            start = max(now, self._next_start)
            if self.interval or start > now:
                self._next_start = start + self.interval
            return start - now

    def refuse(self, reserved_at: float, wait: float = 0.0) -> None:
        """Slow down after a server's trouble (5xx)."""
        with self._lock:
            self._halt(self.now() + wait)
            self._lower(reserved_at)

    def close(self, reserved_at: float, backoff: Callable[[int], float]) -> float:
        """Halt all requests after one was refused for the rate limit (429), and return for how many seconds."""
        # What was refused together waits together, so that nothing that is refused later is sent before it; and as
        # long as no request comes through, each further refusal is the next round of the same limit.
        with self._lock:
            now = self.now()
            if self._came_through:
                self._rounds = 0
            if reserved_at > self._closed_at:
                self._closed_at = now
                self._rounds += 1
                self._lower(reserved_at)
                self._halt(now + backoff(self._rounds))
            return max(self.halted_until - now, 0.0)

    def succeed(self, reserved_at: float) -> None:
        """Speed up a little after a success."""
        if not self.interval:
            return
        with self._lock:
            self._came_through |= reserved_at >= self._lowered_at
            self.interval *= _RECOVERY
            if 0.0 < self.interval < _FULL_SPEED:
                self.interval = 0.0
                log.info("Requests are back at full speed.")

    def _halt(self, until: float) -> None:
        self.halted_until = max(self.halted_until, until)
        self._next_start = max(self._next_start, self.halted_until)

    def _lower(self, reserved_at: float) -> None:
        if reserved_at < self._lowered_at or not self._came_through:
            return
        self.interval = min(max(self.interval * 2, _FIRST_INTERVAL), _LONGEST_INTERVAL)
        self.jitter = random.random()  # noqa: S311 - spreads load, guards nothing
        self._lowered_at = self.now()
        self._came_through = False
        log.info("Requests now start at least %.2f s apart.", self.interval)
