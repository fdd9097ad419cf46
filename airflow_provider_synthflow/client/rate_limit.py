# SPDX-License-Identifier: Apache-2.0
"""The pace that all requests of one task share: a refusal slows all of them, success recovers it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["RateLimiter"]

log = logging.getLogger(__name__)

_FIRST_INTERVAL = 0.05
_LONGEST_INTERVAL = 10.0
_RECOVERY = 0.9
_FULL_SPEED = 0.01


class RateLimiter:
    """
    Say when the next request may start.

    Between two starts lies an interval, at first none. A refusal doubles it (once, however many requests that were
    in flight together are refused) and may halt all requests until a moment; each success takes a tenth off.

    :param clock: seconds that only grow; default: the system's monotonic clock
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._interval = 0.0
        self._next_start = float("-inf")
        self._slowed_at = float("-inf")

    @property
    def interval(self) -> float:
        """Return the seconds between two starts, 0 at full speed."""
        return self._interval

    def reserve(self) -> float:
        """Take the next free start and return how many seconds it is away."""
        with self._lock:
            now = self._clock()
            start = max(now, self._next_start)
            if self._interval or start > now:
                self._next_start = start + self._interval
            return start - now

    @contextmanager
    def request(self) -> Iterator[None]:
        """Learn from how one request, made inside of the block, ends."""
        sent_at = self.now()
        try:
            yield
        except SynthflowTransientError as error:
            if error.status is not None and self.refuse(sent_at, error.retry_after or 0.0):
                log.info("HTTP %d: requests now start %.2f s apart.", error.status, self.interval)
            raise
        if self.succeed():
            log.info("The requests are back at full speed.")

    def now(self) -> float:
        """Return the clock's time, to be handed back when the request is refused."""
        return self._clock()

    def refuse(self, sent_at: float, wait: float) -> bool:
        """
        Slow down after a refusal (429, 5xx).

        :param sent_at: when the refused request was sent, by this pace's clock
        :param wait: seconds during which no request is to start
        :return: whether the pace was lowered by this refusal, and not by one of the same burst already
        """
        with self._lock:
            now = self._clock()
            self._next_start = max(self._next_start, now + wait)
            if sent_at < self._slowed_at:
                return False
            self._interval = min(max(self._interval * 2, _FIRST_INTERVAL), _LONGEST_INTERVAL)
            self._slowed_at = now
            return True

    def succeed(self) -> bool:
        """Speed up a little after a success, and tell whether full speed is reached by that."""
        if not self._interval:
            return False
        with self._lock:
            self._interval *= _RECOVERY
            if self._interval >= _FULL_SPEED:
                return False
            reached = self._interval > 0.0  # another thread may have been first
            self._interval = 0.0
            return reached
