# SPDX-License-Identifier: Apache-2.0
"""The program of docs/tables.md makes the views of any lake: mixed formats, odd values and names, or nothing there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_synthflow.output.draft import TablesSpec
from airflow_provider_synthflow.output.publication import Publication, SnapshotPublication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES
from airflow_provider_synthflow.window import Window
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "example_dags" / "synthflow_lake.py").read_text(encoding="utf-8")
FORMATS = ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"]
AGENT = "a/b c%2F"


def read_program() -> str:
    """Return the program as the page shows it."""
    (block,) = re.findall(r'^```python\n((?:--8<-- "synthflow_lake\.py:\w+"\n)+)^```', TEXT, re.MULTILINE)
    sections = re.findall(r":(\w+)", block)
    found = [
        re.findall(rf"^# --8<-- \[start:{name}\]\n(.*?)^# --8<-- \[end:{name}\]", EXAMPLE, re.MULTILINE | re.DOTALL)
        for name in sections
    ]
    return "\n".join(text for (text,) in found)


def ask(lake: Path | str, query: str, files: Any = None) -> list[tuple[Any, ...]]:
    program: dict[str, Any] = {}
    exec(compile(read_program(), "docs/tables.md", "exec"), program)  # noqa: S102 - as a reader does who copies it
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'America/New_York'")
        if files is not None:
            database.register_filesystem(files)
        program["create_views"](database, str(lake))
        return database.execute(query).fetchall()


def publish(
    lake: Path | Store, output_format: str, *records: dict[str, Any], day: int = 0, tables: bool = False
) -> None:
    store = LocalStore(str(lake)) if isinstance(lake, Path) else lake
    window = Window(DEFAULT_FROM_MS + day * DAY_MS, DEFAULT_FROM_MS + (day + 1) * DAY_MS)
    spec = TablesSpec(tuple(TABLES), ParquetTables) if tables else None
    publication = Publication(store, AGENT, window, output_format, {}, tables=spec)
    publication.publish([json.dumps(record).encode() for record in records], {"query": {}})


def snapshot(lake: Path, day: str, output_format: str, **names: str) -> None:
    agents = [json.dumps({"model_id": agent, "name": name}).encode() for agent, name in names.items()]
    SnapshotPublication(LocalStore(str(lake)), day, output_format, full=False).publish(agents, {"query": {}})


@pytest.mark.parametrize("name", ["lake", "it's [prod]", "$files *", "ü {x}"])
def test_windows_of_each_format_are_in_one_view(tmp_path, name):
    lake = tmp_path / name
    for day, output_format in enumerate(FORMATS):
        publish(lake, output_format, {"call_id": output_format, "transcript": "bot: x"}, day=day, tables=day > 1)

    found = ask(f"{lake}/", "SELECT model_id, call_id FROM calls ORDER BY from_date")

    assert found == [(AGENT, output_format) for output_format in FORMATS]
    assert ask(lake, "SELECT count(*), count(DISTINCT from_date) FROM turns") == [(2, 2)]


@pytest.mark.long
def test_a_lake_in_s3_is_read_through_a_registered_file_system(s3_server, monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_S3", s3_server.connection())
    lake = f"s3://{s3_server.bucket}/it's [prod]"
    for day, output_format in enumerate(FORMATS):
        publish(open_store(lake, "s3"), output_format, {"call_id": output_format}, day=day)

    found = ask(lake, "SELECT model_id, call_id FROM calls ORDER BY ALL", ObjectStoragePath(lake, conn_id="s3").fs)

    assert found == [(AGENT, output_format) for output_format in FORMATS]


ODD = [
    ("start_time", "1709251200123", "2024-03-01 00:00:00.123"),
    ("start_time", 1709251200, "2024-03-01 00:00:00"),
    ("start_time", "2024-03-01T02:00:00+02:00", "2024-03-01 00:00:00"),
    ("start_time", "2024-03-01T00:00:00", "2024-03-01 00:00:00"),
    ("start_time", "soon", None),
    ("start_time", 10**21, None),
    ("telephony_end", "2024-03-01T00:00:00.123", "2024-03-01 00:00:00.123"),
    ("telephony_start", {}, None),
    ("duration", "25", "25"),
    ("duration", "n/a", None),
    ("duration", {"s": 1}, None),
    ("call_status", 5, "5"),
    ("recording_duration", None, None),
]


@pytest.mark.parametrize("output_format", FORMATS)
def test_odd_values_fail_no_view(tmp_path, output_format):
    records = [{"call_id": f"c{number:02}", field: received} for number, (field, received, _) in enumerate(ODD)]
    publish(tmp_path, output_format, *records)

    rows = ask(tmp_path, f"SELECT {', '.join(f'{field}::VARCHAR' for field, *_ in ODD)} FROM calls ORDER BY call_id")  # noqa: S608

    assert [row[number] for number, row in enumerate(rows)] == [value for *_, value in ODD]


def test_the_latest_name_of_each_agent_is_there_also_of_deleted_ones(tmp_path):
    snapshot(tmp_path, "20261127", "jsonl.gz", old="deleted since", kept="former name")
    snapshot(tmp_path, "20261128", "parquet", kept="a name", new="another")

    found = ask(tmp_path, "SELECT model_id, name, snapshot_date FROM agents ORDER BY model_id")

    assert found == [
        ("kept", "a name", "20261128"),
        ("new", "another", "20261128"),
        ("old", "deleted since", "20261127"),
    ]


@pytest.mark.parametrize("there", ["nothing", "calls", "agents"])
def test_what_is_not_there_has_a_view_without_rows(tmp_path, there):
    if there == "calls":
        publish(tmp_path, "jsonl", {"call_id": "c"})
    if there == "agents":
        snapshot(tmp_path, "20261127", "jsonl", a="name")

    views = ["calls", "turns", "actions", "variables", "judgements", "agents", "recordings"]
    counts = [ask(tmp_path, f"SELECT count(*) FROM {view}") for view in views]  # noqa: S608 - the names above

    assert counts == [[(int(view == there),)] for view in views]
