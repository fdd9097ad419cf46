# SPDX-License-Identifier: Apache-2.0
"""Small calls, and short ways to ask the test server for them."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from tests.synthflow_server import TEST_KEY, Answer, Call, SynthflowApi

__all__ = ["AGENT", "AUTH", "T0", "ask", "ids", "make_call", "page", "row_of"]

AGENT = "agent-a"
AUTH = {"Authorization": f"Bearer {TEST_KEY}"}
T0 = 1_795_000_000_000
"""Some instant, at a whole second."""


def make_call(name: str, start: int = 0, end: int | None = 60_000, listed: int | None = None, **record: Any) -> Call:
    """Make a call whose instants are relative to `T0`."""
    fields = {
        "call_id": name,
        "model_id": AGENT,
        "call_status": "completed" if end is not None else "in-progress",
        "start_time": str(T0 + start),
        "duration": (end - start) // 1000 if end is not None else None,
        "telephony_start": "2026-11-18T09:46:40.500",
        "transcript": "bot: Hallo\nhuman: Grüß Gott",
        "phone_number_from": "+15550100001",
        "phone_number_to": "+493023125001",
        "recording_url": f"https://recordings.example.test/{name}.mp3?s=1",
    }
    return Call(
        name,
        record.pop("model_id", AGENT),
        T0 + start,
        None if end is None else T0 + end,
        None if listed is None else T0 + listed,
        fields | record,
    )


def ask(api: SynthflowApi, path: str = "/v2/calls", *, key: str = TEST_KEY, **query: Any) -> Answer:
    """Ask the API in this process; a list of calls is of `AGENT` unless it is said otherwise."""
    if path == "/v2/calls":
        query = {"model_id": AGENT, **query}
    target = f"{path}?{urlencode(query)}" if query else path
    return api.handle("GET", target, {"authorization": f"Bearer {key}"})


def page(api: SynthflowApi, **query: Any) -> dict[str, Any]:
    """Ask for a page of calls and return the `response` of its envelope."""
    answer = ask(api, **query)
    assert answer.status == 200, answer.body
    return answer.json()["response"]


def ids(api: SynthflowApi, **query: Any) -> list[str]:
    """Ask for a page of calls and return the ids on it."""
    return [row["call_id"] for row in page(api, **query)["calls"]]


def row_of(api: SynthflowApi, call_id: str) -> dict[str, Any]:
    """Ask for a page of calls and return the record of one."""
    return next(row for row in page(api, limit=100)["calls"] if row["call_id"] == call_id)
