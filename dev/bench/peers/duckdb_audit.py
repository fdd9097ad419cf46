# SPDX-License-Identifier: Apache-2.0
"""The same answer by DuckDB: gaps, overlaps, files that are not as their manifests say, calls in two windows."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import duckdb
from peer import measure

MANIFEST = "model_id VARCHAR, from_date TIMESTAMP, to_date TIMESTAMP, count BIGINT, bytes BIGINT, sha256 VARCHAR"
QUERY = """
WITH windows AS (
    SELECT *, lead(from_date) OVER (PARTITION BY model_id ORDER BY from_date) AS next,
        parse_dirpath(filename) AS directory
    FROM read_json($lake || '/*/*/*/_manifest.json', format = 'auto', filename = true, columns = {columns})
), files AS (
    SELECT parse_dirpath(filename) AS directory, size, sha256(content) AS sha256
    FROM read_blob($lake || '/*/*/*/calls.jsonl.gz')
), calls AS (
    SELECT call_id, parse_dirpath(filename) AS directory
    FROM read_json($lake || '/*/*/*/calls.jsonl.gz', format = 'newline_delimited', filename = true,
        columns = {{'call_id': 'VARCHAR'}})
), counted AS (SELECT directory, count(*) AS rows FROM calls GROUP BY directory)
SELECT
    (SELECT count(*) FROM windows), (SELECT sum(count) FROM windows),
    (SELECT count(*) FROM windows WHERE next > to_date), (SELECT count(*) FROM windows WHERE next < to_date),
    (SELECT count(*) FROM windows LEFT JOIN files USING (directory) LEFT JOIN counted USING (directory)
     WHERE files.size IS DISTINCT FROM bytes OR files.sha256 IS DISTINCT FROM windows.sha256
        OR coalesce(rows, 0) <> count),
    (SELECT count(*) FROM (SELECT call_id FROM calls GROUP BY call_id HAVING count(DISTINCT directory) > 1))
"""


def audit(job: dict[str, str]) -> dict[str, Any]:
    """Ask once, and return what was found."""
    with duckdb.connect() as database:
        if job["lake"].startswith("s3://"):
            import s3fs  # noqa: PLC0415 - only this store needs it

            database.register_filesystem(s3fs.S3FileSystem())
        columns = dict(each.split() for each in MANIFEST.split(", "))
        row = database.execute(QUERY.format(columns=columns), {"lake": job["lake"]}).fetchone()
    assert row is not None
    windows, calls, *found = row
    return {
        "windows": windows,
        "calls": int(calls),
        "found": dict(zip(("gap", "overlap", "damaged", "duplicate"), found, strict=True)),
    }


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    os.environ.update(asked["environment"])
    measure(lambda: audit(asked))
