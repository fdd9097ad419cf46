# SPDX-License-Identifier: Apache-2.0
"""Where the demonstration takes its calls from: the test server, or the real API of one's own workspace."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.synthflow_server import TEST_KEY, SynthflowApi, agent_ids, make_calls, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.synthflow_server.dataset import Call

__all__ = ["Source", "make_demo_calls", "open_source"]

_CALLS = 5_000
_AGENTS = 3
_DAYS = 14
_REAL_DAYS = 7
_SEED = 7
_UNTIL = dt.datetime(2026, 11, 23, tzinfo=dt.timezone.utc)
_DAY = dt.timedelta(days=1)
_SETTLE = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Source:
    """
    Hold what the runs are to read.

    :param title: what it is, for the screen
    :param connection: the Airflow connection, as JSON
    :param agents: the ids of the agents
    :param first: the first day, UTC midnight
    :param days: how many days
    :param held: returns the ids of all calls of these agents and days
    """

    title: str
    connection: str
    agents: list[str]
    first: dt.datetime
    days: int
    held: Callable[[], list[str]]

    @property
    def until(self) -> dt.datetime:
        """Return the end of the last day, exclusive."""
        return self.first + self.days * _DAY


@contextlib.contextmanager
def open_source() -> Iterator[Source]:
    """Give the real API where the environment names a key and an agent, else a test server with seeded calls."""
    key, agents = os.environ.get("SYNTHFLOW_API_KEY"), os.environ.get("SYNTHFLOW_MODEL_ID")
    if key and agents:
        yield _real(key, agents.split(","))
    else:
        with _served() as source:
            yield source


def make_demo_calls() -> list[Call]:
    """Make the calls of the test server, the same each time."""
    first = _milliseconds(_UNTIL - _DAYS * _DAY)
    return make_calls(_SEED, _CALLS, agents=agent_ids(_AGENTS), from_ms=first, to_ms=_milliseconds(_UNTIL))


@contextlib.contextmanager
def _served() -> Iterator[Source]:
    first = _UNTIL - _DAYS * _DAY
    agents = agent_ids(_AGENTS)
    with serve(SynthflowApi(make_demo_calls())) as server:
        yield Source(
            title=f"test server at {server.url} with {_CALLS:,} calls of {_AGENTS} agents",
            connection=json.dumps({"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}),
            agents=list(agents),
            first=first,
            days=_DAYS,
            held=lambda: [call.call_id for call in server.api.all_calls()],
        )


def _real(key: str, agents: list[str]) -> Source:
    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - loads Airflow

    settled = dt.datetime.now(dt.timezone.utc) - _SETTLE
    until = settled.replace(hour=0, minute=0, second=0, microsecond=0)
    first = until - _REAL_DAYS * _DAY
    region, host = os.environ.get("SYNTHFLOW_REGION", "global"), os.environ.get("SYNTHFLOW_HOST")
    connection = json.dumps({"conn_type": "synthflow", "password": key, "host": host, "extra": {"region": region}})

    def held() -> list[str]:
        os.environ["AIRFLOW_CONN_SYNTHFLOW_DEFAULT"] = connection
        with SynthflowHook() as hook:
            return [call["call_id"] for agent in agents for call in hook.list_calls_window(agent, (first, until))]

    return Source(
        title=f"Synthflow's API, {host or f'region {region}'}, agents: {len(agents)}",
        connection=connection,
        agents=agents,
        first=first,
        days=_REAL_DAYS,
        held=held,
    )


def _milliseconds(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
