# SPDX-License-Identifier: Apache-2.0
"""Synthflow's API as the test server plays it: a request in, an answer out, no sockets."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.synthflow_server.answer import Answer, ApiError, encode
from tests.synthflow_server.behaviour import Behaviour
from tests.synthflow_server.clock import Clock, SimulatedClock
from tests.synthflow_server.dataset import DAY_MS, Call
from tests.synthflow_server.faults import Armed, Change, Fault
from tests.synthflow_server.matching import Matching, match
from tests.synthflow_server.page import ROW_FAULTS, envelope, page_body
from tests.synthflow_server.presentation import State, as_got, as_listed
from tests.synthflow_server.query import Filters, read_filters, read_page
from tests.synthflow_server.rates import RateLimit
from tests.synthflow_server.received import Received
from tests.synthflow_server.recordings import Recordings
from tests.synthflow_server.routes import (
    analytics_of,
    assistant_of,
    read_dates,
    read_simple_page,
    route_of,
)
from tests.synthflow_server.spoiling import delayed, replaced, spoiled
from tests.synthflow_server.store import Entry, Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["SynthflowApi"]

_MATCHINGS_KEPT = 256


class SynthflowApi:
    """
    Answer requests as Synthflow's API would; safe to call from many threads.

    :param calls: the calls that there are, or will be once the clock passes their `listed_ms`
    :param behaviour: the switches
    :param faults: what goes wrong, and when; of several that fire at one request the first counts
    :param changes: what moves, and when
    :param clock: what decides which calls are listed, running and over. None is a simulated clock that stands
        a day after the last call and the present, so that all calls are listed and over
    :param assistants: the agents that `/assistants/` lists, as ids or records; None is those that have calls
    """

    def __init__(
        self,
        calls: Iterable[Call] = (),
        *,
        behaviour: Behaviour = Behaviour(),  # noqa: B008  # it is frozen
        faults: Iterable[Fault] = (),
        changes: Iterable[Change] = (),
        clock: Clock | None = None,
        assistants: Sequence[str | Mapping[str, Any]] | None = None,
    ) -> None:
        known = list(calls)
        self.clock: Clock = clock or SimulatedClock(_after(known))
        self.requests: list[Received] = []
        self.assistants = assistants
        self.recordings = Recordings()
        self._behaviour = behaviour
        self._lock = threading.RLock()
        self._store = Store(known, behaviour.late_fields_after_ms)
        self._matchings: dict[Filters, tuple[tuple[int, int], Matching]] = {}
        self._armed: list[Armed] = []
        self._rate = RateLimit()
        self._number = 0
        self.arm(*changes, *faults)

    # --- what tests change and look at

    @property
    def behaviour(self) -> Behaviour:
        """Return the switches; set them to change the server while it runs."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        with self._lock:
            self._behaviour = behaviour
            self._store = Store(list(self._store.calls()), behaviour.late_fields_after_ms)
            self._matchings.clear()

    def arm(self, *scripts: Fault | Change) -> None:
        """Add faults and changes; their requests are counted from now on."""
        with self._lock:
            for script in scripts:
                moves = isinstance(script, Change) and script.advance_clock_ms
                if moves and not isinstance(self.clock, SimulatedClock):
                    msg = "Only a SimulatedClock can be advanced."
                    raise ValueError(msg)
                self._armed.append(Armed(script))

    def disarm(self) -> None:
        """Take away all faults and changes."""
        with self._lock:
            self._armed.clear()

    def add(self, *calls: Call) -> None:
        """Let calls arrive, which the list shows once the clock passes their `listed_ms`."""
        with self._lock:
            for call in calls:
                self._store.add(call)

    def remove(self, call_id: str) -> Call:
        """Let a call vanish, and return it."""
        with self._lock:
            return self._store.remove(call_id)

    def update(self, call_id: str, **fields: Any) -> None:
        """Change fields of a call's record, or its `start_ms`, `end_ms` and `listed_ms`."""
        with self._lock:
            self._store.update(call_id, fields)

    def finish(self, call_id: str) -> None:
        """Let a running call be completed now."""
        with self._lock:
            self._store.finish(call_id, self.clock.now_ms())

    def all_calls(self, model_id: str | None = None) -> list[Call]:
        """Return the truth: every call, listed or not, of one agent or of all."""
        with self._lock:
            return list(self._store.calls(model_id))

    def warm(self) -> None:
        """Encode every record now, so that the first requests are as fast as later ones."""
        with self._lock:
            now_ms = self.clock.now_ms()
            for entry in self._store.entries.values():
                entry.encoded(now_ms, self._behaviour)

    def requests_to(self, route: str) -> list[Received]:
        """Return the requests to one route: calls, call, recording, assistants, analytics or signed."""
        with self._lock:
            return [received for received in self.requests if received.route == route]

    # --- requests

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """
        Answer one request.

        :param method: the HTTP method
        :param target: the path with the query, percent-encoded, or a whole URL
        :param headers: the request's headers
        :param body: the request's body, of which nothing is made
        """
        del body
        path, query = _split(target)
        route, call_id = route_of(method, path)
        sent = {name.lower(): value for name, value in headers.items()}
        with self._lock:
            self._number += 1
            received = Received(self._number, method, target, path, query, sent, route, at_ms=self.clock.now_ms())
            self.requests.append(received)
            answer = self._answer(received, call_id)
            answer.headers["X-Request-Id"] = _request_id(received)
            received.status, received.action = answer.status, answer.action
        return delayed(answer, self._behaviour)

    def _answer(self, received: Received, call_id: str) -> Answer:
        if not received.route:
            return Answer.of_json(404, {"detail": "Not Found"})
        fired = [armed.script for armed in self._armed if armed.fires(received.route, received.query)]
        changes = [script for script in fired if isinstance(script, Change)]
        fault = next((script for script in fired if isinstance(script, Fault)), None)
        self._apply((change for change in changes if not change.after), received)
        answer = None if fault is None else replaced(fault, self.clock.now_ms(), _request_id(received))
        if answer is None:
            answer = self._ordinary(received, call_id, fault)
            if fault is not None and fault.kind not in ROW_FAULTS:
                answer = spoiled(answer, fault)
        self._apply((change for change in changes if change.after), received)
        return answer

    def _ordinary(self, received: Received, call_id: str, fault: Fault | None) -> Answer:
        now_ms = self.clock.now_ms()
        try:
            if received.route == "signed":  # the signature is what entitles to it
                return self.recordings.answer(received.path, received.query, now_ms, self._behaviour)
            self._authorise(received.headers.get("authorization", ""))
            self._rate.take(self._behaviour, now_ms)
            route = {
                "calls": partial(self._list_calls, received, fault),
                "call": partial(self._get_call, call_id),
                "recording": partial(self._get_recording, call_id, received.headers),
                "assistants": partial(self._list_assistants, received.query),
                "analytics": partial(self._get_analytics, received.query),
            }[received.route]
            return route(now_ms)
        except ApiError as error:
            return error.answer(now_ms=now_ms, request_id=_request_id(received))

    def _authorise(self, header: str) -> None:
        kind, _, key = header.partition(" ")
        behaviour = self._behaviour
        known = key in behaviour.require_key or key in behaviour.key_not_entitled
        if kind != "Bearer" or not known or behaviour.wrong_region:
            raise ApiError(401, "Invalid API key")
        if key in behaviour.key_not_entitled:
            raise ApiError(403, "This workspace is not entitled to this resource.")

    def _list_calls(self, received: Received, fault: Fault | None, now_ms: int) -> Answer:
        behaviour = self._behaviour
        filters = read_filters(received.query, behaviour)
        asked = read_page(received.query, behaviour)
        if behaviour.unknown_model != "empty" and not self._knows(filters.model_id):
            raise ApiError(int(behaviour.unknown_model), "Unknown model_id.")
        matching = self._matching(filters, now_ms)
        row_fault = fault if fault is not None and fault.kind in ROW_FAULTS else None
        body = page_body(matching, asked, behaviour, number=received.number, now_ms=now_ms, fault=row_fault)
        return Answer.of_json(200, body)

    def _matching(self, filters: Filters, now_ms: int) -> Matching:
        if self._behaviour.ignore_agent:
            return match(self._store.everyone(), filters, self._behaviour, now_ms)
        agent = self._store.agents.get(filters.model_id)
        if agent is None:
            return Matching([])
        moment = agent.moment(now_ms)
        kept = self._matchings.get(filters)
        if kept is not None and kept[0] == moment:
            return kept[1]
        matching = match(agent, filters, self._behaviour, now_ms)
        if len(self._matchings) >= _MATCHINGS_KEPT:
            self._matchings.clear()
        self._matchings[filters] = moment, matching
        return matching

    def _get_call(self, call_id: str, now_ms: int) -> Answer:
        entry = self._shown(call_id, now_ms)
        record = as_got(as_listed(entry.call, entry.state_at(now_ms), self._behaviour))
        pagination = {"total_records": 1, "limit": 20, "offset": 0}
        return Answer.of_json(200, envelope(b"calls", [encode(record)], pagination, self._behaviour))

    def _get_recording(self, call_id: str, headers: Mapping[str, str], now_ms: int) -> Answer:
        entry = self._shown(call_id, now_ms)
        behaviour = self._behaviour
        over = entry.state_at(now_ms) in (State.LATE, State.FINAL)
        late = entry.end_ms is not None and now_ms < entry.end_ms + behaviour.recordings_after_ms
        if not over or late or not entry.call.record.get("recording_url"):
            raise ApiError(404, "Recording not found.")
        base = behaviour.signed_base or f"http://{headers.get('host', '127.0.0.1')}"
        return Answer(302, {"Location": self.recordings.address(base, call_id, now_ms, behaviour)})

    def _shown(self, call_id: str, now_ms: int) -> Entry:
        entry = self._store.entries.get(call_id)
        if entry is None or entry.listed_ms > now_ms:
            raise ApiError(404, "Call not found.")
        return entry

    def _list_assistants(self, query: Mapping[str, str], now_ms: int) -> Answer:
        del now_ms
        given = sorted(self._store.agents) if self.assistants is None else self.assistants
        limit, offset = read_simple_page(query)
        rows = [
            encode(assistant_of(assistant, number))
            for number, assistant in enumerate(given[offset : offset + limit], start=offset)
        ]
        pagination = {"total_records": len(given), "limit": limit, "offset": offset}
        return Answer.of_json(200, envelope(b"assistants", rows, pagination, self._behaviour))

    def _knows(self, model_id: str) -> bool:
        listed = (assistant_of(assistant, 0).get("model_id") for assistant in self.assistants or ())
        return model_id in self._store.agents or model_id in listed

    def _get_analytics(self, query: Mapping[str, str], now_ms: int) -> Answer:
        from_ms, to_ms = read_dates(query, now_ms)
        calls = self._store.calls(query.get("model_id"))
        days = analytics_of(calls, query, from_ms=from_ms, to_ms=to_ms, now_ms=now_ms)
        series = self._behaviour.analytics_series
        body = {
            "call_status_stat": {
                "items": [],
                "series": [{"date": day["date"], **day["calls_by_status"]} for day in days],
            },
            "duration_metrics": {
                "total_calls": sum(day["total_calls"] for day in days),
                "series": [{"date": day["date"], "total_calls": day["total_calls"]} for day in days],
            },
        }
        return Answer.of_json(200, {name: each for name, each in body.items() if series in {"both", name}})

    # --- changes

    def _apply(self, changes: Iterable[Change], received: Received) -> None:
        for change in changes:
            if change.advance_clock_ms and isinstance(self.clock, SimulatedClock):
                self.clock.advance(change.advance_clock_ms)
            if change.remove_at is not None:
                self._remove_at(change.remove_at, received)
            for call in change.add:
                self._store.add(call)
            there = self._store.entries
            for call_id in filter(there.__contains__, change.remove):
                self._store.remove(call_id)
            for call_id in filter(there.__contains__, change.finish):
                self._store.finish(call_id, self.clock.now_ms())
            for call_id in filter(there.__contains__, change.update):
                self._store.update(call_id, dict(change.update[call_id]))

    def _remove_at(self, position: int, received: Received) -> None:
        """Remove the row at a position of the list that a request asks for, if there is one."""
        try:
            filters = read_filters(received.query, self._behaviour)
        except ApiError:
            return
        matching = self._matching(filters, self.clock.now_ms())
        for row in matching.page(position, 1, self._behaviour.seed, received.number):
            self._store.remove(row.call_id)


def _after(calls: Sequence[Call]) -> int:
    """Return an instant that is a day after all calls and the present."""
    last = max((max(call.start_ms, call.end_ms or 0, call.listed_ms or 0) for call in calls), default=0)
    return max(last, time.time_ns() // 1_000_000) + DAY_MS


def _split(target: str) -> tuple[str, dict[str, str]]:
    """Return the decoded path and the query of a request's target."""
    if target.startswith("/"):
        path, _, query = target.partition("?")
    else:
        parts = urlsplit(target)
        path, query = parts.path, parts.query
    if "%" in path:
        path = unquote(path)
    return path, dict(parse_qsl(query, keep_blank_values=True))


def _request_id(received: Received) -> str:
    return f"req-{received.number:08d}"
