# SPDX-License-Identifier: Apache-2.0
"""One row an executed action. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

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

_PARAMETERS = "parameters"


def build_actions(actions: Sequence[bytes]) -> Rows:
    """Make the rows of calls, given the JSON of each one's ``executed_actions``."""
    return build_rows(actions, 6, _read_actions)


def _read_actions(raw: bytes) -> list[Row]:
    members = read_members(raw)
    if members is None:
        return [(0, None, None, None, None, raw)]
    return [(position, *_read_action(key, each)) for position, (key, each) in enumerate(members.items())]


def _read_action(key: str, raw: bytes) -> Row:
    fields = read_members(raw)
    if fields is None:
        return key.encode(), None, None, None, raw
    name, fits = read_nearest_text(fields.get("name", NULL))
    if fits:
        fields.pop("name", None)
    parameters = fields.pop(_PARAMETERS, NULL) if _PARAMETERS in fields else _join_parameters(fields)
    returned = fields.pop("return_value", NULL)
    return key.encode(), name, _open(parameters), _open(returned), write_object(fields) if fields else None


def _join_parameters(fields: dict[str, bytes]) -> bytes:
    """Take out the parameters that the API parts by where they come from, and make one object of them."""
    parted = {name: fields.pop(name) for name in list(fields) if name.startswith("parameters_")}
    return write_object(parted) if parted else NULL


def _open(raw: bytes) -> bytes | None:
    return None if raw == NULL else open_strings(raw)
