# SPDX-License-Identifier: Apache-2.0
"""The numbers of an extraction in Airflow's metrics: names that a dashboard and an alert can rely on."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["COUNTERS", "DURATION", "FAILURES", "emit", "emit_failure"]

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

    for name, counter in COUNTERS.items():
        if counts.get(name):
            Stats.incr(counter, count=counts[name], tags=dict(tags))
    Stats.timing(DURATION, dt.timedelta(seconds=seconds), tags=dict(tags))


def emit_failure(error: BaseException, tags: Mapping[str, str]) -> None:
    """
    Count a window that failed.

    :param error: why
    :param tags: what tells the task apart
    """
    from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - only on a worker

    Stats.incr(FAILURES, tags={**tags, "error": type(error).__name__})
