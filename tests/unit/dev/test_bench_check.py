# SPDX-License-Identifier: Apache-2.0
"""What a reader left is counted by its files of calls: tables, and what a peer keeps for itself, are none."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

import dev.bench


def test_ids_count_that_stand_in_files_of_calls_alone(tmp_path):
    window = tmp_path / "lake" / "model_id=a" / "from_date=b" / "to_date=c"
    window.mkdir(parents=True)
    (window / "calls.jsonl.gz").write_bytes(gzip.compress(b'{"call_id": "a"}\n{"call_id": "b"}\n'))
    (window / "_manifest.json").write_text("{}")
    pq.write_table(pa.table({"call_id": ["b", "only in a table"]}), window / "turns.parquet")
    (tmp_path / "_dlt_loads").mkdir()
    (tmp_path / "_dlt_loads" / "x.jsonl").write_text(json.dumps({"call_id": "dlt"}))
    (tmp_path / "peer.jsonl").write_text(json.dumps({"call_id": "c"}))

    check = Path(dev.bench.__file__).with_name("peers") / "check.py"
    done = subprocess.run([sys.executable, str(check), str(tmp_path)], capture_output=True, check=True)  # noqa: S603

    assert done.stdout == b"3\n"
