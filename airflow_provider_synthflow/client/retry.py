# SPDX-License-Identifier: Apache-2.0
"""The waits before a request is sent again. Pure: it neither sends nor sleeps."""

from __future__ import annotations

import datetime as dt
import functools
import itertools
import logging
import random
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import (
    SynthflowError,
    SynthflowProtocolError,
    SynthflowTransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from airflow_provider_synthflow.client.rate_limit import RateLimiter

__all__ = ["LONGEST_WAIT", "is_retriable", "retry_after_seconds", "tries", "wait_seconds"]

log = logging.getLogger(__name__)

LONGEST_WAIT = 300.0
"""Seconds: the cap on what a server may ask to wait, since an absurd value was seen in the wild."""

_LONGEST_BACKOFF = 60.0
_LIMITED = 429
_LIMIT_LASTS = 61.0  # seconds; most limits count by the minute
_CURES = {
    _LIMITED: "Lower the concurrency, or run fewer tasks with this key at a time (an Airflow pool).",
    None: "Check the network between this worker and the API.",
}
_CURE = "The API has a problem: run the task again later."


def retry_after_seconds(value: str | None, *, now: float | None = None) -> float | None:
    """Read a Retry-After header, which holds seconds or an HTTP date."""
    if value is None or not value.strip():
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (TypeError, ValueError, IndexError, OverflowError):
            return None
        if moment.tzinfo is None:  # an HTTP date is GMT, also where its old form does not say so
            moment = moment.replace(tzinfo=dt.timezone.utc)
        seconds = moment.timestamp() - (time.time() if now is None else now)
        return min(max(seconds, 0.0), LONGEST_WAIT)
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None  # also None for NaN


def is_retriable(error: BaseException) -> bool:
    """Tell whether sending the same request again at once may help."""
    if isinstance(error, SynthflowProtocolError):
        return error.retriable
    return isinstance(error, SynthflowTransientError)


def wait_seconds(attempt: int, error: BaseException | None, jitter: float | None = None) -> float:
    """Return how long to wait before the next try: the larger of what the server asked for and the own backoff."""
    # The backoff doubles from half a second, give or take a quarter, to a minute at the most. Under a rate limit it
    # doubles from two seconds, and less of it is chance. Up to a second comes on top of what the server asked for, so
    # that many tasks do not return in step.
    chance = random.random() if jitter is None else jitter  # noqa: S311 - spreads load, guards nothing
    limited = getattr(error, "status", None) == _LIMITED
    first, least, spread = (2.0, 0.98, 0.08) if limited else (0.5, 0.75, 0.5)
    backoff = min(first * 2.0 ** min(attempt - 1, 30), _LONGEST_BACKOFF) * (least + spread * chance)
    asked = getattr(error, "retry_after", None)
    return backoff if asked is None else max(min(asked + chance, LONGEST_WAIT), backoff)


def tries(max_attempts: int, pace: RateLimiter, count_retry: Callable[[], None]) -> Generator[float | None, None, None]:
    """Yield what a request is to do next, until it is through: wait so many seconds, or, where it is None, be sent."""
    # What it fails with is thrown in where it was sent, and raised again where no further try helps. Under a rate
    # limit the last try comes a minute or more after the first refusal.
    limited_at: float | None = None
    for number in itertools.count(1):
        delay, known = pace.reserve(), pace.halted_until
        reserved_at = pace.now()
        while delay > 0:
            yield delay
            delay = pace.reserve() if pace.halted_until > known else 0.0
            reserved_at, known = pace.now(), pace.halted_until
        try:
            yield None
        except SynthflowError as error:
            failure = error
        else:
            pace.succeed(reserved_at)
            return
        if getattr(failure, "status", None) == _LIMITED:
            limited_at = pace.now() if limited_at is None else limited_at
            wait = pace.close(reserved_at, functools.partial(wait_seconds, error=failure, jitter=pace.jitter))
        else:
            wait = wait_seconds(number, failure)
            if getattr(failure, "status", None) is not None and is_retriable(failure):
                pace.refuse(reserved_at, getattr(failure, "retry_after", None) or 0.0)
        if number >= max_attempts or not is_retriable(failure):
            raise _give_up(failure, number) from failure.__cause__
        if limited_at is not None and number == max_attempts - 1:
            wait = max(wait, limited_at + _LIMIT_LASTS + pace.jitter - pace.now())
        count_retry()
        log.warning("Try %d of %d failed: %s Next try in %.1f s.", number, max_attempts, failure, wait)
        yield wait


def _give_up(error: SynthflowError, attempts: int) -> SynthflowError:
    """Return the error that ends a request, with the number of tries and the cure in its text."""
    if isinstance(error, SynthflowTransientError):
        cure = _CURES.get(error.status, _CURE)
        error.args = (f"{error.args[0]} Gave up after {attempts} {'try' if attempts == 1 else 'tries'}. {cure}",)
        error.attempts = attempts
    elif isinstance(error, SynthflowProtocolError):
        error.attempts = attempts
    return error
