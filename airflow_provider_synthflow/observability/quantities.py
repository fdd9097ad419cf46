# SPDX-License-Identifier: Apache-2.0
"""Quantities as logs show them."""

from __future__ import annotations

__all__ = ["to_count", "to_size"]

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def to_count(number: int, noun: str) -> str:
    """Return a number of things, such as ``1 call`` or ``1,200 calls``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def to_size(count: float) -> str:
    """Write a number of bytes as a person reads it."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return f"{count:,.0f} {_UNITS[unit]}" if unit == 0 or count >= 100 else f"{count:,.1f} {_UNITS[unit]}"
