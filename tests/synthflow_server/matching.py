# SPDX-License-Identifier: Apache-2.0
# ruff: noqa: S311  # the order that is drawn by lot is no secret
"""Which calls a request matches, and in which order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.synthflow_server.presentation import State, status_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.synthflow_server.behaviour import Behaviour
    from tests.synthflow_server.query import Filters
    from tests.synthflow_server.store import AgentCalls, Entry

__all__ = ["Matching", "match"]


@dataclass
class Matching:
    """Hold the calls that match one request, in the order of the list."""

    rows: list[Entry]
    ties: Sequence[tuple[int, int]] = ()
    """The stretches of rows whose calls start at one millisecond, where their order is unstable."""
    random: bool = False
    """Whether the whole order is drawn anew for each request."""

    def page(self, offset: int, count: int, seed: int, number: int) -> list[Entry]:
        """Return some rows as the request of this number sees them."""
        if self.random:
            shuffled = list(self.rows)
            random.Random(f"{seed}/{number}").shuffle(shuffled)
            return shuffled[offset : offset + count]
        rows = self.rows[offset : offset + count]
        end = offset + len(rows)
        for low, high in self.ties:
            if high <= offset or low >= end:
                continue
            tied = self.rows[low:high]
            random.Random(f"{seed}/{number}/{low}").shuffle(tied)
            first, last = max(low, offset), min(high, end)
            rows[first - offset : last - offset] = tied[first - low : last - low]
        return rows


def match(agent: AgentCalls, filters: Filters, behaviour: Behaviour, now_ms: int) -> Matching:
    """
    Find the calls of an agent that a request asks for.

    :param agent: the agent's calls
    :param filters: what is asked for
    :param behaviour: what the filters compare, and the order
    :param now_ms: the present, which decides what is listed, running and over
    """
    rows = _in_window(agent, filters, behaviour, now_ms)
    if not agent.all_listed(now_ms):
        rows = [row for row in rows if row.listed_ms <= now_ms]
    if filters.statuses is not None:
        rows = _of_status(rows, filters.statuses, behaviour, now_ms)
    if filters.duration_min is not None or filters.duration_max is not None:
        rows = [row for row in rows if _lasts(row, filters, behaviour, now_ms)]
    if filters.phone is not None:
        rows = [row for row in rows if _has_phone(row, filters.phone)]
    return _ordered(rows, behaviour)


def _in_window(agent: AgentCalls, filters: Filters, behaviour: Behaviour, now_ms: int) -> list[Entry]:
    from_ms, to_ms = filters.from_ms, filters.to_ms
    from_on, to_on = behaviour.filter_from_on, behaviour.filter_to_on
    by_start = (from_ms is not None and from_on == "start") or (to_ms is not None and to_on == "start")
    # a call ends after it starts, so that a bound on the end bounds the start too
    latest = to_ms if to_on == "start" or not behaviour.running_matches else None
    rows = agent.between(from_ms if from_on == "start" else None, latest)
    if by_start and not behaviour.unstarted_matches and not agent.all_started(now_ms):
        rows = [row for row in rows if row.start_ms <= now_ms]
    if from_ms is not None and from_on == "listed":
        rows = [row for row in rows if row.listed_ms >= from_ms]
    if from_ms is not None and from_on == "end":
        rows = [row for row in rows if _ends(row, from_ms, None, now_ms, running=behaviour.running_matches)]
    if to_ms is not None and to_on == "end":
        rows = [row for row in rows if _ends(row, None, to_ms, now_ms, running=behaviour.running_matches)]
    return rows


def _ends(row: Entry, from_ms: int | None, to_ms: int | None, now_ms: int, *, running: bool) -> bool:
    end_ms = row.end_ms
    if end_ms is None or end_ms > now_ms:
        return running
    return (from_ms is None or end_ms >= from_ms) and (to_ms is None or end_ms < to_ms)


def _of_status(rows: list[Entry], statuses: frozenset[str], behaviour: Behaviour, now_ms: int) -> list[Entry]:
    found = []
    for row in rows:
        status = status_in(row.call, row.state_at(now_ms))
        if isinstance(status, str) and not behaviour.status_case_sensitive:
            status = status.lower()
        if status in statuses:
            found.append(row)
    return found


def _lasts(row: Entry, filters: Filters, behaviour: Behaviour, now_ms: int) -> bool:
    duration = row.call.record.get("duration")
    if row.state_at(now_ms) in (State.UNSTARTED, State.RUNNING) or duration is None:
        return behaviour.null_durations_match
    low, high = filters.duration_min, filters.duration_max
    return (low is None or int(duration) >= low) and (high is None or int(duration) <= high)


def _has_phone(row: Entry, phone: str) -> bool:
    record = row.call.record
    return phone in (record.get("phone_number_from"), record.get("phone_number_to"))


def _ordered(rows: list[Entry], behaviour: Behaviour) -> Matching:
    if behaviour.order == "by_id":
        return Matching(sorted(rows, key=lambda row: row.call_id))
    if behaviour.order == "random":
        return Matching(rows, random=True)
    if behaviour.order != "oldest":
        rows.reverse()
    return Matching(rows, _ties(rows) if behaviour.order == "unstable_ties" else ())


def _ties(rows: list[Entry]) -> list[tuple[int, int]]:
    found = []
    low = 0
    for high in range(1, len(rows) + 1):
        if high == len(rows) or rows[high].start_ms != rows[low].start_ms:
            if high - low > 1:
                found.append((low, high))
            low = high
    return found
