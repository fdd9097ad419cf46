# SPDX-License-Identifier: Apache-2.0
"""The DAGs that run while parts of the fleet are killed: a backfill, a scheduled DAG, and sensors."""

from __future__ import annotations

import datetime as dt
import json
import os

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor

FLEET = json.loads(os.environ["FLEET"])
CONCURRENCY = 1  # as many slots of the pool as requests under way: the pool is sized in requests
RETRIES = {"retries": 20, "retry_delay": dt.timedelta(seconds=3)}
START, END = (dt.datetime.fromisoformat(FLEET[name]) for name in ("start", "end"))
DAY = dt.timedelta(days=1)

with DAG("fleet_backfill", schedule="@daily", start_date=START, end_date=END, catchup=False, default_args=RETRIES):
    SynthflowListCallsOperator.partial(
        task_id="calls",
        output_path="s3://lake/backfill",
        output_conn_id="lake",
        concurrency=CONCURRENCY,
        pool="synthflow",
        pool_slots=CONCURRENCY,
    ).expand(model_id=FLEET["groups"])

with DAG(
    "fleet_daily",
    schedule="@daily",
    start_date=END - (FLEET["scheduled_days"] - 1) * DAY,  # the run of a day fires at the day's end
    end_date=END,
    catchup=True,
    max_active_runs=1,
    default_args=RETRIES,
):
    SynthflowListCallsOperator(
        task_id="calls",
        model_id=FLEET["agents"][0],
        output_path="s3://lake/daily",
        output_conn_id="lake",
        concurrency=CONCURRENCY,
        pool="synthflow",
        pool_slots=CONCURRENCY,
        priority_weight=10,
    )

with DAG("fleet_sensors", schedule=None, start_date=START, default_args=RETRIES):
    for number in range(FLEET["sensors"]):
        SynthflowNewCallsSensor(
            task_id=f"new_calls_{number}",
            model_id=FLEET["live_agent"],
            from_date=FLEET["live_from"],
            deferrable=True,
            poke_interval=10,
            timeout=1500,
        )
