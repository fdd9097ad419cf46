# SPDX-License-Identifier: Apache-2.0
"""The tables of a window as Parquet files, written while its calls' records come."""

from __future__ import annotations

from array import array
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_synthflow.client.raw_json import split_members
from airflow_provider_synthflow.output.parquet import Sink, make_array
from airflow_provider_synthflow.tables.json_text import NULL, read_nearest_text
from airflow_provider_synthflow.tables.table import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_synthflow.storage.base import Writable
    from airflow_provider_synthflow.tables.table import Table

__all__ = ["ParquetTable", "ParquetTables"]

_TYPES = {"text": pa.string(), "integer": pa.int64(), "boolean": pa.bool_()}
_BATCH = 1024 * 1024
_ROW_GROUP = 2 * 1024 * 1024
_COMPRESSION_LEVEL = 1
_NULL = msgspec.Raw(NULL)


class _Record(msgspec.Struct, gc=False):
    """The fields of a record that the tables are made of; the others are skipped."""

    call_id: msgspec.Raw = _NULL
    transcript: msgspec.Raw = _NULL
    executed_actions: msgspec.Raw = _NULL
    collected_variables: msgspec.Raw = _NULL
    judge_results: msgspec.Raw = _NULL


_record_decoder = msgspec.json.Decoder(_Record)


class ParquetTables:
    """
    The tables of one window, each written into a file of its own.

    Where a row group ends depends on the records alone, so that the same records give the same bytes.
    """

    def __init__(self, files: Mapping[str, Writable]) -> None:
        self._tables = [ParquetTable(TABLES[name], file) for name, file in files.items()]
        self._records: list[bytes] = []
        self._size = 0

    def write(self, records: Iterable[bytes]) -> None:
        """Take the next records."""
        for record in records:
            self._records.append(record)
            self._size += len(record)
            if self._size >= _BATCH:
                self._take_batch()

    def close(self) -> dict[str, dict[str, int]]:
        """Write what is still due and the files' ends, and return each table's ``rows`` and ``odd``."""
        self._take_batch()
        for table in self._tables:
            table.close()
        return {table.name: {"rows": table.rows, "odd": table.odd} for table in self._tables}

    def _take_batch(self) -> None:
        if not self._records:
            return
        records = [_read_record(record) for record in self._records]
        self._records.clear()
        self._size = 0
        ids = make_array([read_nearest_text(bytes(record.call_id))[0] for record in records], pa.string())
        for table in self._tables:
            table.write(ids, [bytes(getattr(record, table.field)) for record in records])


class ParquetTable:
    """One table while it is written, and how many rows it has by now."""

    def __init__(self, table: Table, file: Writable) -> None:
        self.name = table.name
        self.field = table.field
        self.rows = 0
        self.odd = 0
        self._build = table.build
        self._schema = pa.schema(
            [
                ("call_id", pa.string()),
                *((name, _TYPES[kind]) for name, kind in table.columns.items()),
                ("_raw", pa.string()),
            ]
        )
        self._sink = Sink(file)
        self._batches: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema,
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=["call_id", *table.few],
            write_statistics=["call_id", *table.few],
        )

    def __del__(self) -> None:
        """Let pyarrow's writer, which writes an end when it is thrown away, write it nowhere."""
        self._sink.drop()

    def write(self, ids: pa.Array, values: list[bytes]) -> None:
        """Write the rows of calls, given their ids and the JSON of the field that the table is made of."""
        counts, columns = self._build(values)
        count = sum(counts)
        if not count:
            return
        self.rows += count
        ends = array("i", accumulate(counts, initial=0))
        offsets = pa.Array.from_buffers(pa.int32(), len(ends), [None, pa.py_buffer(ends)])
        taken = ids.take(pc.list_parent_indices(pa.ListArray.from_arrays(offsets, pa.nulls(count))))
        made = [_make_column(column, field.type) for column, field in zip(columns, list(self._schema)[1:], strict=True)]
        self.odd += count - made[-1].null_count
        self._batches.append(pa.record_batch([taken, *made], schema=self._schema))
        if sum([batch.nbytes for batch in self._batches]) >= _ROW_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write what is still due, and the file's end."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        if not self._batches:
            return
        rows = pa.Table.from_batches(self._batches, self._schema)
        self._batches.clear()
        self._writer.write_table(rows, row_group_size=rows.num_rows)


def _read_record(raw: bytes) -> _Record:
    try:
        return _record_decoder.decode(raw)
    except msgspec.MsgspecError:
        members = split_members(raw)
        return _Record(**{name: msgspec.Raw(members.get(name, NULL)) for name in _Record.__struct_fields__})


def _make_column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_boolean(kind):
        numbers = make_array([None if value is None else int(value) for value in values], pa.int64())
        return numbers.cast(kind)
    return make_array(values, kind)
