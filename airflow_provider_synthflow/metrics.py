# SPDX-License-Identifier: Apache-2.0
"""The numbers of an extraction in Airflow's metrics: names that a dashboard and an alert can rely on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_synthflow.client.sender import Sender

__all__ = ["COUNTERS", "DURATION", "FAILURES", "Sent", "emit", "emit_failure"]

COUNTERS = {
    "calls": "synthflow.calls",
    "pages": "synthflow.pages",
    "requests": "synthflow.requests",
    "retries": "synthflow.retries",
    "waits": "synthflow.waits",
    "walks": "synthflow.walks",
}
"""The counters, by what they count."""

DURATION = "synthflow.duration"
"""The timer: how long reading, proving, ordering and publishing a window took."""

FAILURES = "synthflow.failures"
"""The counter of windows that failed, with the class of the error as the tag ``error``."""


def emit(counts: Mapping[str, int], seconds: float, tags: Mapping[str, str]) -> None:
    """
    Hand the numbers of one window to Airflow's metrics.

    :param counts: how many, by the names of :data:`COUNTERS`; those that are missing are not sent
    :param seconds: how long it took
    :param tags: what tells the task apart, for backends that know tags
    """
    from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - only on a worker

    _count(counts, tags)
    Stats.timing(DURATION, dt.timedelta(seconds=seconds), tags=dict(tags))


class Sent:
    """
    Count what a sender sends from now on.

    :param sender: the sender
    """

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._before = self._now()

    @property
    def counts(self) -> dict[str, int]:
        """Return how much was sent since, by the names of :data:`COUNTERS`."""
        return {name: count - self._before[name] for name, count in self._now().items()}

    def _now(self) -> dict[str, int]:
        return {name: getattr(self._sender, name) for name in ("requests", "retries", "waits")}


def emit_failure(error: BaseException, counts: Mapping[str, int], tags: Mapping[str, str]) -> None:
    """
    Count a window that failed, and what was sent for it.

    :param error: why
    :param counts: how much was sent, by the names of :data:`COUNTERS`
    :param tags: what tells the task apart
    """
    from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - only on a worker

    _count(counts, tags)
    Stats.incr(FAILURES, tags={**tags, "error": type(error).__name__})


def _count(counts: Mapping[str, int], tags: Mapping[str, str]) -> None:
    from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - only on a worker

    for name, counter in COUNTERS.items():
        if counts.get(name):
            Stats.incr(counter, count=counts[name], tags=dict(tags))
