# SPDX-License-Identifier: Apache-2.0
"""Parquet has one schema whatever a window holds, takes any JSON in any field, and loses nothing of it."""

from __future__ import annotations

import datetime as dt
import gc
import io
import json
import math
import weakref

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.output.call_schema import COLUMNS, RAW, read_columns, rebuild
from airflow_provider_synthflow.output.formats import open_writer
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES
from airflow_provider_synthflow.window import Window
from tests.effort import count_examples
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, make_calls

FIELDS = [column.name for column in COLUMNS] + ["model_id", "assistant_version", RAW, "from_date", 'new field "é"']
UTC = dt.timezone.utc


def written(records: list[bytes]) -> bytes:
    file = io.BytesIO()
    writer = open_writer("parquet", file)
    for record in records:
        writer.write([record])
    writer.close()
    return file.getvalue()


def rows_of(*records: dict | bytes) -> list[dict]:
    raws = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
    return pq.read_table(io.BytesIO(written(raws))).to_pylist()


def row_of(record: dict | bytes) -> dict:
    (row,) = rows_of(record)
    return row


def without_nulls(record: dict) -> dict:
    """Return a record as Parquet gives it back: a documented field that is null is as good as none."""
    known = {column.name for column in COLUMNS}
    return {name: value for name, value in record.items() if value is not None or name not in known}


def same(left, right) -> bool:
    """Compare JSON values strictly: true is not 1 there, nor is 1 the same as "1"."""
    if isinstance(left, dict):
        return isinstance(right, dict) and left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return isinstance(right, list) and len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


TEXTS = st.text(st.characters(codec=None)) | st.sampled_from(
    [
        "", "25", "-7", "007", "1776876567837", "01776876567837", "1776876567", "1776876567.837",
        "\uff11776876567837",
        "2026-04-22T16:49:27.837", "2026-04-22T16:49:27", "2026-04-22T16:49:27.837123", "2026-04-22T16:49:27.837Z",
        "2026-04-22T16:49:27.837+02:00", "2026-04-22 16:49:27.837", "2026-04-22", "0001-01-01T00:00:00+05:00",
        "9999-12-31T23:59:59.999", "2026-02-30T00:00:00.000", "2026-04-22T16:49:60.000", "2026-04-22T16:49:2\u0667.837",
        "2026-04-22T16:49: 7.837", "2026-04-22T16-49-27.837", "2026-04-22t16:49:27.837", "2026-W17-3T16:49:27.837",
        "null", "{}", "\x00", "9223372036854775808",
    ]
)  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**63, -(2**63), 2**63 - 1, 10**400, 1776876567837])
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), VALUES, max_size=8)


@settings(max_examples=count_examples(250), deadline=None)
@given(records=st.lists(RECORDS, min_size=1, max_size=4), plainly=st.booleans())
@example(
    records=[{"name": "\ud800", "\ud800": {"\udfff": "\ud800"}, "start_time": "\ud800", "labels": ["\ud800"]}],
    plainly=False,
)
@example(records=[{"duration": "25"}, {"duration": 25}, {"duration": 25.0}, {"duration": True}, {}], plainly=False)
def test_any_json_in_any_field_is_written_and_made_of_the_columns_again(records, plainly):
    try:
        raws = [json.dumps(record, ensure_ascii=not plainly).encode() for record in records]
    except UnicodeEncodeError:
        raws = [json.dumps(record).encode() for record in records]

    table = pq.read_table(io.BytesIO(written(raws)))

    assert [field.name for field in table.schema] == [column.name for column in COLUMNS] + [RAW]
    for record, row in zip(records, table.to_pylist(), strict=True):
        assert same(rebuild(row), without_nulls(record))


@settings(max_examples=count_examples(150), deadline=None)
@given(fields=st.lists(st.sampled_from(FIELDS), unique=True, max_size=6), values=st.lists(VALUES, max_size=24))
def test_records_with_the_same_fields_are_put_into_columns_as_each_alone(fields, values):
    """Whether together, which takes a shorter way, or beside one that has another field."""
    width = max(1, len(fields))
    rows = [values[start : start + width] for start in range(0, len(values) - len(values) % width, width)]
    alike = [json.dumps(dict(zip(fields, row, strict=False))).encode() for row in rows]
    alone = [read_columns([record]) for record in alike]
    expected = [[one[at][0] for one in alone] for at in range(len(COLUMNS) + 1)]

    assert read_columns(alike) == expected
    assert [values[:-1] for values in read_columns([*alike, b'{"another":1}'])] == expected


