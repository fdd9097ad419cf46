# SPDX-License-Identifier: Apache-2.0
"""
### A lake that an analyst can query: agents, calls, tables and recordings, by the hour

Each hour: all agents, a snapshot of the day; for each agent its calls, with the tables `turns`, `actions`,
`variables` and `judgements` beside them, and then the recordings. At last DuckDB (`pip install duckdb`) gets views of
all of it in `<table path>/lake.duckdb`: `calls`, `turns`, `actions`, `variables`, `judgements`, `agents` (the latest
name of each, also of deleted ones) and `recordings`.

The views hold no data: they read the files when they are asked. They are on the disk of the worker that makes them:
with an object store for the files, name a directory for them in `SYNTHFLOW_TABLE_PATH`.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os
from pathlib import Path
from string import Template
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import (
    SynthflowDownloadRecordingsOperator,
    SynthflowListAssistantsOperator,
    SynthflowListCallsOperator,
)

OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/data/synthflow")
OUTPUT_CONN_ID = os.environ.get("SYNTHFLOW_OUTPUT_CONN_ID")
TABLE_PATH = os.environ.get("SYNTHFLOW_TABLE_PATH", OUTPUT_PATH)

# --8<-- [start:views]
WINDOW = "model_id=*/from_date=*/to_date=*"
KEYS = "hive_partitioning = true, hive_types = {model_id: VARCHAR, from_date: VARCHAR, to_date: VARCHAR}"
DAYS = "hive_partitioning = true, hive_types = {snapshot_date: VARCHAR}"
LATEST = "QUALIFY row_number() OVER (PARTITION BY model_id ORDER BY snapshot_date DESC) = 1"
TABLE = "FROM read_parquet($files, $keys)"
VIEWS = {
    "calls": {
        f"{WINDOW}/calls.parquet": """
            SELECT * REPLACE (make_timestamp(epoch_us(start_time)) AS start_time) FROM read_parquet($files, $keys)""",
        f"{WINDOW}/calls.jsonl*": """
            SELECT * REPLACE (make_timestamp(TRY_CAST(start_time AS BIGINT) * 1000) AS start_time)
            FROM read_json($files, format = 'newline_delimited', $keys,
                           columns = {call_id: 'VARCHAR', call_status: 'VARCHAR', start_time: 'VARCHAR',
                                      duration: 'BIGINT', end_call_reason: 'VARCHAR', type_of_call: 'VARCHAR',
                                      transcript: 'VARCHAR', recording_duration: 'VARCHAR'})""",
        "": """
            SELECT NULL::VARCHAR AS call_id, NULL::VARCHAR AS call_status, NULL::TIMESTAMP AS start_time,
                   NULL::BIGINT AS duration, NULL::VARCHAR AS end_call_reason, NULL::VARCHAR AS type_of_call,
                   NULL::VARCHAR AS transcript, NULL::VARCHAR AS recording_duration, NULL::VARCHAR AS model_id""",
    },
    "turns": {
        f"{WINDOW}/turns.parquet": TABLE,
        "": """
            SELECT NULL::VARCHAR AS call_id, NULL::BIGINT AS turn, NULL::VARCHAR AS speaker, NULL::VARCHAR AS text,
                   NULL::VARCHAR AS _raw, NULL::VARCHAR AS model_id""",
    },
    "actions": {
        f"{WINDOW}/actions.parquet": TABLE,
        "": """
            SELECT NULL::VARCHAR AS call_id, NULL::BIGINT AS position, NULL::VARCHAR AS key, NULL::VARCHAR AS name,
                   NULL::VARCHAR AS parameters, NULL::VARCHAR AS return_value, NULL::VARCHAR AS _raw,
                   NULL::VARCHAR AS model_id""",
    },
    "variables": {
        f"{WINDOW}/variables.parquet": TABLE,
        "": """
            SELECT NULL::VARCHAR AS call_id, NULL::VARCHAR AS agent, NULL::VARCHAR AS name, NULL::VARCHAR AS value,
                   NULL::VARCHAR AS value_type, NULL::BOOLEAN AS collected, NULL::VARCHAR AS _raw,
                   NULL::VARCHAR AS model_id""",
    },
    "judgements": {
        f"{WINDOW}/judgements.parquet": TABLE,
        "": """
            SELECT NULL::VARCHAR AS call_id, NULL::VARCHAR AS name, NULL::VARCHAR AS value, NULL::VARCHAR AS _raw,
                   NULL::VARCHAR AS model_id""",
    },
    "agents": {
        "assistants/snapshot_date=*/assistants.parquet": "FROM read_parquet($files, $days) $latest",
        "assistants/snapshot_date=*/assistants.jsonl*": """
            FROM read_json($files, format = 'newline_delimited', $days,
                           columns = {model_id: 'VARCHAR', name: 'VARCHAR', type: 'VARCHAR'}) $latest""",
        "": """
            SELECT NULL::VARCHAR AS model_id, NULL::VARCHAR AS name, NULL::VARCHAR AS type,
                   NULL::VARCHAR AS snapshot_date""",
    },
    "recordings": {
        f"{WINDOW}/recordings/_recordings.json": """
            SELECT unnest(item), model_id
            FROM (SELECT unnest(items) AS item, model_id
                  FROM read_json($files, hive_partitioning = false,
                                 columns = {model_id: 'VARCHAR',
                                            items: 'STRUCT(call_id VARCHAR, status VARCHAR, file VARCHAR,
                                                           bytes BIGINT, sha256 VARCHAR, content_type VARCHAR)[]'}))""",
        "": """
            SELECT NULL::VARCHAR AS call_id, NULL::VARCHAR AS status, NULL::VARCHAR AS file, NULL::BIGINT AS bytes,
                   NULL::VARCHAR AS model_id""",
    },
}
"""By view, what to read where such files are there; the last, without files, is for a lake that has none yet."""


