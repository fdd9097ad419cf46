# SPDX-License-Identifier: Apache-2.0
"""Parquet: one schema for every window, row groups written as they come, the same bytes for the same records."""

from __future__ import annotations

import io
from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_provider_synthflow.output.call_schema import COLUMNS, RAW, Column, read_alike, read_unlike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from airflow_provider_synthflow.storage.base import Writable

__all__ = ["SCHEMA", "Batches", "ParquetRecords", "Sink", "make_array", "make_schema"]

_NONE = type(None)
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
        self._batches = Batches()
        self._follower: Callable[[Sequence[bytes], Mapping[str, Any] | None], object] | None = None
        self._due: list[Any] = []
        self._due_bytes = 0
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

    def lead(self, follower: Callable[[Sequence[bytes], Mapping[str, Any] | None], object]) -> bool:
        """Hand on each batch of records with its columns, or None where these do not give back every text."""
        self._follower = follower
        return True

    def write(self, records: Iterable[bytes]) -> None:
        """Write records, none of which can be read back."""
        for batch in self._batches.add(records):
            self._take(batch)

    def flush(self) -> None:
        """Leave what is due for a row group."""

    def close(self) -> None:
        """Write what is still due, and the file's end."""
        for batch in self._batches.rest():
            self._take(batch)
        self._write_group()
        self._writer.close()

    def _take(self, records: list[bytes]) -> None:
        """Put a batch into columns."""
        alike = read_alike(records, self._columns)
        columns = alike or read_unlike(records, self._columns)
        arrays = [make_array(values, field.type) for values, field in zip(columns, self._schema, strict=True)]
        self._due.append(pa.record_batch(arrays, schema=self._schema))
        self._due_bytes += sum(map(len, records))
        if self._due_bytes >= _ROW_GROUP:
            self._write_group()
        if self._follower is not None:
            pairs = zip(self._columns, columns, arrays, strict=False)
            fields = {column.name: made if column.kind == "text" else values for column, values, made in pairs}
            self._follower(records, fields if alike else None)

    def _write_group(self) -> None:
        if not self._due:
            return
        table = pa.Table.from_batches(self._due, self._schema)
        self._due.clear()
        self._due_bytes = 0
        self._writer.write_table(table, row_group_size=table.num_rows)


class Batches:
    """Records gathered until they have a mebibyte, so that where a batch ends depends on the records alone."""

    def __init__(self) -> None:
        self._records: list[bytes] = []
        self._size = 0

    def add(self, records: Iterable[bytes]) -> Iterator[list[bytes]]:
        """Add records, and yield each batch that is full."""
        for record in records:
            self._records.append(record)
            self._size += len(record)
            if self._size >= _BATCH:
                yield from self.rest()

    def rest(self) -> Iterator[list[bytes]]:
        """Yield what is there, if anything."""
        records, self._records, self._size = self._records, [], 0
        if records:
            yield records


def make_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Make an array of texts, all of them strings or all UTF-8, or of whole numbers."""
    # Of buffers, since `pyarrow.array` loads pandas where it is installed, which takes longer than many a window.
    kinds = set(map(type, values))
    absent, valid = 0, None
    if _NONE in kinds:
        bits = "".join(["0" if value is None else "1" for value in reversed(values)])
        absent = bits.count("0")
        if absent == len(values):
            return pa.nulls(absent, kind)
        valid = pa.py_buffer(int(bits, 2).to_bytes(len(values) // 8 + 1, "little"))
        empty: Any = 0 if not pa.types.is_string(kind) else "" if str in kinds else b""
        values = [empty if value is None else value for value in values]
    if not pa.types.is_string(kind):
        return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(array("q", values))], absent)
    if str in kinds and all(map(str.isascii, values)):
        data = "".join(values).encode()
    else:
        values = list(map(str.encode, values)) if str in kinds else values
        data = b"".join(values)
    offsets = array("i", accumulate(map(len, values), initial=0))
    return pa.Array.from_buffers(kind, len(values), [valid, pa.py_buffer(offsets), pa.py_buffer(data)], absent)


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
