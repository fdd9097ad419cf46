# SPDX-License-Identifier: Apache-2.0
"""One row a collected variable, whether the API parts them by agents or not. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.tables.json_text import NULL, read_members, read_text, write_object
from airflow_provider_synthflow.tables.rows import Row, Rows, build_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build_variables"]

_BOOLEANS = {b"true": True, b"false": False, NULL: None}
_TYPES = {b'"': b"string", b"{": b"object", b"[": b"array", b"t": b"boolean", b"f": b"boolean", b"n": b"null"}


def build_variables(collected: Sequence[bytes]) -> Rows:
    """Make the rows of calls, given the JSON of each one's ``collected_variables``."""
    return build_rows(collected, 6, _read_variables)


def _read_variables(raw: bytes) -> list[Row]:
    members = read_members(raw)
    if members is None:
        return [(None, None, None, None, None, raw)]
    return [row for name, entry in members.items() for row in _read_entry(name, entry)]


def _read_entry(name: str, raw: bytes) -> list[Row]:
    """Read a variable, or the variables of an agent."""
    fields = read_members(raw)
    if fields == {}:
        return [(name.encode(), None, None, None, None, raw)]
    if fields is None or raw.find(b"{", 1) < 0:
        return [_read_variable(None, name, raw, fields)]
    inner = {each: read_members(value) for each, value in fields.items()}
    variables = [_is_variable(each) for each in inner.values()]
    if any(variables) and (all(variables) or not _is_variable(fields)):
        return [_read_variable(name.encode(), each, value, inner[each]) for each, value in fields.items()]
    return [_read_variable(None, name, raw, fields)]


def _is_variable(fields: dict[str, bytes] | None) -> bool:
    return fields is not None and ("value" in fields or "collected" in fields)


def _read_variable(agent: bytes | None, name: str, raw: bytes, fields: dict[str, bytes] | None) -> Row:
    if fields is None:  # the value itself
        return agent, name.encode(), *_read_value(raw), None, raw
    if not _is_variable(fields):
        return agent, name.encode(), None, None, None, raw
    value = fields.pop("value", None)
    collected = fields.get("collected", NULL)
    if collected in _BOOLEANS:
        fields.pop("collected", None)
    kept = write_object(fields) if fields else None
    return agent, name.encode(), *_read_value(value), _BOOLEANS.get(collected), kept


def _read_value(raw: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Return a value, a text as it is and any other by its JSON, and its type."""
    if raw is None:
        return None, None
    if raw == NULL:
        return None, b"null"
    text = read_text(raw)
    return (raw if text is None else text), _TYPES.get(raw[:1], b"number")
