# SPDX-License-Identifier: Apache-2.0
"""How large a run of the fleet is, and which calls there are."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from tests.synthflow_server import agent_ids, make_calls

if TYPE_CHECKING:
    from tests.synthflow_server import Call

__all__ = ["Plan"]

_SEED = 7
_DAY = dt.timedelta(days=1)


@dataclass(frozen=True)
class Plan:
    """
    Say how large it all is.

    :param first: the first day, as ISO 8601
    :param days: how many days
    :param agents: how many agents
    :param calls: how many calls all of them made
    :param agents_a_task: how many agents one task of the backfill reads
    :param latency: seconds before each answer of the API
    :param limit: requests a minute that a key may send
    :param faults: the share of requests that are answered wrongly
    :param slots: slots of the pool, so many tasks extract at the same time
    :param kills: how often a worker is killed
    :param sensors: how many deferred sensors wait
    :param scheduled_days: how many days the scheduled DAG reads beside the backfill
    :param lost_days: how many days are lost from the bucket afterwards, and extracted again
    """

    first: str
    days: int = 60
    agents: int = 10
    calls: int = 20_000
    agents_a_task: int = 5
    latency: float = 0.6
    limit: int = 240
    faults: float = 0.01
    slots: int = 2
    kills: int = 5
    sensors: int = 5
    scheduled_days: int = 8
    lost_days: int = 7

    @classmethod
    def of_today(cls, *, quick: bool) -> Plan:
        """
        Return the plan whose days end with yesterday.

        :param quick: whether it is the shortened one
        """
        days = 6 if quick else 60
        today = dt.datetime.now(dt.timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
        first = (today - (days + 1) * _DAY).isoformat()
        if quick:
            return cls(
                first, days=days, agents=4, calls=1_200, agents_a_task=1, latency=3.0, faults=0.1, kills=1,
                sensors=2, scheduled_days=2, lost_days=1,
            )  # fmt: skip
        return cls(first)

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that :meth:`to_json` wrote."""
        return cls(**json.loads(text))

    def to_json(self) -> str:
        """Return the plan as text."""
        return json.dumps(asdict(self))

    @property
    def start(self) -> dt.datetime:
        """Return the start of the first day, inclusive."""
        return dt.datetime.fromisoformat(self.first)

    @property
    def end(self) -> dt.datetime:
        """Return the end of the last day, exclusive."""
        return self.start + self.days * _DAY

    def day(self, number: int) -> dt.datetime:
        """Return the start of a day, the first being 0."""
        return self.start + number * _DAY

    @property
    def agent_ids(self) -> list[str]:
        """Return the ids of the agents."""
        return agent_ids(self.agents)

    @property
    def live_agent(self) -> str:
        """Return the id of one more agent, which has no calls until the run lets some arrive."""
        return agent_ids(self.agents + 1)[-1]

    @property
    def groups(self) -> list[list[str]]:
        """Return the agents of each task of the backfill."""
        ids = self.agent_ids
        return [ids[at : at + self.agents_a_task] for at in range(0, len(ids), self.agents_a_task)]

    @cached_property
    def made_calls(self) -> list[Call]:
        """Return the calls, the same whenever and wherever they are made."""
        return make_calls(
            _SEED,
            self.calls,
            agents=self.agent_ids,
            from_ms=int(self.start.timestamp() * 1000),
            to_ms=int(self.end.timestamp() * 1000),
        )
