# SPDX-License-Identifier: Apache-2.0
"""A month of windows in S3 is one table for DuckDB, pandas and pyarrow, as docs/formats.md reads it."""

from __future__ import annotations

import json

import duckdb
import pandas as pd
import pyarrow.dataset as pads
import pytest

from airflow_provider_synthflow.output.call_schema import COLUMNS, RAW
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.documents import ROOT, blocks_of
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, make_calls

s3fs = pytest.importorskip("s3fs")
pytest.importorskip("moto")

pytestmark = pytest.mark.long  # sixty publications

DAYS = 30
CALLS_A_DAY = 3
EMPTY = 3
NAMES = {column.name for column in COLUMNS} | {RAW, "model_id", "from_date", "to_date"}
DOCUMENT = ROOT / "docs" / "formats.md"
PLACE = "s3://bucket/calls"


@pytest.fixture(scope="module")
def month(_one_s3_server):
    """Write a month's windows of two agents, of which one window is empty, and give the environment's credentials."""
    server = _one_s3_server
    server.reset()
    known = json.loads(server.connection())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_LAKE", server.connection())
        patch.setenv("AWS_ENDPOINT_URL", server.url)
        patch.setenv("AWS_ACCESS_KEY_ID", known["login"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", known["password"])
        patch.setenv("AWS_DEFAULT_REGION", known["extra"]["region_name"])
        for name, form in (("table", "parquet"), ("lines", "jsonl.gz")):
            store = open_store(f"s3://lake/{name}", "lake")
            for day in range(DAYS if name == "table" else 2):
                window = Window(DEFAULT_FROM_MS + day * DAY_MS, DEFAULT_FROM_MS + (day + 1) * DAY_MS)
                for number, agent in enumerate(("12345", "agent-2")):
                    count = 0 if (day, agent) == (EMPTY, "12345") else CALLS_A_DAY
                    calls = make_calls(
                        2 * day + number, count, agents=[agent], from_ms=window.from_ms, to_ms=window.to_ms
                    )
                    records = [json.dumps(call.record).encode() for call in calls]
                    Publication(store, agent, window, form, {}).publish(records, {})
        s3fs.S3FileSystem.clear_instance_cache()
        yield
    s3fs.S3FileSystem.clear_instance_cache()


def placed(code: str) -> str:
    assert PLACE in code
    return code.replace(PLACE, "s3://lake/lines" if "read_json" in code else "s3://lake/table")


def run_python(code: str):
    scope = {}
    exec(placed(code), scope)  # noqa: S102 - our own document
    return scope["calls"]


@pytest.mark.usefixtures("month")
@pytest.mark.parametrize("block", blocks_of(DOCUMENT, "sql"), ids=str)
def test_the_documents_sql_reads_it_with_duckdb(block):
    with duckdb.connect() as connection:
        connection.register_filesystem(s3fs.S3FileSystem())
        result = connection.sql(placed(block.text))
        columns, rows = result.columns, result.fetchall()

    if "read_json" in block.text:
        assert len(rows) == 2 * 2 * CALLS_A_DAY
    elif "calls" in columns:
        found = pd.DataFrame(rows, columns=columns)
        assert found.groupby("model_id")["calls"].sum().to_dict() == {
            "12345": (DAYS - 1) * CALLS_A_DAY,
            "agent-2": DAYS * CALLS_A_DAY,
        }
    else:
        assert len(rows) == (2 * DAYS - 1) * CALLS_A_DAY


@pytest.mark.usefixtures("month")
@pytest.mark.parametrize("block", blocks_of(DOCUMENT, "python"), ids=str)
def test_the_documents_programs_read_it_as_one_table(block):
    calls = run_python(block.text)

    frame = calls if isinstance(calls, pd.DataFrame) else calls.to_pandas()
    assert {*frame.columns} == NAMES
    assert len(frame) == (2 * DAYS - 1) * CALLS_A_DAY
    assert {*frame["model_id"].astype(str)} == {"12345", "agent-2"}
    assert frame["from_date"].nunique() == frame["to_date"].nunique() == DAYS
    assert frame["call_id"].is_unique
    assert str(frame["start_time"].dtype).startswith("datetime64[")


@pytest.mark.usefixtures("month")
def test_every_file_has_one_and_the_same_schema():
    files = pads.dataset("s3://lake/table", format="parquet", partitioning="hive", exclude_invalid_files=True)

    schemas = {fragment.physical_schema for fragment in files.get_fragments()}

    assert len(schemas) == 1
    assert len([*files.get_fragments()]) == 2 * DAYS
