# SPDX-License-Identifier: Apache-2.0
"""The tables of a window as Parquet files, written while its calls' records come."""

from __future__ import annotations

from array import array
from itertools import accumulate, compress
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from airflow_provider_synthflow.client.raw_json import mend_surrogates, split_members
from airflow_provider_synthflow.output.parquet import Batches, Sink, make_array
from airflow_provider_synthflow.tables.json_text import NULL, read_nearest_text
from airflow_provider_synthflow.tables.table import TABLES
from airflow_provider_synthflow.tables.turns import CHOICE, Texts, read_texts

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from airflow_provider_synthflow.storage.base import Writable
    from airflow_provider_synthflow.tables.table import Table

__all__ = ["ParquetTable", "ParquetTables"]

_TYPES = {"text": pa.string(), "integer": pa.int64(), "boolean": pa.bool_(), "choice": CHOICE}
_CALL_IDS = pa.dictionary(pa.int32(), pa.string())
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


_TEXT = "transcript"
_record_decoder = msgspec.json.Decoder(_Record)


class ParquetTables:
    """The tables of one window, each in a file of its own."""

    # Where a row group ends depends on the records alone, so that the same records give the same bytes.

    def __init__(self, files: Mapping[str, Writable]) -> None:
        self._tables = [ParquetTable(TABLES[name], file) for name, file in files.items()]
        self._batches = Batches()

    def write(self, records: Iterable[bytes]) -> None:
        """Add the next records."""
        for batch in self._batches.add(records):
            self.take(batch)

    def take(self, records: Sequence[bytes], columns: Mapping[str, Any] | None = None) -> None:
        """Add a batch of records, which are in columns already where all their values fit into these."""
        names = [table.field for table in self._tables]
        ids, fields = _read_records(records, names) if columns is None else _read_columns(columns, names)
        for table in self._tables:
            table.write(ids, fields[table.field])

    def close(self) -> dict[str, dict[str, int]]:
        """Write what is still due and the files' ends, and return each table's ``rows`` and ``odd``."""
        for batch in self._batches.rest():
            self.take(batch)
        for table in self._tables:
            table.close()
        return {table.name: {"rows": table.rows, "odd": table.odd} for table in self._tables}


class ParquetTable:
    """One table while it is written, and how many rows it has by now."""

    def __init__(self, table: Table, file: Writable) -> None:
        self.name = table.name
        self.field = table.field
        self.rows = 0
        self.odd = 0
        self._build = table.build
        kinds = {name: _TYPES[kind] for name, kind in table.columns.items()}
        self._schema = pa.schema([*kinds.items(), ("_raw", pa.string())])
        self._ids: list[str | None] = []
        self._counts: list[int] = []
        self._batches: list[pa.RecordBatch] = []
        self._due = 0
        self._sink = Sink(file)
        few = ["call_id", *table.few]
        # A column of codes is written as it is, where a text would be looked up row by row. Readers see texts: without
        # pyarrow's own schema nothing in the file tells of codes.
        self._writer = pq.ParquetWriter(
            self._sink,
            self._schema.insert(0, pa.field("call_id", _CALL_IDS)),
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=few,
            write_statistics=few,
            store_schema=False,
        )

    def __del__(self) -> None:
        """Keep pyarrow's writer from writing an end when it is discarded."""
        self._sink.drop()

    def write(self, ids: list[str | None], field: Any) -> None:
        """Write the rows of calls, given their ids and the field that the table is made of."""
        counts, columns = self._build(field)
        made = [_make_column(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        batch = pa.record_batch(made, schema=self._schema)
        self.rows += batch.num_rows
        self.odd += batch.num_rows - made[-1].null_count
        self._ids += compress(ids, counts)
        self._counts += filter(None, counts)
        self._batches.append(batch)
        self._due += batch.nbytes
        if self._due >= _ROW_GROUP:
            self._write_group()

    def close(self) -> None:
        """Write what is still due, and the file's end."""
        self._write_group()
        self._writer.close()

    def _write_group(self) -> None:
        rows = pa.Table.from_batches(self._batches, self._schema)
        if rows.num_rows:
            ends = array("i", accumulate(self._counts, initial=0))
            offsets = pa.Array.from_buffers(pa.int32(), len(ends), [None, pa.py_buffer(ends)])
            calls = pc.list_parent_indices(pa.ListArray.from_arrays(offsets, pa.nulls(rows.num_rows)))
            ids = make_array(self._ids, pa.string()).dictionary_encode().take(calls)
            rows = rows.add_column(0, "call_id", ids)
            self._writer.write_table(rows, row_group_size=rows.num_rows)
        for due in (self._ids, self._counts, self._batches):
            due.clear()
        self._due = 0


def _read_columns(columns: Mapping[str, Any], names: Iterable[str]) -> tuple[list[str | None], dict[str, Any]]:
    """Return the ids and the fields that tables are made of, taken from columns."""
    fields = {name: columns[name] for name in names}
    for name, values in fields.items():
        fields[name] = Texts(values) if name == _TEXT else [NULL if raw is None else raw for raw in values]
    return columns["call_id"].to_pylist(), fields


def _read_records(records: Iterable[bytes], names: Iterable[str]) -> tuple[list[str | None], dict[str, Any]]:
    """Return the ids and the fields that tables are made of, read from records."""
    read = list(map(_read_record, records))
    ids = [read_nearest_text(bytes(each.call_id))[0] for each in read]
    fields: dict[str, Any] = {name: list(map(bytes, map(attrgetter(name), read))) for name in names}
    if _TEXT in fields:
        fields[_TEXT] = read_texts(fields[_TEXT])
    return [None if each is None else each.decode() for each in ids], fields


def _read_record(raw: bytes) -> _Record:
    try:
        return _record_decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        members = split_members(mend_surrogates(raw))
        return _Record(**{name: msgspec.Raw(members.get(name, NULL)) for name in _Record.__struct_fields__})


def _make_column(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.Array):
        return values
    if pa.types.is_boolean(kind):
        numbers = make_array([None if value is None else int(value) for value in values], pa.int64())
        return numbers.cast(kind)
    return make_array(values, kind)
