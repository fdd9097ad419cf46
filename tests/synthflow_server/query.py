# SPDX-License-Identifier: Apache-2.0
"""What a request for a list of calls asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.synthflow_server.answer import ApiError
from tests.synthflow_server.presentation import STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.synthflow_server.behaviour import Behaviour

__all__ = ["Filters", "PageAsked", "read_filters", "read_integer", "read_page"]


@dataclass(frozen=True)
class Filters:
    """Hold the filters of one request; dates are the bounds of a half-open stretch already."""

    model_id: str
    from_ms: int | None = None
    to_ms: int | None = None
    statuses: frozenset[str] | None = None
    duration_min: int | None = None
    duration_max: int | None = None
    phone: str | None = None


@dataclass(frozen=True)
class PageAsked:
    """Hold the page that one request asks for, and how many rows it gets at most."""

    limit: int
    offset: int
    rows: int


def read_integer(query: Mapping[str, str], name: str) -> int | None:
    """Return an integer parameter, or None where it is not sent; what is no 64-bit integer gets 422."""
    text = query.get(name)
    if text is None:
        return None
    digits = text.strip().removeprefix("-").removeprefix("+")
    if digits.isascii() and digits.isdigit() and abs(value := int(text)) < 2**63:
        return value
    raise _invalid(name, "value is not a valid integer", "type_error.integer")


def read_filters(query: Mapping[str, str], behaviour: Behaviour) -> Filters:
    """Return the filters of a request for calls; a request without `model_id` gets 422."""
    model_id = query.get("model_id")
    if not model_id:
        raise _invalid("model_id", "field required", "value_error.missing")
    unit = behaviour.date_granularity_ms
    from_ms, to_ms = read_integer(query, "from_date"), read_integer(query, "to_date")
    if from_ms is not None:
        from_ms = (from_ms // unit + (0 if behaviour.from_inclusive else 1)) * unit
    if to_ms is not None:
        to_ms = (to_ms // unit + (1 if behaviour.to_inclusive else 0)) * unit
    if behaviour.ignore_window:
        from_ms = to_ms = None
    return Filters(
        model_id=model_id,
        from_ms=from_ms,
        to_ms=to_ms,
        statuses=_read_statuses(query.get("call_status"), behaviour),
        duration_min=read_integer(query, "duration_min"),
        duration_max=read_integer(query, "duration_max"),
        phone=query.get("lead_phone_number"),
    )


def read_page(query: Mapping[str, str], behaviour: Behaviour) -> PageAsked:
    """Return the page that a request asks for; a limit or an offset out of range gets 400."""
    limit, offset = read_integer(query, "limit"), read_integer(query, "offset")
    limit = behaviour.default_limit if limit is None else limit
    cap = behaviour.limit_cap
    if limit < 1 or (limit > cap and behaviour.over_limit == "error"):
        raise ApiError(400, f"Limit must be between 1 and {cap}.")
    if offset is not None and offset < 0:
        raise ApiError(400, "Offset must not be negative.")
    rows = min(limit, cap)
    if behaviour.max_rows is not None:
        rows = min(rows, behaviour.max_rows)
    return PageAsked(limit=limit, offset=offset or 0, rows=rows)


def _read_statuses(text: str | None, behaviour: Behaviour) -> frozenset[str] | None:
    if text is None or behaviour.ignore_status:
        return None
    values = [value.strip() for value in text.split(",")] if behaviour.status_multi else [text]
    if not behaviour.status_case_sensitive:
        values = [value.lower() for value in values]
    if behaviour.invalid_status == "error" and not STATUSES.issuperset(values):
        raise ApiError(400, "Invalid call_status.")
    return frozenset(values)


def _invalid(name: str, message: str, kind: str) -> ApiError:
    body = {"detail": [{"loc": ["query", name], "msg": message, "type": kind}]}
    return ApiError(422, message, body=body)
