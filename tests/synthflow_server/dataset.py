# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S311  # the calls are made up, and the same for equal arguments
"""Made-up calls of voice agents, the same for equal arguments."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.synthflow_server.records import RecordMaker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["DAY_MS", "DEFAULT_FROM_MS", "DEFAULT_TO_MS", "Call", "agent_ids", "make_calls"]

DAY_MS = 86_400_000
DEFAULT_FROM_MS = 1_794_182_400_000
"""2026-11-09T00:00:00Z."""
DEFAULT_TO_MS = DEFAULT_FROM_MS + 14 * DAY_MS
"""2026-11-23T00:00:00Z."""

_NAMESPACE = uuid.UUID("5f3c1f0a-6f0d-4d0e-9c55-2f6a1b0c7d11")


@dataclass
class Call:
    """
    Hold one call, its life and the record it ends with.

    :param call_id: the id, opaque
    :param model_id: the agent
    :param start_ms: when it starts, UTC milliseconds
    :param end_ms: when it ends; None for a call that is stuck and never does
    :param listed_ms: when the list begins to show it; None for its start
    :param record: the full record that the API shows once the call is over and its late fields have come
    """

    call_id: str
    model_id: str
    start_ms: int
    end_ms: int | None
    listed_ms: int | None
    record: dict[str, Any]


def agent_ids(count: int) -> list[str]:
    """Return the ids of so many agents, always the same."""
    return [str(uuid.uuid5(_NAMESPACE, f"agent-{number}")) for number in range(1, count + 1)]


def make_calls(
    seed: int = 0,
    count: int = 100,
    *,
    agents: int | Sequence[str] = 3,
    from_ms: int = DEFAULT_FROM_MS,
    to_ms: int = DEFAULT_TO_MS,
    record_bytes: int | None = None,
    unfinished: float = 0.01,
    legacy_ids: float = 0.03,
    max_duration_s: int = 2700,
    telephony_lag_ms: tuple[int, int] = (200, 1500),
    listed_lag_ms: tuple[int, int] = (0, 0),
) -> list[Call]:
    """
    Make calls that start in ``[from_ms, to_ms)``, in no particular order.

    Among them are bursts, calls that start in one millisecond, calls in the first, the second and the last
    millisecond of the stretch and around each midnight, calls that run across midnight, a few that are stuck.

    :param seed: equal seeds, with equal arguments, give equal calls
    :param count: how many
    :param agents: their ids, or how many agents there are
    :param from_ms: the first instant at which a call may start
    :param to_ms: the first instant at which none does
    :param record_bytes: about how long the JSON of a record is, by the length of its transcript
    :param unfinished: the share of calls that never end
    :param legacy_ids: the share of ids in the form ``<epoch ms>x<digits>``
    :param max_duration_s: the longest call
    :param telephony_lag_ms: how long after `start_time` the telephony starts, from the least to the most
    :param listed_lag_ms: how long after its start the list shows a call, from the least to the most
    """
    if from_ms >= to_ms:
        msg = "from_ms is before to_ms."
        raise ValueError(msg)
    rng = random.Random(f"{seed}/calls")
    ids = agent_ids(agents) if isinstance(agents, int) else list(agents)
    maker = RecordMaker(rng, record_bytes=record_bytes, telephony_lag_ms=telephony_lag_ms, varied=record_bytes is None)
    starts = _Starts(rng, from_ms, to_ms, count)
    calls = []
    for _, (start_ms, agent, crosses) in zip(range(count), starts, strict=False):
        model_id = ids[agent % len(ids)]
        duration_s: int | None = min(int(rng.expovariate(1 / 140)) + 1, max_duration_s)
        if crosses:
            duration_s = min(crosses + rng.randrange(5, 240), max_duration_s)
        elif rng.random() < unfinished:
            duration_s = None
        if rng.random() < legacy_ids:
            call_id = f"{start_ms}x{rng.randrange(10**17, 10**18)}"
        else:
            call_id = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        listed_ms = start_ms + rng.randint(*listed_lag_ms) if any(listed_lag_ms) else None
        record, end_ms = maker.make(call_id, model_id, start_ms, duration_s, must_talk=bool(crosses))
        calls.append(Call(call_id, model_id, start_ms, end_ms, listed_ms, record))
    rng.shuffle(calls)
    return calls


class _Starts:
    """Draw the starts of calls: at the edges first, then spread over days, in bursts and in ties."""

    def __init__(self, rng: random.Random, from_ms: int, to_ms: int, count: int) -> None:
        self.rng = rng
        self.from_ms = from_ms
        self.to_ms = to_ms
        self.count = count

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield the start, a number that picks the agent, and the seconds to the midnight it runs across."""
        for start in self._edges()[: self.count // 4]:
            yield start, self._agent(), 0
        for midnight in self._midnights()[: max(1, self.count // 20)] if self.count >= 20 else ():
            before_s = self.rng.randrange(1, 600)
            if midnight - before_s * 1000 >= self.from_ms:
                yield midnight - before_s * 1000, self._agent(), before_s
        while True:
            yield from self._some()

    def _some(self) -> Iterator[tuple[int, int, int]]:
        rng, lot, start, agent = self.rng, self.rng.random(), self._spread(), self._agent()
        if lot < 0.01:  # a burst, as a campaign makes it
            for _ in range(rng.randrange(5, 25)):
                yield min(start + rng.randrange(60_000), self.to_ms - 1), agent, 0
        elif lot < 0.03:  # a tie
            for _ in range(rng.randrange(2, 6)):
                yield start, agent, 0
        else:
            yield start, agent, 0

    def _edges(self) -> list[int]:
        edges = [self.from_ms, self.to_ms - 1, self.from_ms + 1]
        for midnight in self._midnights():
            edges += [midnight, midnight - 1, midnight + 1]
        return [edge for edge in edges if self.from_ms <= edge < self.to_ms]

    def _midnights(self) -> list[int]:
        first = self.from_ms // DAY_MS * DAY_MS + DAY_MS
        found = list(range(first, self.to_ms, DAY_MS))
        self.rng.shuffle(found)
        return found

    def _spread(self) -> int:
        """Draw an instant, by day three times as likely as by night."""
        span = self.to_ms - self.from_ms
        start = self.from_ms + int(self.rng.random() * span)
        hour = start % DAY_MS // 3_600_000
        if not 7 <= hour < 20 and self.rng.random() < 0.67:
            start = self.from_ms + int(self.rng.random() * span)
        return start

    def _agent(self) -> int:
        """Draw an agent: the first has half of the calls, the second half of the rest, and so on."""
        return self.rng.getrandbits(3).bit_length() if self.rng.random() < 0.5 else self.rng.getrandbits(16)
