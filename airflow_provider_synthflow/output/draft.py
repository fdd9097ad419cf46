# SPDX-License-Identifier: Apache-2.0
"""The files of a window while they are written: the calls, and the tables made of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from airflow_provider_synthflow.output.formats import open_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_synthflow.output.call_schema import Column
    from airflow_provider_synthflow.storage.base import Staged, Writable

__all__ = ["Draft", "Finished", "TableWriter", "TablesSpec"]


class TableWriter(Protocol):
    """What writes the tables of a window while its records come."""

    def write(self, records: Sequence[bytes]) -> object:
        """Take the next records."""

    def close(self) -> dict[str, dict[str, int]]:
        """Write the files' ends, and return each table's ``rows`` and ``odd``."""


@dataclass(frozen=True)
class TablesSpec:
    """The tables that are published beside the calls: their names, and what opens their writer on files by name."""

    names: tuple[str, ...]
    open: Callable[[Mapping[str, Writable]], TableWriter]


class Draft:
    """The files of a window while they are written: the calls, and the tables made of them."""

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

    def write(self, records: Sequence[bytes]) -> list[int] | None:
        """
        Write records, and return at which byte of the file each begins; None where none can be read back.

        :param records: the JSON of each
        """
        places = self._writer.write(records)
        if self._table_writer is not None:
            self._table_writer.write(records)
        return places

    def reader(self) -> Callable[[int, int], bytes]:
        """Return what reads so many bytes at a place, of all that was written so far."""
        self._writer.flush()
        self._staged.flush()
        return self._staged.read

    def finish(self) -> Finished:
        """Write the files' ends, and return what can be published."""
        self._writer.close()
        told = {} if self._table_writer is None else self._table_writer.close()
        return Finished(self._staged, {name: (staged, told[name]) for name, staged in self._tables.items()})


@dataclass(frozen=True)
class Finished:
    """Files that are written to their ends: the calls, and the tables by name, each with its numbers of rows."""

    calls: Staged
    tables: dict[str, tuple[Staged, dict[str, int]]]
