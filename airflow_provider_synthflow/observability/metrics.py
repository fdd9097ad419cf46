# SPDX-License-Identifier: Apache-2.0
"""The numbers of an extraction in Airflow's metrics: names that a dashboard and an alert can rely on."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["COUNTERS", "DURATION", "FAILURES", "RECORDINGS_DURATION", "Failures", "emit", "emit_failure"]

COUNTERS = {
    "calls": "synthflow.calls",
    "pages": "synthflow.pages",
    "requests": "synthflow.requests",
    "retries": "synthflow.retries",
    "waits": "synthflow.waits",
    "walks": "synthflow.walks",
    "recordings": "synthflow.recordings",
    "recording_bytes": "synthflow.recording_bytes",
}
"""The counters, by what they count."""

DURATION = "synthflow.duration"
"""The timer: how long reading, proving, ordering and publishing a window took."""

RECORDINGS_DURATION = "synthflow.recordings_duration"
"""The timer: how long it took until the recordings of a window were there."""

FAILURES = "synthflow.failures"
"""The counter of failures, with the class of the error as the tag ``error``."""


def emit(counts: Mapping[str, int], seconds: float, tags: Mapping[str, str], *, timer: str = DURATION) -> None:
    """Hand the numbers of one window, by the names of :data:`COUNTERS`, to Airflow's metrics."""
    _count(counts, tags)
    Stats.timing(timer, dt.timedelta(seconds=seconds), tags=dict(tags))


class Failures:
    """The failures of a task, whatever the error, each counted once; what is passing is none."""

    def __init__(self, tags: Mapping[str, str], passing: tuple[type[BaseException], ...]) -> None:
        self._tags = tags
        self._passing = passing
        self._counted = False

    @contextlib.contextmanager
    def of_task(self) -> Iterator[None]:
        """Count what fails in the context, unless it failed of a window that is counted already."""
        try:
            yield
        except self._passing:
            raise
        except BaseException as error:
            if not self._counted:
                emit_failure(error, {}, self._tags)
            raise

    @contextlib.contextmanager
    def of_window(self, model_id: str, client: SynthflowClient) -> Iterator[dict[str, str]]:
        """Give the tags of a window, and count it where it fails in the context, with what was sent for it."""
        tags = {**self._tags, "model_id": model_id}
        before = _sent_by(client)
        try:
            yield tags
        except self._passing:
            raise
        except BaseException as error:
            self._counted = True
            emit_failure(error, {name: count - before[name] for name, count in _sent_by(client).items()}, tags)
            raise


def _sent_by(client: SynthflowClient) -> dict[str, int]:
    return {name: getattr(client, name) for name in ("requests", "retries", "waits")}


def emit_failure(error: BaseException, counts: Mapping[str, int], tags: Mapping[str, str]) -> None:
    """Count a failure, and what was sent for it."""
    _count(counts, tags)
    Stats.incr(FAILURES, tags={**tags, "error": type(error).__name__})


def _count(counts: Mapping[str, int], tags: Mapping[str, str]) -> None:
    for name, counter in COUNTERS.items():
        if counts.get(name):
            Stats.incr(counter, count=counts[name], tags=dict(tags))
