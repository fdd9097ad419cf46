# SPDX-License-Identifier: Apache-2.0
"""Watch an agent for new calls, for any number of announcers that share one poll. Plain Python on an event loop."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowIncompleteError
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.pagination.fetch import aread_pages
from airflow_provider_synthflow.pagination.walk import Walk
from airflow_provider_synthflow.polling.backoff import Backoff, PollSchedule
from airflow_provider_synthflow.polling.poll import PASSING
from airflow_provider_synthflow.polling.time_grid import PollResult
from airflow_provider_synthflow.timestamps import now_ms
from airflow_provider_synthflow.window.window import Window

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.polling.time_grid import CellAnnouncer

__all__ = ["Watch", "beginning"]

log = logging.getLogger(__name__)

_SOON = 5.0
"""Seconds after which one who joined, or has more to announce or to read, is served."""

_HOLD_OFF = 60.0
"""Seconds before what could not begin does so again."""

_hold_offs: dict[str, Backoff] = {}
"""Of what could not even begin."""


@asynccontextmanager
async def beginning(what: str, rest: Callable[[float], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """Wait before a new beginning of what has failed to begin, known by its text."""
    hold_off = _hold_offs.get(what) or Backoff(_HOLD_OFF)
    await rest(hold_off.left)
    try:
        yield
    except Exception:
        hold_off.failed(_HOLD_OFF)
        _hold_offs[what] = hold_off
        await rest(0)  # what came meanwhile is not left behind
        raise
    _hold_offs.pop(what, None)


@dataclass
class _Member:
    """The needs of an announcer that shares the polls."""

    interval: float
    most_failures: int
    assets: Sequence[str]


class Watch:
    """The polls for the calls of one agent, again and again, as those who joined need it."""

    def __init__(self, query: CallsQuery, read_settings: Callable[[], Awaitable[Settings]]) -> None:
        self.query = query
        self._read_settings = read_settings
        self._members: dict[CellAnnouncer, _Member] = {}
        self._joined = asyncio.Event()
        self._has_newcomer = False
        self._hold_off = Backoff()  # Airflow starts a watcher that failed again at once

    def join(
        self, announcer: CellAnnouncer, *, interval: float, most_failures: int, assets: Sequence[str] = ()
    ) -> None:
        """Add an announcer, whose needs the polls then cover."""
        self._members[announcer] = _Member(interval, most_failures, assets)
        self._joined.set()
        self._has_newcomer = True

    def leave(self, announcer: CellAnnouncer) -> None:
        """Remove an announcer."""
        self._members.pop(announcer, None)
        if not self._members:
            self._joined.clear()

    def hold_off(self) -> None:
        """Delay the next start of the polls by an interval, or twice as long as the last time."""
        self._hold_off.failed(self._interval)

    async def polls(self) -> AsyncGenerator[PollResult, None]:
        """Yield one poll after the other, without end."""
        await asyncio.sleep(self._hold_off.left)
        try:
            settings = await self._read_settings()
            async with AsyncSynthflowClient.open(settings) as client, aclosing(self._poll_by(client)) as polls:
                async for poll in polls:
                    yield poll
        except Exception as error:
            self.hold_off()
            said = error if isinstance(error, SynthflowError) else type(error).__name__
            log.error("The watch of %s ends: %s", self._name, said)  # noqa: TRY400 - typed, says all
            raise

    async def _poll_by(self, client: AsyncSynthflowClient) -> AsyncGenerator[PollResult, None]:
        schedule = PollSchedule(self._interval)
        pause = schedule.at_first(client.companions)
        while True:
            await self._rest(client, pause, unbroken=schedule.failures > 0)
            schedule.interval = max(self._interval, 1.0)
            try:
                poll = await self._poll(client)
            except (*PASSING, SynthflowIncompleteError) as error:
                pause = schedule.after_error(error)
                if schedule.failures >= min((each.most_failures for each in self._members.values()), default=1):
                    raise
                failed = f"Poll {schedule.failures} in a row failed. Next poll in {pause:.0f} s"
                log.warning("%s; %s: %s", failed, self._name, error)
                continue
            self._hold_off.succeeded()
            yield poll
            pause = schedule.after_poll()

    @property
    def _name(self) -> str:
        """Return the agent and the assets of the watch, for logs."""
        assets = sorted({name for each in self._members.values() for name in each.assets})
        return f"agent {self.query.model_id}" + (f" for {', '.join(assets)}" if assets else "")

    @property
    def _interval(self) -> float:
        return min((each.interval for each in self._members.values()), default=60.0)

    async def _rest(self, client: AsyncSynthflowClient, pause: float, *, unbroken: bool) -> None:
        """Wait between two polls, less where someone has more to announce or lags behind, but not after an error."""
        while pause > 0:
            step = pause if unbroken else min(pause, _SOON)
            await client.wait(step)
            pause -= step
            if self._has_newcomer or self._is_busy():
                break
        await self._joined.wait()
        self._has_newcomer = False

    def _is_busy(self) -> bool:
        now = now_ms()
        for each in self._members:
            wanted = each.wanted(now)
            if each.has_more or (wanted and wanted[1] - wanted[0] > each.longest_read_ms):
                return True
        return False

    async def _poll(self, client: AsyncSynthflowClient) -> PollResult:
        """Read what the one who lags most needs, and as much as possible of what the others need."""
        now = now_ms()
        announcers = list(self._members)
        wanted = [stretch for each in announcers if (stretch := each.wanted(now))]
        if not wanted:
            return PollResult(now, now, now, [])
        from_ms = min(start for start, _ in wanted)
        longest = 2 * max(each.longest_read_ms for each in announcers)
        to_ms = min(max(end for _, end in wanted), from_ms + longest)
        settle_ms = max(each.settle_ms for each in announcers)
        starts = await _read_starts(client, WindowPlan(Window(from_ms, to_ms), self.query, settle_ms))
        return PollResult(from_ms, to_ms, now, starts)


async def _read_starts(client: AsyncSynthflowClient, plan: WindowPlan) -> list[int]:
    """Return the start of each call in a window, proven complete like the extraction of the window."""
    walk = Walk(max_walks=plan.max_walks)
    found: dict[str, tuple[int | None, bool]] = {}
    async for page in aread_pages(walk, partial(client.page, plan.asked), sleep=client.wait):
        found.update((row.call_id, (row.started_ms, row.final)) for row in page.rows)
    calls = [found[key] for key in walk.ids]
    unplaced = sum(start is None and final for start, final in calls)
    if unplaced:
        log.warning("%d final calls have no readable start, so they belong to no cell and are not announced.", unplaced)
    return [start for start, _ in calls if start is not None and start in plan.window]
