# SPDX-License-Identifier: Apache-2.0
"""
### Every call of each day, each day a partition

One run a day, as in `synthflow_daily_to_files`. Here the schedule makes partitions: each run is for the day that ends
with it, and its partition key is that day's start (`2026-01-05T00:00:00`). The event of the asset `synthflow_days`
carries the key, so that a DAG such as `synthflow_weekly_report` can wait until all days of its week are there, in
whichever order they come and however often one of them is read again. Days in the past are filled with
`airflow backfill create` (Airflow 3.3). Needs Airflow 3.2.

One task reads all agents, so that a day's event comes once all of them are written. An event with a partition key
starts only DAGs that are scheduled by partitions: for `schedule=[Asset(...)]` use `synthflow_daily_to_files`.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, Asset, CronPartitionTimetable

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

MODEL_IDS = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")
OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default

with DAG(
    dag_id="synthflow_daily_partitions",
    # A run at midnight is for the day before: one step of the schedule back.
    schedule=CronPartitionTimetable("0 0 * * *", timezone="UTC", run_offset=-1),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:
    SynthflowListCallsOperator(
        task_id="calls",
        model_id=MODEL_IDS,
        output_path=OUTPUT_PATH,
        output_format="jsonl.gz",
        outlets=[Asset("synthflow_days")],
    )
