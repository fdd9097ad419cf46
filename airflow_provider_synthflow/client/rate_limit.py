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
    """
    The shared pace of requests: an interval between two starts, at first none.

    A limit that is reached doubles the interval, once: not again by what was reserved before, and not again before a
    request has come through. It may halt all requests until a moment. Each success takes a tenth off the interval.

    :param clock: seconds that only grow; default: the system's monotonic clock
    """

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

    def reserve(self) -> float:
        """Take the next free start and return how many seconds it is away."""
        with self._lock:
            now = self.now()
            start = max(now, self._next_start)
            if self.interval or start > now:
                self._next_start = start + self.interval
            return start - now

    def refuse(self, reserved_at: float, wait: float = 0.0) -> bool:
        """
        Slow down after a refusal (429, 5xx), and tell whether this one lowered the pace.

        :param reserved_at: when the refused request took its start, by this pace's clock
        :param wait: seconds during which no request is to start
        """
        with self._lock:
            now = self.now()
            self.halted_until = max(self.halted_until, now + wait)
            self._next_start = max(self._next_start, self.halted_until)
            if reserved_at < self._lowered_at or not self._came_through:
                return False
            self.interval = min(max(self.interval * 2, _FIRST_INTERVAL), _LONGEST_INTERVAL)
            self.jitter = random.random()  # noqa: S311 - likewise
            self._lowered_at = now
            self._came_through = False
            log.info("Requests now start at least %.2f s apart.", self.interval)
            return True

    def succeed(self, reserved_at: float) -> None:
        """
        Speed up a little after a success.

        :param reserved_at: when the request took its start, by this pace's clock
        """
        if not self.interval:
            return
        with self._lock:
            self._came_through |= reserved_at >= self._lowered_at
            self.interval *= _RECOVERY
            if 0.0 < self.interval < _FULL_SPEED:
                self.interval = 0.0
                log.info("Requests are back at full speed.")
