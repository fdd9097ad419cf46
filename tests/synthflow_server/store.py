# SPDX-License-Identifier: Apache-2.0
"""The calls that the test server knows, kept in order and encoded once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.synthflow_server.answer import encode
from tests.synthflow_server.presentation import State, as_listed, finished, state_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tests.synthflow_server.behaviour import Behaviour
    from tests.synthflow_server.dataset import Call

__all__ = ["AgentCalls", "Entry", "Store"]

_LIFE = frozenset({"start_ms", "end_ms", "listed_ms"})


class Entry:
    """
    Keep one call with the JSON of its record.

    :param call: the call
    :param late_ms: how long after its end its late fields come
    """

    __slots__ = ("call", "call_id", "end_ms", "final_ms", "json", "late_ms", "listed_ms", "start_ms", "state")

    def __init__(self, call: Call, late_ms: int) -> None:
        self.call = call
        self.call_id = call.call_id
        self.start_ms = call.start_ms
        self.end_ms = call.end_ms
        self.listed_ms = call.start_ms if call.listed_ms is None else call.listed_ms
        self.late_ms = late_ms
        self.final_ms = call.start_ms if call.end_ms is None else max(call.end_ms + late_ms, call.start_ms)
        self.state: State | None = None
        self.json = b""

    def encoded(self, now_ms: int, behaviour: Behaviour) -> bytes:
        """Return the JSON of the record as it is now, made once for each state."""
        state = State.FINAL if now_ms >= self.final_ms else self.state_at(now_ms)
        if state is not self.state:
            self.json = encode(as_listed(self.call, state, behaviour))
            self.state = state
        return self.json

    def state_at(self, now_ms: int) -> State:
        """Return where in its life the call is."""
        return state_of(self.call, now_ms, self.late_ms)

    def has_ended(self, now_ms: int) -> bool:
        """Tell whether the call is over."""
        return self.end_ms is not None and self.end_ms <= now_ms


class AgentCalls:
    """Keep the calls of one agent by their start, and count their movements."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.version = 0
        self._starts: list[int] = []
        self._events: list[int] = []
        self._latest_listed = self._latest_start = 0
        self._indexed = -1

    def put(self, entry: Entry) -> None:
        """Take in one call at its place."""
        place = bisect_left(self.entries, (entry.start_ms, entry.call_id), key=_place)
        self.entries.insert(place, entry)
        self.version += 1

    def put_all(self, entries: Iterable[Entry]) -> None:
        """Take in many calls at once."""
        self.entries.extend(entries)
        self.entries.sort(key=_place)
        self.version += 1

    def drop(self, entry: Entry) -> None:
        """Take out one call."""
        del self.entries[bisect_left(self.entries, (entry.start_ms, entry.call_id), key=_place)]
        self.version += 1

    def moment(self, now_ms: int) -> tuple[int, int]:
        """Return what stays the same as long as the same calls are listed, running and over."""
        self._index()
        return self.version, bisect_right(self._events, now_ms)

    def between(self, from_ms: int | None, to_ms: int | None) -> list[Entry]:
        """Return the calls that start in ``[from_ms, to_ms)``, by their start."""
        self._index()
        low = 0 if from_ms is None else bisect_left(self._starts, from_ms)
        high = len(self._starts) if to_ms is None else bisect_left(self._starts, to_ms)
        return self.entries[low:high]

    def all_listed(self, now_ms: int) -> bool:
        """Tell whether no call is hidden now."""
        self._index()
        return self._latest_listed <= now_ms

    def all_started(self, now_ms: int) -> bool:
        """Tell whether no call is yet to start now."""
        self._index()
        return self._latest_start <= now_ms

    def _index(self) -> None:
        if self._indexed == self.version:
            return
        self._starts = [entry.start_ms for entry in self.entries]
        events = set(self._starts)
        events.update(entry.listed_ms for entry in self.entries)
        events.update(entry.end_ms for entry in self.entries if entry.end_ms is not None)
        self._events = sorted(events)
        self._latest_listed = max((entry.listed_ms for entry in self.entries), default=0)
        self._latest_start = self._starts[-1] if self._starts else 0
        self._indexed = self.version


class Store:
    """
    Keep all calls, by id and by agent.

    :param calls: the calls to begin with
    :param late_ms: how long after a call's end its late fields come
    """

    def __init__(self, calls: Iterable[Call], late_ms: int) -> None:
        self.late_ms = late_ms
        self.entries: dict[str, Entry] = {}
        self.agents: dict[str, AgentCalls] = {}
        grouped: dict[str, list[Entry]] = {}
        for call in calls:
            entry = self._enter(call)
            grouped.setdefault(call.model_id, []).append(entry)
        for model_id, entries in grouped.items():
            self.agents.setdefault(model_id, AgentCalls()).put_all(entries)

    def add(self, call: Call) -> None:
        """Take in one call."""
        self.agents.setdefault(call.model_id, AgentCalls()).put(self._enter(call))

    def remove(self, call_id: str) -> Call:
        """Take out one call and return it."""
        if call_id not in self.entries:
            msg = f"There is no call {call_id!r}."
            raise KeyError(msg)
        entry = self.entries.pop(call_id)
        self.agents[entry.call.model_id].drop(entry)
        return entry.call

    def update(self, call_id: str, fields: dict[str, Any]) -> None:
        """Change a call's life, or the fields of its record."""
        call = self.remove(call_id)
        life = {name: value for name, value in fields.items() if name in _LIFE}
        record = {name: value for name, value in fields.items() if name not in _LIFE}
        self.add(replace(call, record=call.record | record, **life))

    def finish(self, call_id: str, now_ms: int) -> None:
        """Let a running call be completed now; one that is over stays as it is."""
        if not self.entries[call_id].has_ended(now_ms):
            self.add(finished(self.remove(call_id), now_ms))

    def calls(self, model_id: str | None = None) -> Iterator[Call]:
        """Yield the calls of one agent, or of all, by their start."""
        for agent in self.agents if model_id is None else (model_id,):
            if agent in self.agents:
                yield from (entry.call for entry in self.agents[agent].entries)

    def everyone(self) -> AgentCalls:
        """Return the calls of all agents as those of one."""
        everyone = AgentCalls()
        everyone.put_all(self.entries.values())
        return everyone

    def _enter(self, call: Call) -> Entry:
        if call.call_id in self.entries:
            msg = f"The call {call.call_id!r} is there already."
            raise ValueError(msg)
        entry = self.entries[call.call_id] = Entry(call, self.late_ms)
        return entry


def _place(entry: Entry) -> tuple[int, str]:
    return entry.start_ms, entry.call_id
