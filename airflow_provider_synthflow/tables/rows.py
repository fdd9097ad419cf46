# SPDX-License-Identifier: Apache-2.0
"""Rows of a table while they are made: how many each call has, and their values by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_synthflow.tables.json_text import NULL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

__all__ = ["Row", "Rows", "build_rows"]

Row = tuple["int | bytes | bool | None", ...]


class Rows(NamedTuple):
    """The rows that some calls give to a table: lists with texts in UTF-8, or arrays; the last column is ``_raw``."""

    counts: list[int]
    columns: tuple[Any, ...]


def build_rows(received: Sequence[bytes], width: int, read: Callable[[bytes], Iterable[Row]]) -> Rows:
    """Make the rows of calls, given the JSON of one of each one's fields, and what reads the rows in it."""
    counts: list[int] = []
    rows: list[Row] = []
    for raw in received:
        before = len(rows)
        if raw not in (NULL, b"{}"):
            rows += read(raw)
        counts.append(len(rows) - before)
    columns = zip(*rows, strict=True) if rows else [()] * width
    return Rows(counts, tuple(map(list, columns)))
