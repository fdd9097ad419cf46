# SPDX-License-Identifier: Apache-2.0
"""The window: a half-open stretch of time ``[from_date, to_date)`` in whole UTC milliseconds."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowWindowError
from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = ["Window"]

_LATEST_MS = 221_845_392_000_000
"""9000-01-01: what is added to a window's end still has a date."""


@dataclass(frozen=True, order=True)
class Window:
    """
    A half-open stretch of time, ``[from_date, to_date)``.

    :param from_ms: the first instant in the window, UTC milliseconds since 1970 (inclusive)
    :param to_ms: the first instant after the window, UTC milliseconds since 1970 (exclusive)
    :raises SynthflowWindowError: where the window would be empty or reversed
    """

    from_ms: int
    to_ms: int

    def __post_init__(self) -> None:
        if self.to_ms >= _LATEST_MS:
            msg = "The window's to_date is after the year 9000. A number means milliseconds since 1970."
            raise SynthflowWindowError(msg)
        if self.from_ms >= self.to_ms:
            raise SynthflowWindowError(
                f"The window is empty or reversed: from_date {format_instant(self.from_ms)} is not before "
                f"to_date {format_instant(self.to_ms)}. A window is [from_date, to_date)."
            )

    @classmethod
    def of(cls, from_date: InstantLike, to_date: InstantLike) -> Window:
        """
        Make a window of two times as users write them.

        :param from_date: inclusive: an aware datetime, epoch milliseconds or ISO 8601 with a zone
        :param to_date: exclusive, likewise
        :raises ValueError: for a naive time or what is no time
        :raises SynthflowWindowError: where the window would be empty or reversed
        """
        return cls(to_milliseconds(from_date, name="from_date"), to_milliseconds(to_date, name="to_date"))

    @classmethod
    def coerce(cls, value: Any) -> Window:
        """
        Take a window, a pair of times, or a mapping with ``from_date`` and ``to_date``.

        :param value: what names a window
        :raises ValueError: for anything else
        :raises SynthflowWindowError: where the window would be empty or reversed
        """
        if isinstance(value, Window):
            return value
        if isinstance(value, dict) and "from_date" in value and "to_date" in value:
            return cls.of(value["from_date"], value["to_date"])
        if isinstance(value, (tuple, list)) and len(value) == 2:
            return cls.of(*value)
        raise ValueError("A window is a Window, a pair (from_date, to_date), or a mapping with from_date and to_date.")

    @property
    def from_date(self) -> dt.datetime:
        """Return the inclusive start as an aware UTC datetime."""
        return _datetime(self.from_ms)

    @property
    def to_date(self) -> dt.datetime:
        """Return the exclusive end as an aware UTC datetime."""
        return _datetime(self.to_ms)

    @property
    def from_iso(self) -> str:
        """Return the inclusive start as ISO 8601 UTC with milliseconds."""
        return format_instant(self.from_ms)

    @property
    def to_iso(self) -> str:
        """Return the exclusive end as ISO 8601 UTC with milliseconds."""
        return format_instant(self.to_ms)

    def __contains__(self, milliseconds: int) -> bool:
        """Tell whether an instant, in UTC milliseconds, lies in the window."""
        return self.from_ms <= milliseconds < self.to_ms

    def __str__(self) -> str:
        """Return the window as a person writes it."""
        return f"[{self.from_iso}, {self.to_iso})"


def _datetime(milliseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(milliseconds=milliseconds)
