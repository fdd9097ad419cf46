# SPDX-License-Identifier: Apache-2.0
"""Times as users and the API write them, as whole UTC milliseconds since 1970, and back."""

from __future__ import annotations

import datetime as dt
import re
import time
from decimal import Decimal
from typing import Any, TypeAlias

from pendulum.parsing import parse_iso8601

__all__ = [
    "InstantLike",
    "format_instant",
    "instant_of_epoch",
    "instant_of_iso",
    "now_ms",
    "read_instant",
    "to_milliseconds",
]

InstantLike: TypeAlias = "dt.datetime | int | str"
"""What a user may give as a time: an aware datetime, epoch milliseconds, or ISO 8601 with a zone."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_MILLISECOND = dt.timedelta(milliseconds=1)
_EARLIEST, _LATEST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
_SECONDS = 10**11
"""A number below this is rather seconds: as milliseconds it would be before March 1973."""

_INTEGER = r"[+-]?\d{1,19}"  # compiled when it is used, and not for each DAG file
_MOST_DIGITS = 19
_NUMBER = r"\d{1,19}(\.\d{1,20})?([eE]\+?\d{1,2})?"  # 1776876567837, 1776876567.837, 1.776e12


def now_ms() -> int:
    """Return the present, in UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def to_milliseconds(value: object, *, name: str = "time") -> int:
    """Turn a time that a user gave into UTC milliseconds since 1970."""
    if isinstance(value, dt.datetime):
        moment: object = value
    elif isinstance(value, (bool, dt.date)):
        moment = value
    elif isinstance(value, int):
        return _possible(value, name)
    elif isinstance(value, str):
        text = value.strip()
        if re.fullmatch(_INTEGER, text):
            return _possible(_whole(text, name), name)
        moment = _parse(text)
    else:
        moment = None
    if isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
        return _possible(_since_epoch(moment), name)
    raise ValueError(f"{name} {_flaw(value, moment)}")


def _flaw(value: object, moment: object) -> str:
    """Return why a value is no instant, and how to write it."""
    if isinstance(moment, dt.datetime):
        text = moment.isoformat()
        return f"has no time zone: {text}. Give an aware datetime, or write the zone, as in {text}Z."
    if isinstance(moment, dt.date):
        day = moment.isoformat()
        return f"is not a time: {day} has no time zone. Give an aware datetime, or write both, as in {day}T00:00:00Z."
    return (
        f"is not a time: got {type(value).__name__}. "
        "Give an aware datetime, epoch milliseconds, or ISO 8601 with a zone such as 2026-11-23T00:00:00Z."
    )


def _whole(text: str, name: str) -> int:
    """Read digits as milliseconds; what is rather seconds, or a date without its dashes, is refused."""
    milliseconds = int(text)
    if 0 < milliseconds < _SECONDS:
        raise ValueError(
            f"{name} is {text}. A number means milliseconds since 1970, and this one looks like seconds. Give ISO "
            "8601 with a zone, as data_interval_start renders, or multiply the seconds by 1000."
        )
    return milliseconds


def format_instant(milliseconds: int) -> str:
    """Write UTC milliseconds as ISO 8601 with three decimals, such as ``2026-11-23T00:00:00.000Z``."""
    moment = _EPOCH + milliseconds * _MILLISECOND
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def instant_of_epoch(value: int | Decimal) -> int | None:
    """Read a number that the API sent as a time; its size tells its unit."""
    # Below 10^11 it is seconds (as milliseconds that would be before March 1973), below 10^14 milliseconds, then
    # microseconds, then nanoseconds. Zero and negative numbers are no time.
    if not 0 < value < 10**20:
        return None
    if value < _SECONDS:
        return int(value * 1000)
    if value < 10**14:
        return int(value)
    if value < 10**17:
        return int(value // 1_000)
    return int(value // 1_000_000)


def instant_of_iso(text: str) -> int | None:
    """Read an ISO 8601 date-time that the API sent, taken as UTC where it has no zone."""
    moment = _parse(text)
    if not isinstance(moment, dt.datetime):
        return None
    if moment.utcoffset() is None:
        moment = moment.replace(tzinfo=dt.timezone.utc)
    return _since_epoch(moment)


def read_instant(value: Any) -> int | None:
    """Read a time as any version of the API may write it, exact to the millisecond."""
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
    if re.fullmatch(_NUMBER, text):
        return instant_of_epoch(Decimal(text))
    return instant_of_iso(text)


def _since_epoch(moment: dt.datetime) -> int:
    """Return the milliseconds since 1970; pendulum's own difference is no plain timedelta and cannot be divided."""
    return dt.datetime.__sub__(moment, _EPOCH) // _MILLISECOND


def _possible(milliseconds: int, name: str) -> int:
    """Return milliseconds that lie in the calendar; an instant in nanoseconds does not."""
    if not _EARLIEST <= milliseconds <= _LATEST:
        msg = f"{name} is not a time: it is outside the years 1 to 9999. A number means milliseconds since 1970."
        raise ValueError(msg)
    return milliseconds


def _parse(text: str) -> object:
    """Parse ISO 8601 into a datetime, a date, a time or a duration; None where it is none of them."""
    try:
        moment: object = parse_iso8601(text)
        if isinstance(moment, dt.datetime):
            moment.utcoffset()  # an offset of a day or more is found out only here
    except (ValueError, OverflowError):
        return None
    return moment
