# SPDX-License-Identifier: Apache-2.0
"""A watch reads what its announcers want, soon where they lag behind, and patiently where there is trouble."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.polling.time_grid import CellAnnouncer
from airflow_provider_synthflow.polling.watch import Watch
from tests.synthflow_server import TEST_KEY, Fault
from tests.unit.making import AGENT, DAY


@pytest.fixture
def waits(mocker):
    """Let the time between two looks pass at once, and return how long each wait would have been."""
    waited = []

    async def wait(self, seconds):
        waited.append(seconds)
        await asyncio.sleep(0)

    mocker.patch.object(AsyncSynthflowClient, "wait", wait)
    return waited


def watch_of(url: str, *, days: int, most_failures: int = 10) -> Watch:
    """Return a watch with an announcer that lags so many days behind."""

    async def settings() -> Settings:
        return Settings(url, TEST_KEY, max_attempts=1)

    watch = Watch(CallsQuery(AGENT), settings)
    announcer = CellAnnouncer(AGENT, width_ms=900_000, settle_ms=0, start_ms=time.time_ns() // 1_000_000 - days * DAY)
    watch.join(announcer, interval=60, most_failures=most_failures)
    return watch


@pytest.mark.parametrize("days", [1, 5])
def test_waits_after_trouble_are_as_long_as_they_are_to_be_however_far_it_lags_behind(synthflow, waits, days):
    server = synthflow((), faults=[Fault(status=503)])
    watch = watch_of(server.url, days=days, most_failures=9)

    async def look() -> None:
        async with aclosing(watch.polls()) as polls:
            async for _ in polls:
                raise AssertionError

    with pytest.raises(SynthflowTransientError):
        asyncio.run(look())

    after_errors = waits[1:]
    assert len(after_errors) == 8
    assert all(later > sooner for sooner, later in zip(after_errors, after_errors[2:], strict=False))
    assert after_errors[-1] > 40


def test_a_watch_that_lags_behind_looks_again_soon(synthflow, waits):
    server = synthflow(())
    watch = watch_of(server.url, days=12)

    async def look() -> list[int]:
        read = []
        async with aclosing(watch.polls()) as polls:
            async for found in polls:
                for announcer in watch._members:
                    announcer.next_event(found)
                read.append(found.to_ms - found.from_ms)
                if sum(read) > 11 * DAY:
                    return read
        raise AssertionError

    assert asyncio.run(look())[:4] == [2 * DAY] * 4
    assert max(waits[:4]) <= 5
