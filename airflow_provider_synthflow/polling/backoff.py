# SPDX-License-Identifier: Apache-2.0
"""The waits between two polls, and before a new start after a failure. Pure: it neither polls nor sleeps."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

from airflow_provider_synthflow.client.retry import wait_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Backoff", "PollSchedule"]

_SHORTEST = 1.0
"""Seconds between two polls at the least, however short an interval is asked for."""

_PER_COMPANION = 0.02


class PollSchedule:
    """The waits between polls."""

    # Polls keep to a rhythm: the next one is due an interval after the last one was due, however long it took; polls
    # in between change nothing. After an error the wait grows from half a second to a minute, with jitter, and never
    # less than the server asked for.

    def __init__(
        self,
        interval: float,
        *,
        exponential: bool = False,
        longest: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = max(interval, _SHORTEST)
        self.failures = 0
        self.error: BaseException | None = None
        """What the last poll ended with; None where it was answered."""
        self._exponential = exponential
        self._longest = longest
        self._clock = clock
        self._polls = 0
        self._due: float | None = None

    def at_first(self, companions: int = 1) -> float:
        """Return the seconds before the first poll: pollers that start together spread out."""
        return random.uniform(0, min(self.interval, companions * _PER_COMPANION))  # noqa: S311 - spreads load

    def recover(self) -> None:
        """Forget what failed, since it works again."""
        self.failures = 0
        self.error = None

    def after_poll(self) -> float:
        """Return how many seconds to wait after a poll that was answered."""
        self.recover()
        self._polls += 1
        if self._exponential:
            grown = max(self.interval * 2.0 ** min(self._polls - 2, 30), _SHORTEST)
            grown *= random.uniform(1, 2)  # noqa: S311 - spreads load
            return grown if self._longest is None else max(min(grown, self._longest), _SHORTEST)
        now = self._clock()
        if self._due is None:
            # from here on those that started together poll apart from each other
            self._due = now - self.interval * random.uniform(0, 0.5)  # noqa: S311 - spreads load
        least = min(_SHORTEST, self.interval / 2)
        if self._due - now < least:  # else it was a poll before its time, which moves no other
            self._due = max(self._due + self.interval, now + least)
        return self._due - now

    def after_error(self, error: BaseException) -> float:
        """Return how many seconds to wait after a poll that failed."""
        self.failures += 1
        self.error = error
        self._due = None
        return max(wait_seconds(self.failures, error), wait_seconds(self.failures, None))


class Backoff:
    """The wait before something that failed begins again: twice as long each time."""

    def __init__(self, longest: float = 600.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._pause = 0.0
        self._failed_at = float("-inf")

    def failed(self, shortest: float) -> None:
        """Note a failure, after which to wait so many seconds at the least."""
        self._failed_at = self._clock()
        self._pause = min(max(2 * self._pause, shortest), self._longest)

    def succeeded(self) -> None:
        """Note that it works again, so that the next failure is a first one."""
        self._pause = 0.0

    @property
    def left(self) -> float:
        """Return how many seconds are left to wait."""
        return max(0.0, self._failed_at + self._pause - self._clock())
