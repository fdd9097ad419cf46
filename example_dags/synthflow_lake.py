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

# --8<-- [start:imports]
import glob
import os
from pathlib import Path
from string import Template
from typing import Any

# --8<-- [end:imports]
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
WINDOW, KEYS = "model_id=*/from_date=*/to_date=*", "model_id, from_date, to_date"
VIEWS = {
    "calls": (
        f"{WINDOW}/calls.*",
        KEYS,
        """call_id, call_status, start_time TIMESTAMP, duration BIGINT, end_call_reason, type_of_call, transcript,
        judge_results, executed_actions, collected_variables, agents_used, labels, recording_url, recording_duration,
        lead_phone_number, lead_name, name, phone_number_from, phone_number_to, agent_phone_number, campaign_type,
        deployment_type, timezone, error_message, telephony_duration BIGINT, telephony_start TIMESTAMP,
        telephony_end TIMESTAMP, telephony_hangup, telephony_disconnect_reason, _raw""",
    ),
    "turns": (f"{WINDOW}/turns.parquet", KEYS, "call_id, turn BIGINT, speaker, text, _raw"),
    "actions": (
        f"{WINDOW}/actions.parquet",
        KEYS,
        "call_id, position BIGINT, key, name, parameters, return_value, _raw",
    ),
    "variables": (
        f"{WINDOW}/variables.parquet",
        KEYS,
        "call_id, agent, name, value, value_type, collected BOOLEAN, _raw",
    ),
    "judgements": (f"{WINDOW}/judgements.parquet", KEYS, "call_id, name, value, _raw"),
    "agents": (
        "assistants/snapshot_date=*/assistants.*",
        "snapshot_date",
        "model_id, name, type, description, phone_number, created_at, _raw",
    ),
    "recordings": (
        f"{WINDOW}/recordings/_recordings.json",
        KEYS,
        "call_id, status, file, bytes BIGINT, sha256, content_type",
    ),
}
"""By view: its files, the columns that their paths give, and those in them, texts where no other type is named."""

RECEIVED_TIME = r"""TRY(make_timestamp(CASE
    WHEN TRY_CAST({0} AS BIGINT) < 100000000000 THEN TRY_CAST({0} AS BIGINT) * 1000000
    WHEN TRY_CAST({0} AS BIGINT) > 0 THEN TRY_CAST({0} AS BIGINT) * 1000
    WHEN regexp_matches({0}, '(Z|[+-]\d\d:?\d\d)$') THEN epoch_us({0}::TIMESTAMPTZ)
    ELSE epoch_us({0}::TIMESTAMP) END))"""
KIND = r"regexp_extract(file, '[.](parquet|jsonl?)([.]\w+)?$', 1)"
SOURCES = {
    "parquet": ("read_parquet($files, $path)", "make_timestamp(epoch_us({0}))"),
    "jsonl": ("read_json($files, $path, format = 'newline_delimited', columns = {$texts})", RECEIVED_TIME),
    "json": (
        """(SELECT unnest(item), $keys FROM (SELECT unnest(items) AS item, $keys
            FROM read_json($files, $path, columns = {items: 'STRUCT($fields)[]'})))""",
        "",
    ),
}
"""By kind of file: how it is read, and how a time in it becomes one in UTC. JSON Lines have times as received."""
LATEST = "QUALIFY row_number() OVER (PARTITION BY model_id ORDER BY snapshot_date DESC) = 1"


def create_views(database: Any, lake: str) -> None:
    """
    Create the views of a lake, of all files whatever their format; without files a view has no rows.

    :param database: a connection of DuckDB
    :param lake: the output path of the tasks
    """
    root = glob.escape(lake if "://" in lake else str(Path(lake).absolute())).rstrip("/").replace("'", "''")
    for view, (place, keys, described) in VIEWS.items():
        fields = dict((*field.split(), "VARCHAR")[:2] for field in described.split(","))
        columns = fields | dict.fromkeys(keys.split(", "), "VARCHAR")
        nothing = ", ".join([f"NULL::{kind} AS {name}" for name, kind in columns.items()])
        selects = [f"SELECT {nothing} WHERE false"]
        kinds = f"SELECT DISTINCT {KIND} AS kind FROM glob('{root}/{place}') WHERE kind != '' ORDER BY kind"  # noqa: S608
        for (source,) in database.execute(kinds).fetchall():
            read, time = SOURCES[source]
            types = ", ".join([f"{key}: VARCHAR" for key in keys.split(", ")])
            rows = Template(read).substitute(
                files=f"'{root}/{place.replace('.*', f'.{source}*')}'",
                keys=keys,
                path=f"hive_partitioning = true, hive_types = {{{types}}}",
                texts=", ".join([f"{name}: 'VARCHAR'" for name in fields]),
                fields=", ".join([f"{name} {kind}" for name, kind in fields.items()]),
            )
            values = [
                time.format(name) if kind == "TIMESTAMP" else f"TRY_CAST({name} AS {kind})"
                for name, kind in columns.items()
            ]
            selects.append(f"SELECT {', '.join(values)} FROM {rows}")  # noqa: S608
        latest = LATEST if view == "agents" else ""
        union = " UNION ALL ".join(selects)
        database.execute(f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM ({union}) {latest}")  # noqa: S608


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
