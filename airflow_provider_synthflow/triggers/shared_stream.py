# SPDX-License-Identifier: Apache-2.0
"""Polls that several watchers share; their cursors move when their events are stored. Airflow 3.3 and newer."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome
    from typing_extensions import Self

    from airflow_provider_synthflow.polling.time_grid import PollResult
    from airflow_provider_synthflow.polling.watch import Watch

try:
    from airflow.triggers.shared_stream import SharedStreamProducer
except ImportError:  # before Airflow 3.3, which asks for none
    SharedStreamProducer = object  # type: ignore[assignment,misc]

__all__ = ["Cursor", "PollStream", "SharedPolls", "read_asset_names"]

log = logging.getLogger(__name__)


class SharedPolls(SharedStreamProducer):
    """One poll for all watchers of an agent."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def open_stream(self) -> AsyncIterator[tuple[PollResult, PollResult]]:
        """Yield each poll, also as what is handed back once all watchers are done with it."""
        async with aclosing(self._watch.polls()) as polls:
            async for poll in polls:
                yield poll, poll

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Move the cursors of the watchers past what is stored."""
        try:
            for poll, outcome in batch:
                await _move_past(poll, outcome)
        except Exception:
            # Airflow starts the watchers again at once, and they announce again what their cursors are not past.
            self._watch.hold_off()
            raise


async def _move_past(poll: PollResult, outcome: AdvanceOutcome) -> None:
    if outcome.failed:
        msg = "Airflow did not store an event of new calls. The watchers start again from their cursors."
        raise SynthflowTransientError(msg)
    for note in poll.on_stored:
        await note()


class PollStream:
    """The polls as one of the watchers that share them gets them."""

    # A watcher that rests takes them all the same. Airflow counts a poll that a watcher has left behind untaken as lost
    # for all who share it, and then no cursor moves.

    def __init__(self, shared: AsyncIterator[PollResult]) -> None:
        self._shared = shared
        self._next: asyncio.Future[PollResult] | None = None

    def __aiter__(self) -> Self:
        """Return the stream itself."""
        return self

    async def __anext__(self) -> PollResult:
        """Return the next poll."""
        return await self._take(self._wait_for_next())

    async def rest(self, seconds: float) -> None:
        """Let polls pass for a time; those that are there already, where it is none."""
        end = time.monotonic() + seconds
        while True:
            following = self._wait_for_next()
            # Waited for but never cancelled, which would end the stream.
            await asyncio.wait([following], timeout=max(0.0, end - time.monotonic()))
            if not following.done():
                return
            await self._take(following)

    async def aclose(self) -> None:
        """Wait for no poll any more."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)  # asyncio logs an error that nobody looks at

    def _wait_for_next(self) -> asyncio.Future[PollResult]:
        if self._next is None:
            self._next = asyncio.ensure_future(anext(self._shared))
        return self._next

    async def _take(self, following: asyncio.Future[PollResult]) -> PollResult:
        try:
            return await following
        finally:
            self._next = None


class Cursor:
    """The instant before which a watcher has announced every call."""

    # Equal watchers of several assets are one trigger in Airflow. Each of these assets has a cursor in its own state;
    # the one that is behind counts, so that what is announced to all is at the most repeated for some.

    def __init__(self, store: Any, key: str) -> None:
        self._key = key
        self._states = [] if store is None else _list_states(store)

    async def read(self, start_ms: int) -> int:
        """Return where to begin; the start is where an asset begins that has no cursor."""
        try:
            stored = [await state.aget(self._key) for state in self._states]
        except ValueError:  # several assets, in a version of Airflow that hides them better
            log.warning("This watcher has no cursor: Airflow does not separate the states of several assets.")
            self._states = []
            return start_ms
        return min((self._read(each, start_ms) for each in stored), default=start_ms)

    async def write(self, cursor_ms: int) -> None:
        """Move the cursor."""
        for state in self._states:
            await state.aset(self._key, format_instant(cursor_ms))

    @staticmethod
    def _read(stored: Any, start_ms: int) -> int:
        if stored is None:
            return start_ms
        try:
            return to_milliseconds(stored)
        except ValueError:
            log.warning("The asset's state contains a cursor that is not a time: the watcher starts without one.")
            return start_ms


def _list_states(store: Any) -> list[Any]:
    """Return the state of each asset; Airflow's own shortcut to them is for a single one, and gives no names."""
    states = [*getattr(store, "_by_name", {}).values(), *getattr(store, "_by_uri", {}).values()]
    return states or [store]


def read_asset_names(store: Any) -> list[str]:
    """Return the names of the assets whose states a trigger is given; none where Airflow does not tell them."""
    return sorted({*map(str, getattr(store, "_by_name", ())), *map(str, getattr(store, "_by_uri", ()))})