def create_views(database: Any, lake: str) -> None:
    """
    Create the views of a lake.

    :param database: a connection of DuckDB
    :param lake: the output path of the tasks
    """
    for name, sources in VIEWS.items():
        for pattern, query in sources.items():
            files = f"{lake.rstrip('/')}/{pattern}".replace("'", "''")
            there = pattern and database.execute(f"SELECT count(*) FROM glob('{files}')").fetchone()[0]  # noqa: S608
            if there or not pattern:
                read = Template(query).substitute(files=f"'{files}'", keys=KEYS, days=DAYS, latest=LATEST)
                database.execute(f"CREATE OR REPLACE VIEW {name} AS {read}" + ("" if pattern else " WHERE false"))
                break


# --8<-- [end:views]

with DAG(
    dag_id="synthflow_lake",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:
    agents = SynthflowListAssistantsOperator(
        task_id="agents",
        output_path=f"{OUTPUT_PATH}/lake",
        output_conn_id=OUTPUT_CONN_ID,
        output_format="parquet",
        retries=2,
    )

    @task
    def ids(listed: Any) -> list[str]:
        """Return the ids of all agents."""
        return list(listed["model_ids"])

    calls = SynthflowListCallsOperator.partial(
        task_id="calls",
        output_path=f"{OUTPUT_PATH}/lake",
        output_conn_id=OUTPUT_CONN_ID,
        output_format="parquet",
        tables="all",
        max_active_tis_per_dag=8,
        map_index_template="{{ task.model_id }}",
        retries=2,
    ).expand(model_id=ids(agents.output))
    recordings = SynthflowDownloadRecordingsOperator.partial(task_id="recordings", retries=3).expand(calls=calls.output)

    @task(trigger_rule="none_failed")
    def refresh() -> dict[str, int]:
        """Create the views, and count the rows of each."""
        import duckdb  # noqa: PLC0415 - only on a worker
        from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - likewise

        lake = f"{OUTPUT_PATH}/lake"
        Path(TABLE_PATH).mkdir(parents=True, exist_ok=True)
        with duckdb.connect(f"{TABLE_PATH}/lake.duckdb") as database:
            if "://" in lake:
                database.register_filesystem(ObjectStoragePath(lake, conn_id=OUTPUT_CONN_ID).fs)
            create_views(database, lake)
            found = {}
            for name in VIEWS:
                row = database.execute(f"SELECT count(*) FROM {name}").fetchone()  # noqa: S608 - the names above
                found[name] = row[0] if row else 0
        return found

    recordings >> refresh()
