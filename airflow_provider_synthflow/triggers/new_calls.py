# SPDX-License-Identifier: Apache-2.0
"""The work of a trigger in the triggerer: its arguments, read, and the polls that they ask for."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError, SynthflowTransientError
from airflow_provider_synthflow.hooks.connection import aread_connection
from airflow_provider_synthflow.hooks.query import read_query, warn_of_status
from airflow_provider_synthflow.parameters import (
    FILTERS,
    read_duration,
    read_parameter,
    read_time,
    read_whole,
)
from airflow_provider_synthflow.polling.backoff import PollSchedule
from airflow_provider_synthflow.polling.poll import Poll, wait_for_calls
from airflow_provider_synthflow.polling.time_grid import CellAnnouncer
from airflow_provider_synthflow.polling.watch import Watch, beginning
from airflow_provider_synthflow.timestamps import now_ms
from airflow_provider_synthflow.triggers.shared_stream import Cursor, PollStream, SharedPolls, read_asset_names

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable, Mapping
    from contextlib import AsyncExitStack

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.polling.time_grid import PollResult

__all__ = ["NewCallsPolls"]

_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, Watch]] = WeakKeyDictionary()


class NewCallsPolls:
    """The arguments of a trigger, and its polls."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self._conn_id = str(given.get("synthflow_conn_id", "synthflow_default"))

    @property
    def stream_key(self) -> Hashable:
        """Return what watchers have in common that share their polls."""
        query = self._make_query()
        return ("synthflow", self._conn_id, query.model_id, *sorted(query.filters().items()))

    async def wait(self) -> dict[str, Any]:
        """Wait until there are enough calls, and return what the sensor is to be told."""
        try:
            schedule, poll = self._make_schedule(), self._make_poll()
            settings = await self._read_settings_in_time(schedule)
            found = None
            if settings is not None:
                # One try: the next poll is the next one, and the deadline counts.
                async with AsyncSynthflowClient.open(replace(settings, max_attempts=1)) as client:
                    found = await wait_for_calls(client, poll, schedule, deadline_ms=self._deadline_ms)
        except SynthflowError as error:
            return {"status": "error", "error": type(error).__name__, "message": str(error)}
        if found is not None:
            return {"status": "success", **found.result()}
        last = schedule.error
        return {"status": "timeout"} | ({} if last is None else {"error": type(last).__name__, "message": str(last)})

    def find_watch(self) -> Watch:
        """Return the watch that this loop's watchers with the same key share."""
        watches = _watches.setdefault(asyncio.get_running_loop(), {})
        key = self.stream_key
        if key not in watches:
            watches[key] = Watch(self._make_query(), self._read_settings)
        return watches[key]

    def share(self) -> SharedPolls:
        """Return what polls for all watchers with the same key."""
        return SharedPolls(self.find_watch())

    async def begin(
        self, stack: AsyncExitStack, asset_states: Any, shared_stream: AsyncIterator[PollResult] | None
    ) -> tuple[AsyncIterator[PollResult], CellAnnouncer, Cursor]:
        """Get ready to announce; after a failure not at once, though Airflow starts the trigger again at once."""
        shared = None
        if shared_stream is not None:
            shared = await stack.enter_async_context(aclosing(PollStream(shared_stream)))
        async with beginning(repr(sorted(self._given.items())), asyncio.sleep if shared is None else shared.rest):
            watch, cursor = self.find_watch(), self._make_cursor(asset_states)
            announcer = await self._make_announcer(cursor)
            watch.join(
                announcer,
                interval=self._milliseconds("poll_interval", 60, least=1000) / 1000,
                most_failures=self._whole("max_failures", 10),
                assets=read_asset_names(asset_states),
            )
            stack.callback(watch.leave, announcer)
        if shared is not None:
            return shared, announcer, cursor
        return await stack.enter_async_context(aclosing(watch.polls())), announcer, cursor

    @property
    def _deadline_ms(self) -> int | None:
        return self._time("deadline")

    def _make_query(self) -> CallsQuery:
        filters = {name: self._given.get(name) for name in FILTERS}
        query: CallsQuery = read_parameter(
            lambda model_id, _: read_query(model_id, **filters), self._given["model_id"], "model_id"
        )
        return query

    def _make_schedule(self) -> PollSchedule:
        return PollSchedule(
            self._milliseconds("poll_interval", 60) / 1000,
            exponential=bool(self._given.get("exponential_backoff")),
            longest=self._milliseconds("max_wait", 0) / 1000 or None,
        )

    def _make_poll(self) -> Poll:
        from_ms, to_ms = self._time("from_date") or 0, self._time("to_date")
        return Poll(self._make_query(), from_ms, to_ms, self._whole("min_calls", 1))

    def _make_cursor(self, asset_states: Any) -> Cursor:
        """Return the cursor in the assets' state: one for each agent, connection, filter and grid."""
        # A filter may be a telephone number, which must not stand in a name.
        named = repr((self.stream_key, self._milliseconds("window", 900))).encode()
        return Cursor(asset_states, f"synthflow_announced_to_{hashlib.sha256(named).hexdigest()[:16]}")

    async def _make_announcer(self, cursor: Cursor) -> CellAnnouncer:
        """Return what announces the cells, from the cursor on, or from where it begins without one."""
        width_ms, settle_ms = self._milliseconds("window", 900, least=1000), self._milliseconds("settle", 3600)
        if width_ms % 1000:
            raise SynthflowConfigError("window must be a whole number of seconds.")
        query = self._make_query()
        warn_of_status(query)
        settled_ms = max(0, now_ms() - settle_ms)
        start_ms = await cursor.read(max(0, settled_ms - self._milliseconds("lookback", 86_400)))
        return CellAnnouncer(
            query.model_id,
            width_ms=width_ms,
            settle_ms=settle_ms,
            start_ms=min(start_ms, settled_ms),
            min_calls=self._whole("min_calls", 1),
            gather_ms=self._milliseconds("max_gather", 86_400),
        )

    async def _read_settings(self) -> Settings:
        """Read the connection."""
        try:
            return await aread_connection(self._conn_id)
        except SynthflowError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was
            kind = type(error).__name__
        raise SynthflowTransientError(f"Airflow could not read the connection '{self._conn_id}' ({kind}).")

    async def _read_settings_in_time(self, schedule: PollSchedule) -> Settings | None:
        """Read the connection, again and again while Airflow cannot tell it, until the deadline; then return None."""
        deadline_ms = self._deadline_ms
        while True:
            try:
                settings = await self._read_settings()
            except SynthflowTransientError as error:  # noqa: PERF203 - a connection is not read often
                pause = schedule.after_error(error)
                left = float("inf") if deadline_ms is None else max(0.0, deadline_ms / 1000 - time.time())
                await asyncio.sleep(min(pause, left))
                if pause > left:
                    return None
            else:
                schedule.recover()
                return settings

    def _milliseconds(self, name: str, default: float, *, least: int = 0) -> int:
        return int(read_parameter(partial(read_duration, least=least), self._given.get(name, default), name))

    def _whole(self, name: str, default: int) -> int:
        return int(read_parameter(read_whole, self._given.get(name, default), name))

    def _time(self, name: str) -> int | None:
        value = self._given.get(name)
        return None if value is None else int(read_parameter(read_time, value, name))