def test_columns_hold_the_documented_fields_typed():
    record = {
        "call_id": "c-1", "model_id": "agent-1", "call_status": "completed", "start_time": "1776876567837",
        "duration": 25, "transcript": "bot: Grüß Gott\n", "judge_results": {"a": "1"}, "labels": ["ü", None],
        "telephony_duration": 25_123, "telephony_start": "2026-04-22T16:49:28.001", "name": None,
        "assistant_version": 7,
    }  # fmt: skip

    row = row_of(record)

    assert (row["call_id"], row["call_status"], row["transcript"]) == ("c-1", "completed", "bot: Grüß Gott\n")
    assert row["start_time"] == dt.datetime(2026, 4, 22, 16, 49, 27, 837_000, UTC)
    assert row["telephony_start"] == dt.datetime(2026, 4, 22, 16, 49, 28, 1_000, UTC)
    assert (row["duration"], row["telephony_duration"], row["name"]) == (25, 25_123, None)
    assert json.loads(row["judge_results"]) == {"a": "1"}
    assert json.loads(row["labels"]) == ["ü", None]
    assert json.loads(row[RAW]) == {"model_id": "agent-1", "assistant_version": 7}


@pytest.mark.parametrize(
    ("field", "value", "column"),
    [
        ("duration", "25", 25),
        ("duration", "abc", None),
        ("duration", 2.5, None),
        ("duration", True, None),
        ("duration", 2**63, None),
        ("duration", {}, None),
        ("start_time", 1776876567837, dt.datetime(2026, 4, 22, 16, 49, 27, 837_000, UTC)),
        ("start_time", "1776876567", dt.datetime(2026, 4, 22, 16, 49, 27, 0, UTC)),
        ("start_time", "2026-04-22T18:49:27+02:00", dt.datetime(2026, 4, 22, 16, 49, 27, 0, UTC)),
        ("start_time", "0776876567837", dt.datetime(1994, 8, 14, 15, 2, 47, 837_000, UTC)),
        ("start_time", "\uff11776876567837", dt.datetime(2026, 4, 22, 16, 49, 27, 837_000, UTC)),
        ("start_time", {}, None),
        ("start_time", "soon", None),
        ("telephony_start", {}, None),
        ("telephony_start", "0001-01-01T00:00:00+05:00", None),
        ("telephony_end", "2026-04-22T16:49:27.837123", dt.datetime(2026, 4, 22, 16, 49, 27, 837_000, UTC)),
        ("telephony_end", "2026-04-22T16:49:27Z", dt.datetime(2026, 4, 22, 16, 49, 27, 0, UTC)),
        ("recording_duration", 25, "25"),
        ("name", True, "true"),
        ("name", ["a"], None),
        ("call_id", 5, "5"),
    ],
)
def test_what_a_column_does_not_give_back_is_kept_as_received_beside_the_nearest_value(field, value, column):
    before, row, after = rows_of({field: None}, {field: value}, {})

    assert row[field] == column
    assert json.loads(row[RAW]) == {field: value}
    assert before[RAW] is after[RAW] is None


def test_numbers_of_unknown_fields_keep_their_digits():
    assert row_of(b'{"new":0.1000000000000000055,"big":1e999}')[RAW] == '{"new":0.1000000000000000055,"big":1e999}'


def test_every_window_has_the_same_schema_also_without_calls():
    schemas = {
        pq.read_schema(io.BytesIO(written(records)))
        for records in ([], [b"{}"], [b'{"duration":"x","start_time":{},"new":1}'], [b'{"duration":1}'] * 3)
    }
    (schema,) = schemas

    assert {str(schema.field(name).type) for name in ("start_time", "telephony_end")} == {"timestamp[ms, tz=UTC]"}
    assert {str(schema.field(name).type) for name in ("duration", "telephony_duration")} == {"int64"}
    assert {str(field.type) for field in schema} == {"string", "int64", "timestamp[ms, tz=UTC]"}
    assert pq.read_table(io.BytesIO(written([]))).num_rows == 0


