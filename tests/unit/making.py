# SPDX-License-Identifier: Apache-2.0
"""Small calls of a day long past, so that no test of theirs has to wait for anything."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from tests.synthflow_server import Call

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["AGENT", "DAY", "FROM", "FROM_MS", "HOUR", "TO", "TO_MS", "make_call", "many_calls", "read_file", "tree_of"]

AGENT = "agent-1"
HOUR = 3_600_000
DAY = 24 * HOUR
FROM_MS = 1_709_251_200_000
TO_MS = FROM_MS + DAY
FROM = "2024-03-01T00:00:00.000Z"
TO = "2024-03-02T00:00:00.000Z"


def make_call(name: str, start: int = 0, *, agent: str = AGENT, lasts: int | None = 60_000, **record: Any) -> Call:
    """
    Make a call of the test's day.

    :param name: its id
    :param start: milliseconds after the day's begin
    :param agent: its agent
    :param lasts: milliseconds until its end; None for a call that never ends
    :param record: fields of its record, in place of the ordinary ones
    """
    start_ms = FROM_MS + start
    fields = {
        "call_id": name,
        "model_id": agent,
        "call_status": "in-progress" if lasts is None else "completed",
        "start_time": str(start_ms),
        "duration": None if lasts is None else lasts // 1000,
        "telephony_start": None,
        "transcript": "bot: Hallo\nhuman: Grüß Gott",
        "phone_number_from": "+15550100001",
        "phone_number_to": "+493023125001",
    }
    return Call(name, agent, start_ms, None if lasts is None else start_ms + lasts, None, fields | record)


def many_calls(count: int, *, agent: str = AGENT, **record: Any) -> list[Call]:
    """Make calls, a minute apart, from the first instant of the day on."""
    return [make_call(f"call-{number:04}", number * 60_000, agent=agent, **record) for number in range(count)]


def tree_of(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies below a directory, files with their bytes and directories with None."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


def read_file(path: str | Path) -> list[dict[str, Any]]:
    """Return the calls in a file of JSON Lines, compressed or not."""
    opened = gzip.open(path) if str(path).endswith(".gz") else open(path, "rb")  # noqa: PTH123, SIM115
    with opened as lines:
        return [json.loads(line) for line in lines]
