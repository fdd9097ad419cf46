# SPDX-License-Identifier: Apache-2.0
"""The result of a window: the same shape for a file and for XCom."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.call import encode_record
from airflow_provider_synthflow.client.raw_json import is_nested_deeper, split_members
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.timestamps import format_instant, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_synthflow.extraction.plan import WindowPlan

__all__ = ["WindowResult", "make_result", "measure", "with_calls"]

_DIGITS = 20
_DEEPEST = 100
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


@dataclass(frozen=True)
class WindowResult:
    """
    What came of a window; the calls themselves are in the spill.

    :param count: calls in the window
    :param unsettled: of them, those not in a final status
    :param not_started: calls without a start that are not final: they come with the window in which they start
    :param unplaced: final calls without a start that were included
    :param total_records: what the server declared for what was asked; None where it declares nothing
    :param pages: pages of the complete walk
    :param requests: requests sent, retries included
    :param walks: walks needed
    :param retries: of the requests, those sent again
    :param waits: how often a request waited, for the pace or before a further try
    :param repeated: rows that came twice, of a list that sends rows twice
    :param mended: calls in whose texts half of a surrogate pair was replaced
    :param mismatched: calls in the window of another agent or status than asked for, which were included
    :param has_addresses: whether calls came with the address of a recording
    :param recalled: of the pages, those that an earlier try of the task had read at first
    :param seconds: from the first request to the published file
    :param value: what the task returns
    """

    count: int
    unsettled: int
    not_started: int
    unplaced: int
    total_records: int | None
    pages: int
    requests: int
    walks: int
    retries: int = 0
    waits: int = 0
    recalled: int = 0
    repeated: int = 0
    mended: int = 0
    mismatched: int = 0
    has_addresses: bool = False
    seconds: float = 0.0
    value: dict[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Return what was read, by the names that the metrics have for it."""
        names = ("pages", "requests", "retries", "waits", "walks")
        return {"calls": self.count, **{name: getattr(self, name) for name in names}}


def make_result(plan: WindowPlan, found: WindowResult) -> dict[str, Any]:
    """Return the task's result for a window, without the calls and the file."""
    result: dict[str, Any] = {
        "model_id": plan.query.model_id,
        "from_date": plan.window.from_iso,
        "to_date": plan.window.to_iso,
        "count": found.count,
        "unsettled": found.unsettled,
        "not_started": found.not_started,
        "total_records": found.total_records,
        "asked": {"from_date": plan.asked.from_ms, "to_date": plan.asked.to_ms},
        "query": plan.query.filters(),
        "pages": found.pages,
        "requests": found.requests,
        "walks": found.walks,
        "changed": True,
        "provider_version": __version__,
        "extracted_at": format_instant(now_ms()),
    }
    for name in ("unplaced", "repeated", "mended", "mismatched"):
        if number := getattr(found, name):
            result[name] = number
    return result


def with_calls(
    result: dict[str, Any],
    records: Iterable[bytes],
    size: int,
    max_bytes: int,
    *,
    used: int = 0,
    name: str = "calls",
) -> dict[str, Any]:
    """Return the result with the calls in it, for XCom, unless it is too large with the other results there."""
    if used + size <= max_bytes:
        result = {**result, name: [_for_xcom(record) for record in records]}
        size = measure(result)
    if used + size > max_bytes:
        msg = (
            f"The result has {result['count']} {name} and {used + size} bytes, more than max_xcom_bytes ({max_bytes}): "
            f"XCom is no place for that much. Set output_path to have the {name} in a file."
        )
        raise SynthflowConfigError(msg)
    return result


def measure(result: dict[str, Any]) -> int:
    """Return the bytes of an encoded result."""
    return len(encode_record(result))


def _for_xcom(record: bytes) -> dict[str, Any]:
    """Decode a record for XCom."""
    # PostgreSQL refuses NUL there, and Airflow half of a surrogate pair and numbers beyond a double or 64 bits: the
    # characters become U+FFFD, the numbers texts. So do fields that are nested deeper than Airflow's recursion goes.
    if not is_nested_deeper(record, _DEEPEST):
        return _decode(record)
    fields = split_members(record)
    deep = {
        name: _storable(raw.decode("utf-8", "replace"))
        for name, raw in fields.items()
        if is_nested_deeper(raw, _DEEPEST)
    }
    rest = b",".join(b"%b:%b" % (json.dumps(name).encode(), raw) for name, raw in fields.items() if name not in deep)
    return _decode(b"{%b}" % rest) | {_storable(name): text for name, text in deep.items()}


def _decode(record: bytes) -> dict[str, Any]:
    value = json.loads(record, parse_int=_whole, parse_float=_fraction)
    return {_storable(name): _storable(each) for name, each in value.items()}


def _whole(text: str) -> int | str:
    number = int(text) if len(text) <= _DIGITS else None
    return text if number is None or not -(2**63) <= number < 2**63 else number


def _fraction(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return value
