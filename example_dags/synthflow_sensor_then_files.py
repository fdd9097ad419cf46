# SPDX-License-Identifier: Apache-2.0
"""
### Wait for calls, then extract them

The sensor looks once a minute whether at least one call started since the window's begin, and the extraction waits
until the window is settled; both wait in the triggerer and hold no worker (`deferrable`). A day without any call ends
in a skipped sensor and no file (`soft_fail`, `timeout`).
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import datetime as dt
import os

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor

MODEL_ID = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")[0]
OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default

with DAG(
    dag_id="synthflow_sensor_then_files",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:
    new_calls = SynthflowNewCallsSensor(
        task_id="new_calls",
        model_id=MODEL_ID,
        min_calls=1,
        deferrable=True,
        poke_interval=60,
        timeout=dt.timedelta(hours=6).total_seconds(),
        soft_fail=True,
    )
    calls = SynthflowListCallsOperator(task_id="calls", model_id=MODEL_ID, output_path=OUTPUT_PATH, deferrable=True)
    new_calls >> calls
