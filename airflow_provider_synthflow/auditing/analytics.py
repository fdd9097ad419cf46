# SPDX-License-Identifier: Apache-2.0
"""The lake's daily counts compared with the API's analytics: a hint, since these count other statuses."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.auditing.window_check import DAY_MS
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowProtocolError, SynthflowRequestError
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from airflow_provider_synthflow.auditing.agent_audit import AgentAudit
    from airflow_provider_synthflow.auditing.progress import Progress
    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["compare_days", "read_days"]

_MOST_DAYS = 119
"""How many days are asked for at a time: the API takes at most 120, and may count both ends."""

_EPOCH = dt.date(1970, 1, 1)
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_SERIES = ("duration_metrics", "call_status_stat")


def compare_days(client: SynthflowClient, agents: Sequence[AgentAudit], progress: Progress) -> list[str]:
    """Compare each agent's days with the API's, and return a sentence for each agent that could not be compared."""
    notes = []
    progress.begin("Agents held against analytics", len(agents))
    for agent in agents:
        days = agent.days
        if days:
            try:
                theirs = _ask_for(client, agent.model_id, min(days), max(days))
            except (SynthflowRequestError, SynthflowProtocolError) as error:
                notes.append(f"Analytics could not be compared: {error}")
            except SynthflowError as error:
                return [*notes, f"Analytics could not be compared to the end: {error}"]
            else:
                for day, ours in days.items():
                    if ours != theirs.get(day, 0):
                        agent.add_differing(day, ours, theirs.get(day, 0))
        else:
            notes.append("Analytics could not be compared for an agent: no whole day of it is known.")
        progress.advance()
    return list(dict.fromkeys(notes))


def read_days(body: bytes) -> dict[int, int]:
    """Read the counts by day, in days since 1970, from a response of the analytics."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    for each in (found, _member(found, "response"), _member(_member(found, "response"), "analytics")):
        for name in _SERIES:
            series = _member(_member(each, name), "series")
            if isinstance(series, list):
                return _count(series)
    raise SynthflowProtocolError("The API's analytics have no counts by day.")


def _ask_for(client: SynthflowClient, model_id: str, first: int, last: int) -> dict[int, int]:
    """Request an agent's counts by day."""
    counts: dict[int, int] = {}
    for begin in range(first, last + 1, _MOST_DAYS):
        end = min(begin + _MOST_DAYS, last + 1)
        parameters = {"model_id": model_id, "from_date": _date(begin), "to_date": _date(end)}
        found = client.ask("/analytics/", parameters, read_days)
        counts.update({day: count for day, count in found.items() if begin <= day < end})
    return counts


def _count(series: Iterable[Any]) -> dict[int, int]:
    """Sum a series by day: its totals where it has them, else the counts by status."""
    counts: dict[int, int] = {}
    for each in series:
        day = _DAY.match(str(_member(each, "date")))
        if day is None:
            continue
        total = _member(each, "total_calls")
        if not isinstance(total, int):
            total = sum(value for value in each.values() if isinstance(value, int) and not isinstance(value, bool))
        try:
            number = (dt.date.fromisoformat(day[0]) - _EPOCH).days
        except ValueError:
            continue
        counts[number] = counts.get(number, 0) + total
    return counts


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _date(day: int) -> str:
    return format_instant(day * DAY_MS).replace(".000Z", "Z")
