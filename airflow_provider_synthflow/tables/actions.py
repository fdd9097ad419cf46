# SPDX-License-Identifier: Apache-2.0
"""One row an executed action. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.tables.json_text import (
    NULL,
    open_strings,
    read_members,
    read_nearest_text,
    write_object,
)
from airflow_provider_synthflow.tables.rows import Row, Rows, build_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build_actions"]

_decoder = msgspec.json.Decoder(dict[str, dict[str, msgspec.Raw]])


def build_actions(actions: Sequence[bytes]) -> Rows:
    """Make the rows of calls, given the JSON of each one's ``executed_actions``."""
    return build_rows(actions, 6, _read_actions)


def _read_actions(raw: bytes) -> list[Row]:
    try:
        return [
            (position, *_read_fields(key, each)) for position, (key, each) in enumerate(_decoder.decode(raw).items())
        ]
    except (msgspec.MsgspecError, RecursionError):
        members = read_members(raw)
    if members is None:
        return [(0, None, None, None, None, raw)]
    return [(position, *_read_action(key, each)) for position, (key, each) in enumerate(members.items())]


def _read_action(key: str, raw: bytes) -> Row:
    fields = read_members(raw)
    return (key.encode(), None, None, None, raw) if fields is None else _read_fields(key, fields)


def _read_fields(key: str, fields: dict[str, Any]) -> Row:
    name, fits = read_nearest_text(bytes(fields.get("name", NULL)))
    if fits:
        fields.pop("name", None)
    parameters = _open(fields.pop("parameters")) if "parameters" in fields else _join_parameters(fields)
    returned = _open(fields.pop("return_value", NULL))
    return key.encode(), name, parameters, returned, write_object(fields) if fields else None


def _join_parameters(fields: dict[str, Any]) -> bytes | None:
    """Join the parameters that the API splits by their origin into one object."""
    names = [name for name in fields if name.startswith("parameters_")]
    return write_object({name: open_strings(bytes(fields.pop(name))) for name in names}) if names else None


def _open(raw: Any) -> bytes | None:
    raw = bytes(raw)
    return None if raw == NULL else open_strings(raw)
