# SPDX-License-Identifier: Apache-2.0
"""The progress of a walk as lines for a log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Progress"]

_EVERY = 5.0


class Progress:
    """The progress of a walk, with a line every few seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, every: float = _EVERY) -> None:
        self._clock = clock
        self._every = every
        self._reported = self._begun = clock()
        self._walk = 1
        self._pages = 0
        self._rows = 0

    def line(self, walk: int, rows: int, total: int | None, *, there: int = 0) -> str | None:
        """Count a page, and return a line where one is due."""
        now = self._clock()
        if walk != self._walk:
            self._walk, self._begun, self._pages, self._rows = walk, now, 0, 0
        self._pages += 1
        self._rows += rows
        if now - self._reported < self._every:
            return None
        self._reported = now
        rate = self._rows / max(now - self._begun, 0.001)
        walked = f"Walk {walk}, page" if walk > 1 else "Page"
        if total is None:
            return f"{walked} {self._pages}: {self._rows:,} calls read, {rate:,.0f} a second."
        read = there + self._rows
        left = max(0, total - read) / rate if rate else 0.0
        return (
            f"{walked} {self._pages}: {read:,} of about {max(total, read):,} calls read, {rate:,.0f} a second, "
            f"about {left:,.0f} s left."
        )
