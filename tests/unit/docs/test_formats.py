# SPDX-License-Identifier: Apache-2.0
"""docs/formats.md says what the code does, and its examples run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import duckdb
import pytest

from airflow_provider_synthflow.output.call_schema import COLUMNS, RAW
from airflow_provider_synthflow.output.formats import FORMATS
from airflow_provider_synthflow.output.parquet import SCHEMA
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.window import Window
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, make_calls

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
RECEIVED = {
    "text": "text",
    "json": "any JSON",
    "integer": "whole number",
    "epoch": "text of milliseconds since 1970",
    "iso": "ISO 8601 in UTC without a zone, with three decimals",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    for name in FORMATS:
        for day in range(2):
            window = Window(DEFAULT_FROM_MS + day * DAY_MS, DEFAULT_FROM_MS + (day + 1) * DAY_MS)
            calls = make_calls(day, 5, agents=["12345"], from_ms=window.from_ms, to_ms=window.to_ms)
            # a folder holds one format
            store = open_store(str(folder / name))
            Publication(store, "12345", window, name, {}).publish(
                [json.dumps(call.record).encode() for call in calls], {}
            )
    return folder


def placed(code: str, folder: Path) -> str:
    kind = "jsonl.gz" if "read_json" in code else "parquet"
    assert "s3://bucket/calls" in code
    return code.replace("s3://bucket/calls", str(folder / kind))


def test_the_table_of_columns_is_the_schema():
    types = {"timestamp[ms, tz=UTC]": "timestamp[ms, UTC]"}
    rows = []
    for column in COLUMNS:
        kind = types.get(str(SCHEMA.field(column.name).type), str(SCHEMA.field(column.name).type))
        kind += ", JSON text" if column.kind == "json" else f", {column.unit}" if column.unit else ""
        rows.append(f"| `{column.name}` | {kind} | {RECEIVED[column.kind]} |")

    found = re.findall(r"^\| `\w+` \| (?:string|int64|timestamp).*\|$", TEXT, re.MULTILINE)
    assert found[:-1] == rows
    assert found[-1].startswith(f"| `{RAW}` | string, JSON text |")


def test_every_format_is_named_with_what_it_needs():
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")  # tomllib is new in Python 3.11
    extras = re.findall(r"^(\w+) = \[\"", project, re.MULTILINE)
    rows = dict(re.findall(r"^\| `([\w.]+)`(?: \(default\))? \| (\S*)", TEXT, re.MULTILINE))

    for name, known in FORMATS.items():
        assert ("airflow-provider-synthflow[" in rows[name]) == (known.extra is not None)
        assert known.extra is None or (known.extra in extras and f"[{known.extra}]" in rows[name])


@pytest.mark.parametrize("code", blocks("sql"))
def test_the_examples_in_sql_run(code, folder):
    with duckdb.connect() as connection:
        rows = connection.sql(placed(code, folder)).fetchall()

    assert rows
    if "model_id" in code:
        assert {row[0] for row in rows} == {"12345"}


@pytest.mark.parametrize("code", blocks("python"))
def test_the_examples_in_python_run(code, folder):
    scope = {}
    exec(placed(code, folder), scope)  # noqa: S102 - our own document

    assert len(scope["calls"]) == 10
