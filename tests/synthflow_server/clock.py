# SPDX-License-Identifier: Apache-2.0
"""The clocks by which the test server lists calls and lets them end."""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["Clock", "SimulatedClock", "WallClock"]


class Clock(Protocol):
    """Tell the time in UTC milliseconds since 1970."""

    def now_ms(self) -> int:
        """Return the present instant."""
        ...  # pragma: no cover


class WallClock:
    """Tell the machine's own time."""

    def now_ms(self) -> int:
        """Return the present instant in UTC milliseconds since 1970."""
        return time.time_ns() // 1_000_000


class SimulatedClock:
    """
    Tell a time that moves only when a test moves it.

    :param now_ms: the instant to begin at, UTC milliseconds since 1970
    """

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms
        self._lock = threading.Lock()

    def now_ms(self) -> int:
        """Return the simulated instant in UTC milliseconds since 1970."""
        return self._now_ms

    def advance(self, ms: int) -> int:
        """Move the clock forward and return the new instant."""
        with self._lock:
            self._now_ms += ms
            return self._now_ms

    def set(self, ms: int) -> None:
        """Move the clock to an instant, also into the past."""
        with self._lock:
            self._now_ms = ms
