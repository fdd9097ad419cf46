# SPDX-License-Identifier: Apache-2.0
"""
### A report beside the data, as soon as the data is there

`synthflow_daily_to_files` writes each day's calls and tells the asset `synthflow_calls`. This DAG is scheduled on
that asset: it reads the files that the asset's events name, with DuckDB (`pip install duckdb`), and writes

    <output path>/report/<first day>.csv     calls, answered calls, answer rate and minutes by agent and day
    <output path>/report/<first day>.html    the same, with a chart to look at

An event that arrives while Airflow makes a run of an earlier one stays until the next event, and comes with that: the
last report of several days that end together may wait for the day after.

Set `SYNTHFLOW_OUTPUT_CONN_ID` where the files lie in an object store.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os
from html import escape
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, task

OUTPUT_CONN_ID = os.environ.get("SYNTHFLOW_OUTPUT_CONN_ID")
COLUMNS = ("model_id", "day", "calls", "answered", "answer_rate", "minutes")
SUMMARY = """
    SELECT model_id, strftime(make_timestamp_ms(start_time::BIGINT), '%Y-%m-%d') AS day,
           count(*) AS calls, count(*) FILTER (WHERE call_status = 'completed') AS answered,
           round(answered / calls, 4) AS answer_rate, round(coalesce(sum(duration), 0) / 60, 2) AS minutes
    FROM read_json($paths, format = 'newline_delimited', hive_partitioning = false,
                   columns = {call_id: 'VARCHAR', model_id: 'VARCHAR', start_time: 'VARCHAR',
                              call_status: 'VARCHAR', duration: 'DOUBLE'})
    GROUP BY ALL ORDER BY day, model_id
"""


def page_of(rows: list[tuple[Any, ...]]) -> str:
    """Return a page with a bar for each agent and day, as long as its calls, the answered ones filled."""
    most = max(row[2] for row in rows)
    bars, table = [], []
    for number, (agent, day, calls, answered, rate, minutes) in enumerate(rows):
        y, label = number * 28, escape(f"{day}  {agent}  {calls} calls, {rate:.0%} answered, {minutes:g} min")
        bars.append(
            f'<rect x="0" y="{y + 14}" width="{calls / most * 600:.1f}" height="10" fill="#c7cdf9"/>'
            f'<rect x="0" y="{y + 14}" width="{answered / most * 600:.1f}" height="10" fill="#4353d1"/>'
            f'<text x="0" y="{y + 11}" font-size="11">{label}</text>'
        )
        cells = (agent, day, calls, answered, f"{rate:.1%}", minutes)
        table.append("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    return (
        '<!doctype html><meta charset="utf-8"><title>Calls by agent and day</title>'
        f'<style>body{{font-family:sans-serif}}</style><svg width="640" height="{len(rows) * 28}">{"".join(bars)}</svg>'
        f"<table><tr>{head}</tr>{''.join(table)}</table>"
    )


with DAG(
    dag_id="synthflow_report",
    schedule=[Asset("synthflow_calls")],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:

    @task
    def report(**context: Any) -> dict[str, Any]:
        """Read the files that the events name, and write the report."""
        import duckdb  # noqa: PLC0415 - only on a worker
        from airflow.providers.common.compat.sdk import ObjectStoragePath  # noqa: PLC0415 - likewise

        told = context.get("triggering_asset_events") or context.get("triggering_dataset_events") or {}
        extras = [event.extra for events in told.values() for event in events]
        # An event tells one result, or a list of them; the same file may be told twice.
        results = {each["path"]: each for extra in extras for each in extra.get("results", [extra]) if each["count"]}
        if not results:
            return {"rows": []}
        paths = sorted(results)
        root = ObjectStoragePath(paths[0].partition("/model_id=")[0], conn_id=OUTPUT_CONN_ID)
        with duckdb.connect() as database:
            if "://" in paths[0]:
                database.register_filesystem(root.fs)
            rows = database.execute(SUMMARY, {"paths": paths}).fetchall()
        folder = root / "report"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [",".join(str(cell) for cell in row) for row in (COLUMNS, *rows)]
        (folder / f"{rows[0][1]}.csv").write_text("\n".join(lines) + "\n")
        page = folder / f"{rows[0][1]}.html"
        page.write_text(page_of(rows))
        return {"rows": [dict(zip(COLUMNS, row, strict=True)) for row in rows], "path": str(page)}

    report()
