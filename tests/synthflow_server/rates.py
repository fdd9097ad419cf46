# SPDX-License-Identifier: Apache-2.0
"""The limit on requests a minute."""

from __future__ import annotations

import math
import time
from collections import deque
from email.utils import formatdate
from typing import TYPE_CHECKING

from tests.synthflow_server.answer import ApiError

if TYPE_CHECKING:
    from tests.synthflow_server.behaviour import Behaviour

__all__ = ["RateLimit"]


class RateLimit:
    """Count the requests of the last minute, and refuse what is too much."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque()

    def take(self, behaviour: Behaviour, now_ms: int) -> None:
        """Count one request, or refuse it with 429; a refused one is not counted."""
        limit = behaviour.rate_limit_per_minute
        if limit is None:
            return
        now_s = now_ms / 1000 if behaviour.rate_clock == "api" else time.monotonic()
        taken = self._taken
        while taken and taken[0] <= now_s - behaviour.rate_window_s:
            taken.popleft()
        if len(taken) < limit:
            taken.append(now_s)
            return
        wait_s = (taken[0] + behaviour.rate_window_s - now_s) if taken else behaviour.rate_window_s
        text = f"429: Rate limit exceeded. Your rate limit per minute is {limit}."
        raise ApiError(429, text, headers=_retry_after(behaviour, now_ms, wait_s))


def _retry_after(behaviour: Behaviour, now_ms: int, wait_s: float) -> dict[str, str]:
    form = behaviour.retry_after
    if form == "absent":
        return {}
    if form == "absurd":
        return {"Retry-After": "99999999"}
    if form == "date":
        now_s = now_ms / 1000 if behaviour.rate_clock == "api" else time.time()
        return {"Retry-After": formatdate(math.ceil(now_s + wait_s), usegmt=True)}
    return {"Retry-After": str(form)}
