# SPDX-License-Identifier: Apache-2.0
"""The trigger: new calls, for a deferred sensor, and on Airflow 3 for an asset's watcher."""

from __future__ import annotations

import datetime as dt
import warnings
from contextlib import AsyncExitStack, aclosing
from functools import partial
from typing import TYPE_CHECKING, Any

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:  # Airflow 2, which has no watchers: there the trigger serves the sensor alone
    from airflow.triggers.base import BaseTrigger as BaseEventTrigger  # type: ignore[assignment]
    from airflow.triggers.base import TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Hashable

    from airflow_provider_synthflow.timestamps import InstantLike
    from airflow_provider_synthflow.triggers.new_calls import NewCallsPolls

__all__ = ["SynthflowNewCallsTrigger"]


class SynthflowNewCallsTrigger(BaseEventTrigger):
    """
    A wait for new calls without a worker, in the triggerer.

    In an ``AssetWatcher`` it announces the cells of a time grid: each once it is over and settled and holds calls, at
    the most one event a poll. With ``from_date`` it serves the deferred sensor and sends one event, when there are
    enough calls or the time is over. An event holds counts and bounds, never data of a call.

    All that is given is stored in Airflow's database. An argument that this version does not know, as another version
    may have stored it, is kept, and otherwise passed over with a warning.

    :param model_id: the agent's id
    :param window: the width of a cell, whole seconds or a timedelta; cells are aligned to 1970 UTC; default 15 minutes.
        The calls of a cell make one result, so do not change it for an existing table
    :param settle: how long after its end a cell may still change, seconds or a timedelta, like the operator's
        ``settle``; default one hour
    :param min_calls: for a watcher: collect this many calls before an event; for the sensor: how many to wait for;
        default 1
    :param poll_interval: seconds between two polls, or a timedelta; default 60
    :param lookback: where to start if Airflow has no cursor for the asset (before Airflow 3.3, and at the first start):
        this long before the newest settled time, seconds or a timedelta; default one day
    :param max_gather: how long settled calls may wait for ``min_calls`` before an event comes without them, seconds or
        a timedelta; default one day
    :param max_failures: how many polls in a row may fail before the trigger fails; default 10
    :param call_status: the API's filter: one status
    :param duration_min: the API's filter: seconds, inclusive
    :param duration_max: the API's filter: seconds, inclusive
    :param lead_phone_number: the API's filter: caller or callee, E.164
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default``
    :param from_date: for the sensor: count calls from here on, inclusive: an aware datetime, epoch milliseconds or ISO
        8601 with a zone
    :param to_date: for the sensor: count calls before this, exclusive, likewise; default: now, at each poll
    :param deadline: for the sensor: when to give up, likewise; default: never
    :param exponential_backoff: for the sensor: let the interval grow, as in Airflow's sensors
    :param max_wait: for the sensor: the longest interval when it grows, in seconds
    """

    def __init__(
        self,
        model_id: str,
        *,
        window: dt.timedelta | float | None = None,
        settle: dt.timedelta | float | None = None,
        min_calls: int | None = None,
        poll_interval: dt.timedelta | float | None = None,
        lookback: dt.timedelta | float | None = None,
        max_gather: dt.timedelta | float | None = None,
        max_failures: int | None = None,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        synthflow_conn_id: str | None = None,
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        deadline: InstantLike | None = None,
        exponential_backoff: bool | None = None,
        max_wait: float | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own
        named = {
            "model_id": model_id,
            "window": window,
            "settle": settle,
            "min_calls": min_calls,
            "poll_interval": poll_interval,
            "lookback": lookback,
            "max_gather": max_gather,
            "max_failures": max_failures,
            "call_status": call_status,
            "duration_min": duration_min,
            "duration_max": duration_max,
            "lead_phone_number": lead_phone_number,
            "synthflow_conn_id": synthflow_conn_id,
            "from_date": from_date,
            "to_date": to_date,
            "deadline": deadline,
            "exponential_backoff": exponential_backoff,
            "max_wait": max_wait,
        }
        self._given = {
            name: _plain(value) for name, value in {**named, **unknown}.items() if value is not None
        }  # nothing is checked here: an error would end the triggerer that reads the trigger from the database
        self._for_sensor = from_date is not None
        self.supports_triggerer_queue = self._for_sensor
        self._open = AsyncExitStack()
        if unknown:
            warnings.warn(
                f"SynthflowNewCallsTrigger does not know {', '.join(sorted(unknown))}: misspelt, or stored by another "
                "version of airflow-provider-synthflow. It has no effect.",
                stacklevel=2,
            )

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and what it was given: durations in seconds, instants as ISO 8601."""
        return f"{type(self).__module__}.{type(self).__qualname__}", dict(self._given)

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the events: for a sensor one, also of an error; for a watcher without end, or until an error."""
        if self._for_sensor:
            yield _event(await self._polls().wait())
            return
        async with aclosing(self.filter_shared_stream(None)) as events:
            async for event in events:
                yield event

    async def cleanup(self) -> None:
        """Give back what is still held."""
        await self._open.aclose()

    def shared_stream_key(self) -> Hashable | None:
        """Return what watchers have in common that share their polls; a sensor shares none."""
        return None if self._for_sensor else self._polls().stream_key

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """Return what polls for all watchers with the same key, and moves their cursors once events are stored."""
        return cls(**kwargs)._polls().share()  # noqa: SLF001 - its own class

    async def filter_shared_stream(
        self, shared_stream: AsyncIterator[Any] | None
    ) -> AsyncGenerator[TriggerEvent, None]:
        """Yield this watcher's events, of polls that it shares, or of its own."""
        try:
            states = getattr(self, "asset_state_store", None)
            polls, announcer, cursor = await self._polls().begin(self._open, states, shared_stream)
            noted = None
            async for poll in polls:
                payload = announcer.next_event(poll)
                if payload is not None:
                    yield _event(payload)
                    announcer.announced(payload["count"])
                if announcer.cursor != noted:
                    noted = announcer.cursor
                    poll.on_stored.append(partial(cursor.write, noted))
        finally:
            await self._open.aclose()

    def _polls(self) -> NewCallsPolls:
        from airflow_provider_synthflow.triggers.new_calls import NewCallsPolls  # noqa: PLC0415 - the triggerer's part

        return NewCallsPolls(self._given)


def _plain(value: Any) -> Any:
    """Return what was given as JSON holds it."""
    if isinstance(value, dt.timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's own
