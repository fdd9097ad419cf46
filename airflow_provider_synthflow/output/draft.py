# SPDX-License-Identifier: Apache-2.0
"""The files of a window while they are written: the calls and their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_synthflow.output.formats import open_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_synthflow.output.call_schema import Column
    from airflow_provider_synthflow.storage.base import Staged, Writable

__all__ = ["Draft", "Finished", "TableWriter", "TablesSpec"]


class TableWriter(Protocol):
    """A writer of the tables of a window."""

    def write(self, records: Sequence[bytes]) -> object:
        """Add the next records."""

    def take(self, records: Sequence[bytes], columns: Mapping[str, Any] | None) -> object:
        """Add the next records, which are in columns already; None: those do not give back every value."""

    def close(self) -> dict[str, dict[str, int]]:
        """Write the ends of the files, and return each table's ``rows`` and ``odd``."""


@dataclass(frozen=True)
class TablesSpec:
    """The names of the tables beside the calls, and their writer."""

    names: tuple[str, ...]
    open: Callable[[Mapping[str, Writable]], TableWriter]


class Draft:
    """The files of a window while they are written: the calls and their tables."""

    def __init__(
        self,
        staged: Staged,
        format_name: str,
        *,
        columns: tuple[Column, ...],
        tables: Mapping[str, Staged],
        spec: TablesSpec | None = None,
    ) -> None:
        self._staged = staged
        self._writer = open_writer(format_name, staged, columns)
        self._tables = tables
        self._table_writer = None if spec is None else spec.open(tables)
        self._leads = self._table_writer is not None and self._writer.lead(self._table_writer.take)

    def write(self, records: Sequence[bytes]) -> list[int] | None:
        """Write records, and return their offsets in the file, or None where they cannot be read back."""
        places = self._writer.write(records)
        if self._table_writer is not None and not self._leads:
            self._table_writer.write(records)
        return places

    def reader(self) -> Callable[[int, int], bytes]:
        """Return a function that reads so many bytes at an offset, of all that was written so far."""
        self._writer.flush()
        self._staged.flush()
        return self._staged.read

    def finish(self) -> Finished:
        """Write the ends of the files, and return them."""
        self._writer.close()
        told = {} if self._table_writer is None else self._table_writer.close()
        return Finished(self._staged, {name: (staged, told[name]) for name, staged in self._tables.items()})


@dataclass(frozen=True)
class Finished:
    """The complete files: the calls, and the tables by name, each with its numbers of rows."""

    calls: Staged
    tables: dict[str, tuple[Staged, dict[str, int]]]