def test_rows_come_in_groups_of_some_megabytes_so_that_memory_stays_bounded():
    records = [b'{"call_id":"%d","transcript":"%b"}' % (number, b"x" * 100_000) for number in range(250)]

    file = pq.ParquetFile(io.BytesIO(written(records)))

    sizes = [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]
    assert sum(sizes) == 250
    assert max(sizes) < 100
    assert [row["call_id"] for row in file.read(["call_id"]).to_pylist()] == [str(number) for number in range(250)]


def test_a_writer_that_is_thrown_away_writes_no_end():
    """Nor do its tables; and all are freed at once, since a collection of cycles might write pyarrow's end first."""
    files = {name: io.BytesIO() for name in ("calls", *TABLES)}
    tables = ParquetTables({name: files[name] for name in TABLES})
    writer = open_writer("parquet", files["calls"])
    assert writer.lead(tables.take)
    writer.write([b'{"call_id":"a","transcript":"bot: x"}'])
    begun = {name: file.getvalue() for name, file in files.items()}
    left = [weakref.ref(each) for each in (writer, tables)]

    gc.disable()
    try:
        del writer, tables
        assert [each() for each in left] == [None, None]
    finally:
        gc.enable()

    assert {name: file.getvalue() for name, file in files.items()} == begun


WINDOWS = 28


@pytest.fixture(scope="module")
def month(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    store = open_store(str(folder))
    for day in range(WINDOWS):
        window = Window(DEFAULT_FROM_MS + day * DAY_MS, DEFAULT_FROM_MS + (day + 1) * DAY_MS)
        calls = make_calls(day, 3, agents=["agent-1"], from_ms=window.from_ms, to_ms=window.to_ms)
        records = [json.dumps(call.record).encode() for call in calls]
        if day == 3:
            records = []
        if day == 4:
            records = [b'{"call_id":"odd","duration":"abc","start_time":{},"name":5,"new":[1]}'] * 3
        publication = Publication(store, "agent-1", window, "parquet", {})
        publication.publish(records, {})
    return folder


class TestMonthOfWindows:
    """A month of daily windows, of which one is empty, and one is odd and has fields that the others have not."""

    NAMES = frozenset(column.name for column in COLUMNS) | {RAW, "model_id", "from_date", "to_date"}

    def test_is_one_table_for_duckdb(self, month):
        source = f"read_parquet('{month}/**/*.parquet', hive_partitioning = true)"
        with duckdb.connect() as connection:
            types = {name: kind for name, kind, *_ in connection.sql(f"DESCRIBE FROM {source}").fetchall()}
            rows = connection.sql(f"SELECT model_id, from_date, count(*) FROM {source} GROUP BY ALL").fetchall()  # noqa: S608

        assert types.keys() == self.NAMES
        assert types["start_time"] == "TIMESTAMP WITH TIME ZONE"
        assert types["duration"] == "BIGINT"
        assert len(rows) == WINDOWS - 1
        assert {(agent, count) for agent, _, count in rows} == {("agent-1", 3)}
        assert "20261109T000000Z" in {day for _, day, _ in rows}

    def test_is_one_table_for_pandas(self, month):
        frame = pd.read_parquet(month)

        assert set(frame.columns) == self.NAMES
        assert len(frame) == (WINDOWS - 1) * 3
        assert str(frame["start_time"].dtype) == "datetime64[ms, UTC]"
        assert set(frame["model_id"]) == {"agent-1"}
        assert frame["from_date"].nunique() == WINDOWS - 1

    def test_is_one_table_for_pyarrow(self, month):
        table = pads.dataset(month, partitioning="hive").to_table()

        assert set(table.column_names) == self.NAMES
        assert table.num_rows == (WINDOWS - 1) * 3
        assert table.schema.field("model_id").type == pa.string()
        assert pq.read_table(month).num_rows == table.num_rows
        assert pq.read_table(month, filters=[("from_date", "=", "20261109T000000Z")]).num_rows == 3


def test_columns_are_as_many_as_the_schema_has():
    assert len(read_columns([b"{}"])) == len(COLUMNS) + 1
