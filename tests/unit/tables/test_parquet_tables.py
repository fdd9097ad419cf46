# SPDX-License-Identifier: Apache-2.0
"""The tables of a window: no record fails them, nothing is lost, and the same records give the same bytes."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.tables.table import TABLES
from tests.synthflow_server.dataset import make_calls
from tests.synthflow_server.records import make_odd
from tests.unit.tables.making import JSON, TEXTS, files_beside_parquet, files_of, leaves, rows_of

FIELDS = {table.field: name for name, table in TABLES.items()}
RECORDS = st.dictionaries(st.sampled_from(["call_id", *FIELDS, "other"]), JSON, max_size=6)
ALIKE = st.fixed_dictionaries(
    {"call_id": TEXTS, "transcript": st.none() | TEXTS, "executed_actions": JSON, "judge_results": JSON}
)


def held(row: dict) -> list:
    """Return the leaves that a row holds, each once: what is in `_raw` as received, not also as the nearest text."""
    raw = None if row["_raw"] is None else json.loads(row["_raw"])
    found = leaves(raw)
    if not isinstance(raw, dict) and row["_raw"] is not None:
        return found
    for column in ("parameters", "return_value"):
        found += leaves(json.loads(row.get(column) or "null"))
    if row.get("value") is not None:
        kind = row.get("value_type", "string")
        found += leaves(row["value"] if kind == "string" else json.loads(row["value"]))
    if row.get("collected") is not None:
        found.append(repr(row["collected"]))
    if row.get("name") is not None and "position" in row and not (isinstance(raw, dict) and "name" in raw):
        found += leaves(row["name"])
    return found


@pytest.mark.parametrize("field", ["executed_actions", "collected_variables", "judge_results"])
@settings(max_examples=100, deadline=None)
@given(value=JSON)
def test_every_leaf_is_in_one_row(field, value):
    rows = rows_of(FIELDS[field], {field: value})

    assert Counter(map(str, [leaf for row in rows for leaf in held(row)])) == Counter(map(str, leaves(value)))


@settings(max_examples=80, deadline=None)
@given(records=st.lists(RECORDS, max_size=6))
def test_no_record_fails_and_the_same_records_give_the_same_bytes(records):
    raws = [json.dumps(record).encode() for record in records]

    files, told = files_of(raws)

    assert (files, told) == files_of(raws)
    for name, file in files.items():
        table = pq.read_table(io.BytesIO(file))
        assert table.column_names == ["call_id", *TABLES[name].columns, "_raw"]
        assert told[name] == {"rows": len(table), "odd": len(table) - table["_raw"].null_count}
        json.dumps(table.to_pylist(), ensure_ascii=False).encode()  # no half of a surrogate pair


@settings(max_examples=25, deadline=None)
@given(records=st.lists(RECORDS, min_size=2, max_size=8))
def test_records_give_the_same_rows_together_as_each_alone(records):
    for name in TABLES:
        assert rows_of(name, *records) == [row for record in records for row in rows_of(name, record)]


@settings(max_examples=80, deadline=None)
@given(
    records=st.lists(RECORDS, max_size=6) | st.lists(ALIKE, max_size=6),
    names=st.lists(st.sampled_from(list(TABLES)), min_size=1, unique=True),
)
def test_beside_a_parquet_file_whose_columns_they_share_the_tables_are_the_same(records, names):
    raws = [json.dumps(record).encode() for record in records]

    assert files_beside_parquet(raws, names) == files_of(raws, names)


def test_beside_parquet_they_are_the_same_over_many_batches_of_the_server_s_calls():
    calls = make_calls(count=900, record_bytes=5000)
    raws = [json.dumps(call.record).encode() for call in calls]

    assert files_beside_parquet(raws) == files_of(raws)


def test_making_them_does_not_load_pandas_which_takes_longer_than_many_a_window():
    code = """
import io, sys
sys.modules["airflow"] = None
from airflow_provider_synthflow.output.formats import open_writer
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES

fields = b'"executed_actions":{"a":{}},"collected_variables":{"b":1},"judge_results":{"c":"d"}'
texts = [b'"bot: x"', b'"x\\\\nhuman: y"', b"null", b"5", b"{}"]
records = [b'{"call_id":"a","transcript":%b,%b}' % (text, fields) for text in texts]
for some in (records, records[:3]):
    tables = ParquetTables({name: io.BytesIO() for name in TABLES})
    calls = open_writer("parquet", io.BytesIO())
    calls.lead(tables.take)
    calls.write(some)
    calls.close()
    tables.write(some)
    print(tables.close()["turns"]["rows"], "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)  # noqa: S603 - ours

    assert done.stdout.splitlines() == ["10 False", "6 False"]


def test_a_dropped_field_gives_no_rows_and_a_hashed_one_its_hash():
    record = {
        "call_id": "c",
        "transcript": "bot: secret",
        "judge_results": {"a": "secret"},
        "executed_actions": {"k": {}},
    }
    stored = Privacy(["judge_results"], ["transcript", "executed_actions", "call_id"], key="k" * 20).apply(
        json.dumps(record).encode()
    )
    hashes = json.loads(stored)

    (turn,) = rows_of("turns", stored)
    (action,) = rows_of("actions", stored)

    assert rows_of("judgements", stored) == []
    assert (turn["call_id"], turn["speaker"], turn["text"]) == (hashes["call_id"], None, hashes["transcript"])
    assert (action["key"], json.loads(action["_raw"])) == (None, hashes["executed_actions"])
    assert b"secret" not in b"".join(files_of([stored])[0].values())


def test_where_row_groups_end_depends_on_the_records_alone():
    records = [json.dumps(call.record).encode() for call in make_calls(3, 3000, record_bytes=5000)]

    file = files_of(records, ["turns"])[0]["turns"]

    assert pq.ParquetFile(io.BytesIO(file)).num_row_groups > 2
    assert file == files_of(records, ["turns"])[0]["turns"]


def test_odd_calls_of_the_server_fail_no_table_and_are_counted():
    records = [call.record for call in make_calls(2, 200)]
    make_odd(records)

    files, told = files_of([json.dumps(record).encode() for record in records])

    assert all(0 < numbers["odd"] <= numbers["rows"] for numbers in told.values())
    for name, file in files.items():
        assert len(pq.read_table(io.BytesIO(file))) == told[name]["rows"]


def test_all_tables_of_the_server_s_calls_give_their_fields_back():
    calls = [call.record for call in make_calls(1, 300)]

    talks = {row["call_id"] for row in rows_of("turns", *calls)}

    assert talks == {call["call_id"] for call in calls if call["transcript"]}
    assert len(rows_of("judgements", *calls)) == sum(len(call["judge_results"] or {}) for call in calls)
    assert len(rows_of("actions", *calls)) == sum(len(call["executed_actions"] or {}) for call in calls)
