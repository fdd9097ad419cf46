# SPDX-License-Identifier: Apache-2.0
"""When a call started, by whichever of its fields says so: what decides on the window it belongs to."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.instants import instant_of_epoch, instant_of_iso

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.rows import CallRow

__all__ = ["read_instant", "started_at"]

_LEGACY_ID = re.compile(r"(\d{13})x\d+")
_MOST_DIGITS = 19
_NUMBER = re.compile(r"\d{1,19}(\.\d{1,20})?([eE]\+?\d{1,2})?")  # 1776876567837, 1776876567.837, 1.776e12


def started_at(row: CallRow) -> int | None:
    """
    Return when a call started.

    ``start_time`` decides; where it is not readable, ``telephony_start``; where that is not either, the
    time that a legacy id begins with.

    :param row: the call
    :return: UTC milliseconds since 1970, or None where nothing tells
    """
    for value in (row.start_time, row.telephony_start):
        instant = read_instant(value)
        if instant is not None:
            return instant
    legacy = _LEGACY_ID.fullmatch(row.call_id)
    return instant_of_epoch(int(legacy[1])) if legacy else None


def read_instant(value: Any) -> int | None:
    """
    Read a time as any version of the API may write it, exact to the millisecond.

    :param value: a number of (milli)seconds, the text of one, ISO 8601 (UTC where it has no zone), or anything
    :return: UTC milliseconds since 1970, or None where it is no time
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return instant_of_epoch(value)
    if isinstance(value, float):
        value = repr(value)  # its shortest text, so that 1776876567.837 s keeps all its milliseconds
    if not isinstance(value, str):
        return None
    if value.isdecimal() and len(value) <= _MOST_DIGITS:  # as the API writes it, nearly always
        return instant_of_epoch(int(value))
    text = value.strip()
    if _NUMBER.fullmatch(text):
        return instant_of_epoch(Decimal(text))
    return instant_of_iso(text)
