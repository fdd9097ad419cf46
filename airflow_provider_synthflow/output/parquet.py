# SPDX-License-Identifier: Apache-2.0
"""Parquet: one schema for every window, row groups written as they come, the same bytes for the same records."""

from __future__ import annotations

import io
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_synthflow.output.call_schema import COLUMNS, RAW, Column, read_columns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.storage.base import Writable

__all__ = ["SCHEMA", "ParquetRecords", "Sink", "make_array", "make_schema"]

_INSTANT = pa.timestamp("ms", tz="UTC")
_TYPES = {"text": pa.string(), "json": pa.string(), "integer": pa.int64(), "epoch": _INSTANT, "iso": _INSTANT}

_BATCH = 1024 * 1024
_ROW_GROUP = 8 * 1024 * 1024
_COMPRESSION_LEVEL = 1


def make_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the schema of every file of such columns, whatever it holds."""
    return pa.schema([*((column.name, _TYPES[column.kind]) for column in columns), (RAW, pa.string())])


SCHEMA = make_schema(COLUMNS)
"""The schema of every file of calls."""


class ParquetRecords:
    """A writer of records as rows of Parquet."""

    def __init__(self, file: Writable, columns: Sequence[Column] = COLUMNS) -> None:
        self._sink = Sink(file)
        self._columns = columns
        self._schema = make_schema(columns)
        self._records: list[bytes] = []
        self._records_bytes = 0
        self._batches: list[Any] = []
        self._batches_bytes = 0
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=[column.name for column in columns if column.few],
            write_statistics=[
                columns[0].name,
                *(column.name for column in columns if column.few or column.kind not in {"text", "json"}),
            ],
        )

    def __del__(self) -> None:
        """Keep pyarrow's writer from writing an end when it is discarded."""
        self._sink.drop()

    def write(self, records: Sequence[bytes]) -> None:
        """Write records, none of which can be read back."""
        for record in records:
            self._records.append(record)
            self._records_bytes += len(record)
            if self._records_bytes >= _BATCH:
                self._take_batch()

    def flush(self) -> None:
        """Leave what is due for a row group."""

    def close(self) -> None:
        """Write what is still due, and the file's end."""
        self._take_batch()
        self._write_group()
        self._writer.close()

    def _take_batch(self) -> None:
        """Put the records that are there into columns."""
        if not self._records:
            return
        columns = zip(read_columns(self._records, self._columns), self._schema, strict=True)
        arrays = [make_array(values, field.type) for values, field in columns]
        self._batches.append(pa.record_batch(arrays, schema=self._schema))
        self._batches_bytes += self._records_bytes
        self._records.clear()
        self._records_bytes = 0
        if self._batches_bytes >= _ROW_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        if not self._batches:
            return
        table = pa.Table.from_batches(self._batches, self._schema)
        self._batches.clear()
        self._batches_bytes = 0
        self._writer.write_table(table, row_group_size=table.num_rows)


def make_array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Make an array of UTF-8 texts, or of whole numbers."""
    # Of buffers, since `pyarrow.array` loads pandas where it is installed, which takes longer than many a window.
    absent = values.count(None)
    valid = None
    if absent == len(values):
        return pa.nulls(absent, kind)
    if absent:
        bits = "".join(["0" if value is None else "1" for value in reversed(values)])
        valid = pa.py_buffer(int(bits, 2).to_bytes(len(values) // 8 + 1, "little"))
    if not pa.types.is_string(kind):
        numbers = array("q", [value or 0 for value in values] if absent else values)
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(numbers)], absent)
    if absent:
        values = [value or b"" for value in values]
    offsets = array("i", accumulate(map(len, values), initial=0))
    buffers = [valid, pa.py_buffer(offsets), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(kind, len(values), buffers, absent)


class Sink(io.RawIOBase):
    """A file that pyarrow writes into; the one below stays open."""

    def __init__(self, file: Writable) -> None:
        self._file: Writable | None = file
        self._end = 0

    def writable(self) -> bool:
        """Tell that it can be written."""
        return True

    def write(self, data: Any, /) -> int:
        """Write bytes at the end."""
        data = bytes(data)
        self._end += len(data)
        if self._file is not None:
            self._file.write(data)
        return len(data)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._end

    def flush(self) -> None:
        """Leave it to the one who opened the file."""

    def drop(self) -> None:
        """Write nothing any more."""
        self._file = None
