# SPDX-License-Identifier: Apache-2.0
"""
The programs of docs/tables.md read a lake on the engines that they are for: ``make engines``.

The engines have an environment of their own, since they are large; this file is not among the quick tests.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_synthflow.output.draft import TablesSpec
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES
from airflow_provider_synthflow.window.window import Window
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, make_calls
from tests.synthflow_server.records import make_odd

ROOT = Path(__file__).resolve().parents[2]
ENGINES = str(ROOT / ".cache" / "engines" / "venv" / "bin" / "python")
TEXT = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
PROGRAMS = [
    text
    for text in re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    if "DAG(" not in text and "--8<--" not in text
]


def publish(root: Path, agent: str, day: int, *, seed: int) -> None:
    window = Window(DEFAULT_FROM_MS + day * DAY_MS, DEFAULT_FROM_MS + (day + 1) * DAY_MS)
    records = [call.record for call in make_calls(seed, 40, agents=[agent], from_ms=window.from_ms, to_ms=window.to_ms)]
    make_odd(records[:10])
    spec = TablesSpec(tuple(TABLES), ParquetTables)
    result = {"model_id": agent, "from_date": window.from_iso, "to_date": window.to_iso, "query": {}}
    publication = Publication(LocalStore(str(root)), agent, window, "parquet", {}, tables=spec)
    publication.publish([json.dumps(record).encode() for record in records], result)


def turns(root: Path) -> list[dict[str, Any]]:
    return [row for file in root.rglob("turns.parquet") for row in pq.ParquetFile(file).read().to_pylist()]


@pytest.fixture
def lake(tmp_path):
    for agent in ("12345", "agent-b"):
        for day in range(2):
            publish(tmp_path / "synthflow", agent, day, seed=day)
    return tmp_path


def program(name: str, folder: Path) -> str:
    (found,) = [text for text in PROGRAMS if name in text]
    return found.replace("/data/", f"{folder}/")


def run(text: str) -> str:
    done = subprocess.run([ENGINES, "-c", text], capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - the document's own
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_pandas_counts_the_turns(lake):
    speakers = [row["speaker"] for row in turns(lake)]

    told = run(program("pandas", lake))

    assert re.search(rf"^bot +{speakers.count('bot')}$", told, re.MULTILINE)
    assert re.search(rf"^human +{speakers.count('human')}$", told, re.MULTILINE)


def test_polars_counts_the_turns_with_the_path_s_keys(lake):
    told = run(program("polars", lake) + "\nprint(turns.select(pl.len()).collect().item())")

    assert int(told.split()[-1]) == len(turns(lake))
    assert "12345" in told


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark_counts_the_turns_with_the_path_s_keys(lake):
    told = run(program("pyspark", lake) + "\nprint(turns.count(), dict(turns.dtypes)['model_id'])\nspark.stop()")

    assert told.split()[-2:] == [str(len(turns(lake))), "string"]


READ_DELTA = """
from deltalake import DeltaTable
table = DeltaTable("/data/delta/turns")
print(len(table.to_pyarrow_table()), table.version())
"""


def test_delta_has_each_window_once_also_when_it_is_written_anew(lake):
    text = program("deltalake", lake) + READ_DELTA.replace("/data/", f"{lake}/")
    first = run(text).split()[-2:]
    assert first == [str(len(turns(lake))), "3"]
    publish(lake / "synthflow", "12345", 0, seed=77)

    second = run(text).split()[-2:]

    assert second[0] == str(len(turns(lake)))
    assert second[0] != first[0]


COUNT_SNAPSHOTS = "\nprint(len(turns.snapshots()))"


def test_iceberg_takes_the_files_as_they_are_and_replaces_a_window_in_one_commit(lake):
    text = program("pyiceberg", lake) + COUNT_SNAPSHOTS
    rows, snapshots = run(text).split()[-2:]
    assert (int(rows), int(snapshots)) == (len(turns(lake)), 1)
    publish(lake / "synthflow", "12345", 0, seed=77)
    publish(lake / "synthflow", "12345", 2, seed=5)

    again, more = run(text).split()[-2:]

    assert int(again) == len(turns(lake)) != int(rows)
    assert int(more) == 2
    assert not list((lake / "iceberg").rglob("*.parquet"))  # nothing was copied
