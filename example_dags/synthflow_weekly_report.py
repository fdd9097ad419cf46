# SPDX-License-Identifier: Apache-2.0
"""
### A report of each week, once all seven days are there

`synthflow_daily_partitions` writes each day's calls; its events carry the day as partition key. This DAG rolls them
up: a run for a week (Monday to Sunday, UTC) starts once each of its seven days has come, and writes

    <output path>/weekly/<Monday>.csv     calls by agent and day, and of the week

from what the events tell of the files; no file of calls is opened. A day that is read again changes its report with the
next run for that week. Needs Airflow 3.3.

Set `SYNTHFLOW_OUTPUT_CONN_ID` where the files lie in an object store.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os
from typing import Any

import pendulum
from airflow.sdk import DAG, Asset, PartitionedAssetTimetable, RollupMapper, StartOfWeekMapper, WeekWindow, task

OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default
OUTPUT_CONN_ID = os.environ.get("SYNTHFLOW_OUTPUT_CONN_ID")

with DAG(
    dag_id="synthflow_weekly_report",
    schedule=PartitionedAssetTimetable(
        assets=Asset("synthflow_days"),
        default_partition_mapper=RollupMapper(upstream_mapper=StartOfWeekMapper(), window=WeekWindow()),
    ),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:

    @task
    def report(**context: Any) -> dict[str, Any]:
        """Write the calls of each agent and day that the events tell."""
        from airflow.sdk import ObjectStoragePath  # noqa: PLC0415 - only on a worker

        told = [event.extra for events in context["triggering_asset_events"].values() for event in events]
        results = [result for extra in told for result in extra.get("results", [extra])]
        # A day that was read again is told again: what was read last counts.
        results.sort(key=lambda result: result["extracted_at"])
        counts = {(result["model_id"], result["from_date"][:10]): result["count"] for result in results}
        days = sorted({day for _, day in counts})
        lines = [",".join(["model_id", *days, "week"])]
        for agent in sorted({agent for agent, _ in counts}):
            calls = [counts.get((agent, day), 0) for day in days]
            lines.append(",".join([agent, *map(str, calls), str(sum(calls))]))
        folder = ObjectStoragePath(OUTPUT_PATH, conn_id=OUTPUT_CONN_ID) / "weekly"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{days[0]}.csv").write_text("\n".join(lines) + "\n")
        return {"path": str(folder / f"{days[0]}.csv"), "days": days}

    report()
