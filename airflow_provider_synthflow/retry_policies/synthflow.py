# SPDX-License-Identifier: Apache-2.0
"""A retry policy for outages. Airflow 3.3 has such policies; an older one cannot import this module."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowTransientError

try:
    from airflow.sdk import RetryAction, RetryDecision, RetryPolicy
except ImportError as error:
    msg = "SynthflowRetryPolicy needs Airflow 3.3 or later: leave `retry_policy` out, and set `retries`."
    raise ImportError(msg) from error

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk import Context

__all__ = ["SynthflowRetryPolicy"]


class SynthflowRetryPolicy(RetryPolicy):
    """
    A policy that waits for the end of an outage, instead of spending the task's tries on it.

    It decides on a ``SynthflowTransientError`` alone: a 429, a 5xx, a time-out, a broken connection, of the API or of
    the store, after all tries of the request. From Airflow 3.4 on the task then runs again without using one of its
    ``retries``; Airflow 3.3 can only use one, after ``delay``. All other errors follow the task's own settings.

    :param delay: how long to wait before the task runs again, at least as long as the API asked for; default 5 minutes
    :param give_up_after: how long after the first such error of a try the task's own settings apply again; default
        6 hours; for Airflow 3.4 and later
    """

    def __init__(
        self, *, delay: dt.timedelta = dt.timedelta(minutes=5), give_up_after: dt.timedelta = dt.timedelta(hours=6)
    ) -> None:
        if min(delay, give_up_after) <= dt.timedelta(0):
            message = "`delay` and `give_up_after` must be longer than zero."
            raise ValueError(message)
        self.delay = delay
        self.give_up_after = give_up_after

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Wait where the error passes by itself; leave every other one to the task's own settings."""
        del try_number, max_tries, context
        if not isinstance(exception, SynthflowTransientError):
            return RetryDecision.default()
        delay = max(self.delay, dt.timedelta(seconds=exception.retry_after or 0))
        answer = f"HTTP {exception.status}" if exception.status else "no answer"
        reason = f"{answer} after {exception.attempts} attempts, which is temporary"
        if not hasattr(RetryAction, "RESCHEDULE"):  # before Airflow 3.4
            return RetryDecision.retry(delay, reason=reason)
        reschedule: Callable[..., RetryDecision] = RetryDecision.reschedule  # type: ignore[attr-defined, unused-ignore]
        return reschedule(delay, reschedule_timeout=self.give_up_after, reason=reason)

    def serialize(self) -> dict[str, Any]:
        """Return the settings as data."""
        return {"delay": self.delay.total_seconds(), "give_up_after": self.give_up_after.total_seconds()}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> SynthflowRetryPolicy:
        """Return the policy with these settings."""
        return cls(**{name: dt.timedelta(seconds=seconds) for name, seconds in data.items()})
