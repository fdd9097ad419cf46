# SPDX-License-Identifier: Apache-2.0
"""The trigger: new calls, for a deferred sensor, and on Airflow 3 for an asset's watcher."""

from __future__ import annotations

import asyncio
import datetime as dt
import warnings
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.parameters import given

try:
    from airflow.triggers.base import BaseEventTrigger, TriggerEvent
except ImportError:  # Airflow 2, which has no watchers: there the trigger serves the sensor alone
    from airflow.triggers.base import BaseTrigger as BaseEventTrigger  # type: ignore[assignment]
    from airflow.triggers.base import TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.polling.poll import Poll
    from airflow_provider_synthflow.polling.time_grid import CellAnnouncer
    from airflow_provider_synthflow.polling.watch import PollResult, Watch
    from airflow_provider_synthflow.timestamps import InstantLike
    from airflow_provider_synthflow.triggers.cursor import Cursor

__all__ = ["SynthflowNewCallsTrigger"]

_FILTERS = ("call_status", "duration_min", "duration_max", "lead_phone_number")
_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Watch]] = WeakKeyDictionary()


class SynthflowNewCallsTrigger(BaseEventTrigger):
    """
    Look for new calls without a worker, in the triggerer.

    In an ``AssetWatcher`` it announces the cells of a time grid: each once it is over and settled and holds calls, at
    the most one event a look. With ``from_date`` it serves the deferred sensor and sends one event, when there are
    enough calls or the time is over. An event holds counts and bounds, never data of a call.

    All that is given is stored in Airflow's database. An argument that this version does not know, as another version
    may have stored it, is kept, and otherwise passed over with a warning.

    :param model_id: the agent's id
    :param window: the width of a cell, whole seconds or a timedelta; cells are aligned to 1970 UTC; default 15 minutes.
        The calls of a cell make one result, so do not change it for a table that is there
    :param settle: how long after its end a cell may still change, seconds or a timedelta, as the operator's
        ``settle``; default one hour
    :param min_calls: for a watcher: gather this many calls before they are announced; for the sensor: how many to wait
        for; default 1
    :param poll_interval: seconds between two looks, or a timedelta; default 60
    :param lookback: where to begin where Airflow keeps no cursor for the asset (before Airflow 3.3, and at the very
        first start): so long before what is settled now, seconds or a timedelta; default one day
    :param max_gather: how long settled calls may wait for ``min_calls``; then they are announced without them; seconds
        or a timedelta; default one day
    :param max_failures: how many looks in a row may fail before the trigger does; default 10
    :param call_status: the API's filter: one status
    :param duration_min: the API's filter: seconds, inclusive
    :param duration_max: the API's filter: seconds, inclusive
    :param lead_phone_number: the API's filter: caller or callee, E.164
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default``
    :param from_date: for the sensor: count calls from here on, inclusive: an aware datetime, epoch milliseconds or ISO
        8601 with a zone
    :param to_date: for the sensor: count calls before this, exclusive, likewise; default: now, at each look
    :param deadline: for the sensor: when to give up, likewise; default: never
    :param exponential_backoff: for the sensor: let the interval grow, as Airflow's sensors do
    :param max_wait: for the sensor: seconds, the cap on an interval that grows
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
        """
        Yield the events: for a sensor one, for a watcher without end.

        :raises SynthflowError: typed; only for a watcher, since a sensor is told by its event
        """
        if self._for_sensor:
            yield _event(await self._wait_for_calls())
            return
        try:
            watch, announcer, _ = await self._begin()
            polls = await self._open.enter_async_context(aclosing(watch.polls()))
            async for look in polls:
                payload = _take(announcer, look, watch.clock())
                if payload is not None:
                    yield _event(payload)
                    announcer.announced(payload["count"])
        finally:
            await self._open.aclose()

    async def cleanup(self) -> None:
        """Give back what is still held."""
        await self._open.aclose()

    def shared_stream_key(self) -> Hashable | None:
        """Return what watchers have in common that share their looks; a sensor shares none."""
        if self._for_sensor:
            return None
        query = self._query()
        return ("synthflow", self._conn_id, query.model_id, *sorted(query.filters().items()))

    @classmethod
    def create_shared_stream_producer(cls, kwargs: dict[str, Any]) -> Any:
        """
        Return what looks for all watchers with the same key, and moves their cursors once their events are stored.

        :param kwargs: what one of them was given
        """
        from airflow_provider_synthflow.triggers.shared_stream import SharedPolls  # noqa: PLC0415 - new in Airflow 3.3

        return SharedPolls(cls(**kwargs)._watch())  # noqa: SLF001 - its own class

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """
        Yield this watcher's events.

        :param shared_stream: the looks
        :raises SynthflowConfigError: where what was given is wrong
        """
        try:
            watch, announcer, cursor = await self._begin()
            noted = None
            async for look in shared_stream:
                payload = _take(announcer, look, watch.clock())
                if payload is not None:
                    yield _event(payload)
                    announcer.announced(payload["count"])
                if announcer.cursor != noted:
                    noted = announcer.cursor
                    look.on_stored.append(partial(cursor.write, noted))
        finally:
            await self._open.aclose()

    # what it was given

    @property
    def _conn_id(self) -> str:
        return str(self._given.get("synthflow_conn_id", "synthflow_default"))

    def _query(self) -> CallsQuery:
        from airflow_provider_synthflow.parameters import read_query  # noqa: PLC0415 - only in the triggerer

        filters = {name: given(self._given.get(name)) for name in _FILTERS}
        try:
            return read_query(self._given["model_id"], **filters)
        except ValueError as error:
            raise SynthflowConfigError(str(error)) from None

    def _milliseconds(self, name: str, default: float, *, least: int = 0) -> int:
        from airflow_provider_synthflow.parameters import milliseconds_of  # noqa: PLC0415 - only in the triggerer

        duration = milliseconds_of(self._given.get(name, default), name=name)
        if duration < least:
            msg = f"{name} must be {least / 1000:g} s at the least."
            raise SynthflowConfigError(msg)
        return duration

    def _whole(self, name: str, default: int) -> int:
        value = self._given.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            msg = f"{name} must be a whole number from 1."
            raise SynthflowConfigError(msg)
        return value

    def _instant(self, name: str) -> int | None:
        from airflow_provider_synthflow.timestamps import to_milliseconds  # noqa: PLC0415 - only in the triggerer

        value = given(self._given.get(name))
        try:
            return None if value is None else to_milliseconds(value, name=name)
        except ValueError as error:
            raise SynthflowConfigError(str(error)) from None

    # for a sensor

    async def _wait_for_calls(self) -> dict[str, Any]:
        """Wait until there are enough calls, and return what the sensor is to be told."""
        from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient  # noqa: PLC0415 - loads httpx
        from airflow_provider_synthflow.polling.backoff import PollSchedule  # noqa: PLC0415 - only in the triggerer
        from airflow_provider_synthflow.polling.poll import wait_for_calls  # noqa: PLC0415 - likewise

        try:
            patience = PollSchedule(
                self._milliseconds("poll_interval", 60) / 1000,
                exponential=bool(self._given.get("exponential_backoff")),
                longest=self._milliseconds("max_wait", 0) / 1000 or None,
            )
            poll, deadline = self._poll(), self._instant("deadline")
            settings = await self._settings_in_time(patience, deadline)
            if settings is None:
                return {"status": "timeout"}
            # One try: the next look is the next one, and the deadline counts.
            client = await self._open.enter_async_context(AsyncSynthflowClient.open(replace(settings, max_attempts=1)))
            found = await wait_for_calls(client, poll, patience, deadline_ms=deadline)
        except SynthflowError as error:
            return {"status": "error", "error": type(error).__name__, "message": str(error)}
        finally:
            await self._open.aclose()
        return {"status": "timeout"} if found is None else {"status": "success", **found.result()}

    async def _settings_in_time(self, patience: Any, deadline_ms: int | None) -> Settings | None:
        """Read the connection, again and again while Airflow cannot tell it, until the deadline."""
        while True:
            try:
                settings = await _settings_of(self._conn_id)
            except SynthflowTransientError as error:  # noqa: PERF203 - a connection is not read often
                pause = patience.after_error(error)
                if deadline_ms is not None and _now_ms() + pause * 1000 > deadline_ms:
                    await asyncio.sleep(max(0.0, (deadline_ms - _now_ms()) / 1000))
                    return None
                await asyncio.sleep(pause)
            else:
                patience.failures = 0
                return settings

    def _poll(self) -> Poll:
        from airflow_provider_synthflow.polling.poll import Poll  # noqa: PLC0415 - only in the triggerer

        from_ms, to_ms = self._instant("from_date"), self._instant("to_date")
        return Poll(
            query=self._query(),
            from_ms=from_ms or 0,
            to_ms=_now_ms() if to_ms is None else to_ms,
            to_given=to_ms is not None,
            min_calls=self._whole("min_calls", 1),
        )

    # for a watcher

    def _watch(self) -> Watch:
        """Return the watch that this loop's watchers with the same key share."""
        from airflow_provider_synthflow.polling.watch import Watch  # noqa: PLC0415 - loads httpx

        watches = _watches.setdefault(asyncio.get_running_loop(), {})
        key = self.shared_stream_key()
        if key not in watches:
            watches[key] = Watch(self._query(), partial(_settings_of, self._conn_id))
        return watches[key]

    async def _begin(self) -> tuple[Watch, CellAnnouncer, Cursor]:
        """Get ready to announce; after a failure not at once, though Airflow starts the trigger again at once."""
        from airflow_provider_synthflow.polling.watch import beginning  # noqa: PLC0415 - loads httpx

        async with beginning(repr(sorted(self._given.items()))):
            watch, cursor = self._watch(), self._cursor()
            announcer = await self._announcer(watch, cursor)
            self._join(watch, announcer)
            return watch, announcer, cursor

    def _join(self, watch: Watch, announcer: CellAnnouncer) -> None:
        interval = self._milliseconds("poll_interval", 60, least=1000) / 1000
        watch.join(self, announcer, interval=interval, most_failures=self._whole("max_failures", 10))
        self._open.callback(watch.leave, self)

    async def _announcer(self, watch: Watch, cursor: Cursor) -> CellAnnouncer:
        """Make what announces the cells, from the cursor on, or from where it begins without one."""
        from airflow_provider_synthflow.polling.time_grid import CellAnnouncer  # noqa: PLC0415 - only in the triggerer

        width_ms, settle_ms = self._milliseconds("window", 900, least=1000), self._milliseconds("settle", 3600)
        if width_ms % 1000:
            msg = "window must be a whole number of seconds."
            raise SynthflowConfigError(msg)
        settled_ms = max(0, watch.clock() - settle_ms)
        start_ms = await cursor.read(max(0, settled_ms - self._milliseconds("lookback", 86_400)))
        return CellAnnouncer(
            str(self._given["model_id"]).strip(),
            width_ms=width_ms,
            settle_ms=settle_ms,
            start_ms=min(start_ms, settled_ms),
            min_calls=self._whole("min_calls", 1),
            gather_ms=self._milliseconds("max_gather", 86_400),
        )

    def _cursor(self) -> Cursor:
        """Return the cursor in the asset's state: one for each agent, connection, filter and grid."""
        import hashlib  # noqa: PLC0415 - only in the triggerer

        from airflow_provider_synthflow.triggers.cursor import Cursor  # noqa: PLC0415 - likewise

        # A filter may be a telephone number, which must not stand in a name.
        named = repr((self.shared_stream_key(), self._milliseconds("window", 900))).encode()
        key = f"synthflow_announced_to_{hashlib.sha256(named).hexdigest()[:16]}"
        return Cursor(getattr(self, "asset_state_store", None), key)


def _plain(value: Any) -> Any:
    """Return what was given as JSON holds it."""
    if isinstance(value, dt.timedelta):
        seconds = value.total_seconds()
        return int(seconds) if seconds == int(seconds) else seconds
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _take(announcer: CellAnnouncer, look: PollResult, now_ms: int) -> dict[str, Any] | None:
    """Tell an announcer of a look, and return the payload of the event that is due."""
    announcer.take(look.from_ms, look.to_ms, look.starts, look.now_ms)
    return announcer.event(now_ms)


async def _settings_of(conn_id: str) -> Settings:
    """Read the connection; what Airflow's API or a secrets backend had is trouble that may pass."""
    from airflow_provider_synthflow.hooks.connection import aread_connection  # noqa: PLC0415 - only in the triggerer

    try:
        return await aread_connection(conn_id)
    except SynthflowError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it was
        kind = type(error).__name__
    msg = f"Airflow could not read the connection '{conn_id}' ({kind})."
    raise SynthflowTransientError(msg)


def _event(payload: dict[str, Any]) -> TriggerEvent:
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's own


def _now_ms() -> int:
    return int(dt.datetime.now(dt.timezone.utc).timestamp() * 1000)
