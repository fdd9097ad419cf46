# SPDX-License-Identifier: Apache-2.0
"""The progress of a window's recordings, as lines for a log."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from airflow_provider_synthflow.observability.quantities import to_size

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RecordingProgress"]

_EVERY = 5.0


class RecordingProgress:
    """The progress of downloads as a line every few seconds, fed by any number of threads."""

    def __init__(self, total: int, clock: Callable[[], float] = time.monotonic, every: float = _EVERY) -> None:
        self._total = total
        self._clock = clock
        self._every = every
        self._reported = self._begun = clock()
        self._lock = threading.Lock()
        self.done = 0
        self.bytes = 0

    @property
    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return self._clock() - self._begun

    def add_bytes(self, count: int) -> None:
        """Count bytes that came."""
        with self._lock:
            self.bytes += count

    def add_call(self) -> None:
        """Count a call that is done."""
        self.done += 1

    def line(self) -> str | None:
        """Return a line where one is due."""
        now = self._clock()
        if now - self._reported < self._every:
            return None
        self._reported = now
        seconds = max(now - self._begun, 0.001)
        left = ""
        if self.done:
            left = f", about {(self._total - self.done) * seconds / self.done:,.0f} s left"
        return (
            f"Recordings of {self.done:,} of {self._total:,} calls looked at, {to_size(self.bytes)} downloaded, "
            f"{to_size(self.bytes / seconds)} a second{left}."
        )
