# SPDX-License-Identifier: Apache-2.0
"""The work of a sensor on its worker: one poll, and the trigger that goes on polling."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowWindowError
from airflow_provider_synthflow.hooks.connection import read_connection
from airflow_provider_synthflow.hooks.query import warn_of_status
from airflow_provider_synthflow.parameters import FILTERS
from airflow_provider_synthflow.polling.poll import Poll, poll
from airflow_provider_synthflow.timestamps import format_instant
from airflow_provider_synthflow.triggers.synthflow import SynthflowNewCallsTrigger
from airflow_provider_synthflow.window.run import windows_of_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

__all__ = ["NewCallsWait"]

log = logging.getLogger(__name__)


class NewCallsWait:
    """The wait of a sensor for a number of calls since an instant."""

    def __init__(self, parameters: Mapping[str, Any], context: Context) -> None:
        asked = SimpleNamespace(**parameters)
        query = CallsQuery(asked.model_id, **{name: getattr(asked, name) for name in FILTERS})
        from_ms, to_ms = asked.from_date, asked.to_date
        if from_ms is None:
            from_ms = windows_of_run(context, model_id=query.model_id).windows[0].from_ms
        if to_ms is not None and to_ms <= from_ms:
            msg = "from_date is not before to_date, so no call can ever match. Give an earlier from_date."
            raise SynthflowWindowError(msg)

        self._conn_id = asked.synthflow_conn_id
        self._poll = Poll(query, from_ms, to_ms, asked.min_calls)

    def poll(self) -> dict[str, Any] | None:
        """Ask once, and return the sensor's result where there are enough calls."""
        if self._poll.lies_ahead:
            return None
        warn_of_status(self._poll.query)
        # One try: the next poke is the next one, and the sensor's timeout counts.
        with SynthflowClient(replace(read_connection(self._conn_id), max_attempts=1)) as client:
            poll(client, self._poll)
        result = self._poll.result()
        log.info("%d of %d calls since %s.", result["count"], self._poll.min_calls, result["from_date"])
        return result if self._poll.satisfied else None

    def make_trigger(
        self,
        deadline: dt.datetime,
        *,
        poll_interval: dt.timedelta | float,
        exponential_backoff: bool,
        max_wait: dt.timedelta | float | None,
    ) -> SynthflowNewCallsTrigger:
        """Return what goes on polling in the triggerer."""
        asked = self._poll
        return SynthflowNewCallsTrigger(
            model_id=asked.query.model_id,
            from_date=format_instant(asked.from_ms),
            to_date=None if asked.to_ms is None else format_instant(asked.to_ms),
            min_calls=asked.min_calls,
            poll_interval=poll_interval,
            exponential_backoff=True if exponential_backoff else None,
            max_wait=max_wait.total_seconds() if isinstance(max_wait, dt.timedelta) else max_wait,
            deadline=deadline.isoformat(timespec="milliseconds"),
            synthflow_conn_id=self._conn_id,
            **asked.query.filters(),
        )
