# SPDX-License-Identifier: Apache-2.0
"""When to send a request again, and how long to wait before. Pure: it neither sends nor sleeps."""

from __future__ import annotations

import datetime as dt
import random
import time
from email.utils import parsedate_to_datetime

from airflow_provider_synthflow.exceptions import (
    SynthflowError,
    SynthflowProtocolError,
    SynthflowTransientError,
)

__all__ = ["LONGEST_WAIT", "give_up", "is_retriable", "retry_after_seconds", "wait_seconds"]

LONGEST_WAIT = 300.0
"""Seconds: the cap on what a server may ask to wait, since an absurd value was seen in the wild."""

_LONGEST_BACKOFF = 60.0
_CURES = {
    429: "Lower the concurrency, or run fewer tasks with this key at a time (an Airflow pool).",
    None: "Check the network between this worker and the API.",
}
_CURE = "The API is in trouble: run the task again later."


def retry_after_seconds(value: str | None, *, now: float | None = None) -> float | None:
    """
    Read a Retry-After header, which holds seconds or an HTTP date.

    :param value: the header, None where there was none
    :param now: seconds since 1970, the time to count a date from; default: now
    :return: seconds from 0 to 300, or None where the header says nothing usable
    """
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
        return min(max(seconds, 0.0), LONGEST_WAIT)  # a date that is past by now asks for no wait
    return min(seconds, LONGEST_WAIT) if seconds >= 0 else None  # also None for NaN


def is_retriable(error: BaseException) -> bool:
    """
    Tell whether sending the same request again at once may help.

    :param error: what a request ended with
    """
    if isinstance(error, SynthflowProtocolError):
        return error.retriable
    return isinstance(error, SynthflowTransientError)


def wait_seconds(attempt: int, error: BaseException | None) -> float:
    """
    Return how long to wait before the next try.

    What the server asked for governs, with up to a second of jitter on top so that many tasks do not return in step;
    else the wait doubles from half a second (from two seconds for a rate limit, which counts by the minute),
    give or take a quarter, to a minute at the most.

    :param attempt: how many tries there were, from 1
    :param error: what the last try ended with
    """
    asked = getattr(error, "retry_after", None)
    if asked is not None:
        return min(float(asked) + random.random(), LONGEST_WAIT)  # noqa: S311 - spreads load, guards nothing
    first = 2.0 if getattr(error, "status", None) == 429 else 0.5
    backoff = min(first * 2.0 ** min(attempt - 1, 30), _LONGEST_BACKOFF)
    return backoff * random.uniform(0.75, 1.25)  # noqa: S311 - likewise


def give_up(error: SynthflowError, attempts: int) -> SynthflowError:
    """
    Return the error that ends a request, with the number of tries and the cure in its text.

    :param error: what the last try ended with
    :param attempts: how many tries there were
    """
    if isinstance(error, SynthflowTransientError):
        cure = _CURES.get(error.status, _CURE)
        tries = "try" if attempts == 1 else "tries"
        error.args = (f"{error.args[0]} Gave up after {attempts} {tries}. {cure}",)
        error.attempts = attempts
    elif isinstance(error, SynthflowProtocolError):
        error.attempts = attempts
    return error
