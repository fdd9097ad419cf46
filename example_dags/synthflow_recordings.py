# SPDX-License-Identifier: Apache-2.0
"""
### Calls, their recordings, and one table of both

A task an agent lists the day's calls, one an agent downloads their recordings beside them, and DuckDB
(`pip install duckdb`) makes one table of both in `<output path>/calls.duckdb`: a row a call, with the file of its
recording. The recordings are asked for one by one, so that it works before 10 January 2027 and after.

The table is on the disk of the worker that makes it: with an object store for the files, name a directory for it in
`SYNTHFLOW_TABLE_PATH`.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import (
    SynthflowDownloadRecordingsOperator,
    SynthflowListCallsOperator,
)

AGENTS = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")
OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/data/synthflow")
OUTPUT_CONN_ID = os.environ.get("SYNTHFLOW_OUTPUT_CONN_ID")
TABLE_PATH = os.environ.get("SYNTHFLOW_TABLE_PATH", OUTPUT_PATH)
TABLE = """
    CREATE OR REPLACE TABLE calls AS
    WITH listed AS (
        SELECT call_id, model_id, call_status, duration, transcript
        FROM read_json($calls, format = 'newline_delimited', hive_partitioning = false, filename = false,
                       columns = {call_id: 'VARCHAR', model_id: 'VARCHAR', call_status: 'VARCHAR',
                                  duration: 'DOUBLE', transcript: 'VARCHAR'})
    ), recorded AS (
        SELECT item.call_id AS call_id, item.status AS recording, item.bytes AS recording_bytes,
               directory || '/' || item.file AS recording_file
        FROM (SELECT path AS directory, unnest(items) AS item
              FROM read_json($manifests, hive_partitioning = false,
                             columns = {path: 'VARCHAR', items: 'STRUCT(call_id VARCHAR, status VARCHAR,
                                                                        file VARCHAR, bytes BIGINT)[]'}))
    )
    SELECT * FROM listed LEFT JOIN recorded USING (call_id) ORDER BY call_id
"""

with DAG(
    dag_id="synthflow_recordings",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:
    calls = SynthflowListCallsOperator.partial(
        task_id="calls",
        output_path=f"{OUTPUT_PATH}/recorded",
        output_conn_id=OUTPUT_CONN_ID,
        retries=2,
    ).expand(model_id=AGENTS)
    recordings = SynthflowDownloadRecordingsOperator.partial(
        task_id="recordings",
        retries=3,
    ).expand(calls=calls.output)

    @task
    def table(listed: Any, stored: Any) -> dict[str, int]:
        """Make the table, and count its calls and those with a recording."""
        import duckdb  # noqa: PLC0415 - only on a worker
        from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - likewise

        files = [each["path"] for each in listed]
        manifests = [f"{each['path']}/_recordings.json" for each in stored]
        Path(TABLE_PATH).mkdir(parents=True, exist_ok=True)
        with duckdb.connect(f"{TABLE_PATH}/calls.duckdb") as database:
            if "://" in files[0]:
                database.register_filesystem(ObjectStoragePath(files[0], conn_id=OUTPUT_CONN_ID).fs)
            database.execute(TABLE, {"calls": files, "manifests": manifests})
            found = database.execute("SELECT count(*), count(recording_file) FROM calls").fetchone()
        return {"calls": found[0], "recordings": found[1]} if found else {}

    table(calls.output, recordings.output)
