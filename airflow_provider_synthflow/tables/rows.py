# SPDX-License-Identifier: Apache-2.0
"""Rows of a table while they are made: how many each call has, and their values by column."""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["Rows"]


class Rows(NamedTuple):
    """The rows that some calls give to a table: lists with texts in UTF-8, or arrays; the last column is ``_raw``."""

    counts: list[int]
    columns: tuple[Any, ...]
