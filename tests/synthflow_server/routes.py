# SPDX-License-Identifier: Apache-2.0
"""The addresses under which the test server answers."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import TYPE_CHECKING, Any

from tests.synthflow_server.answer import ApiError
from tests.synthflow_server.dataset import DAY_MS, Call
from tests.synthflow_server.presentation import state_of, status_in
from tests.synthflow_server.query import read_integer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["analytics_of", "assistant_of", "day_of", "read_dates", "route_of"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def route_of(method: str, path: str) -> tuple[str, str]:
    """Return the name of the route that an address has, empty where there is none, and the call id in it."""
    if method != "GET":
        return "", ""
    if path == "/v2/calls":
        return "calls", ""
    if path == "/v2/assistants/":
        return "assistants", ""
    if path == "/v2/analytics/":
        return "analytics", ""
    if path.startswith("/signed/"):
        return "signed", ""
    rest = path.removeprefix("/v2/calls/")
    if rest in (path, ""):
        return "", ""
    call_id, slash, tail = rest.partition("/")
    if call_id and not slash:
        return "call", call_id
    return ("recording", call_id) if call_id and tail == "recording" else ("", "")


def assistant_of(assistant: str | Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return the record of an agent, made up where only its id is given."""
    if not isinstance(assistant, str):
        return dict(assistant)
    return {
        "model_id": assistant,
        "type": "outbound" if number % 2 else "inbound",
        "name": f"agent-{number + 1}",
        "description": "Answers the front desk, tests only: Grüße",
        "phone_number": f"+1555010{number:04d}",
        "agent": {"language": "en-US", "voice_id": "test-voice", "greeting_message": "Hello?"},
    }


def read_dates(query: Mapping[str, str], now_ms: int) -> tuple[int, int]:
    """Return the stretch that a request for analytics asks for: at most 120 days, by default the last 30."""
    to_ms = _read_date(query, "to_date", now_ms)
    from_ms = _read_date(query, "from_date", to_ms - 30 * DAY_MS)
    if to_ms - from_ms > 120 * DAY_MS:
        raise ApiError(400, "The date range must not exceed 120 days.")
    if to_ms < from_ms:
        raise ApiError(400, "from_date must be before to_date.")
    return from_ms, to_ms


def analytics_of(
    calls: Iterable[Call], query: Mapping[str, str], *, from_ms: int, to_ms: int, now_ms: int
) -> list[dict[str, Any]]:
    """Count by day and status the calls that started in a stretch."""
    days: dict[str, Counter[str]] = {}
    kind = query.get("type_of_call")
    for call in calls:
        hidden = (call.start_ms if call.listed_ms is None else call.listed_ms) > now_ms
        if hidden or not from_ms <= call.start_ms < to_ms:
            continue
        if kind is None or call.record.get("type_of_call") == kind:
            status = str(status_in(call, state_of(call, now_ms, 0)))
            days.setdefault(day_of(call.start_ms), Counter())[status] += 1
    return [
        {"date": day, "total_calls": counts.total(), "calls_by_status": dict(sorted(counts.items()))}
        for day, counts in sorted(days.items())
    ]


def day_of(ms: int) -> str:
    """Return the UTC day of an instant, such as ``2026-11-09``."""
    return (_EPOCH + dt.timedelta(milliseconds=ms)).date().isoformat()


def _read_date(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    try:
        moment = dt.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        body = {"detail": [{"loc": ["query", name], "msg": "invalid datetime format"}]}
        raise ApiError(422, "invalid datetime format", body=body) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    return (moment - _EPOCH) // dt.timedelta(milliseconds=1)


def read_simple_page(query: Mapping[str, str]) -> tuple[int, int]:
    """Return the limit and the offset of a request for agents."""
    limit, offset = read_integer(query, "limit"), read_integer(query, "offset")
    limit = 20 if limit is None else limit
    if not 1 <= limit <= 100:
        raise ApiError(400, "Limit must be between 1 and 100.")
    return limit, max(offset or 0, 0)
