# SPDX-License-Identifier: Apache-2.0
"""The watcher-driven extraction, with cells short enough to wait for."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.triggers.synthflow import SynthflowNewCallsTrigger

MODEL_ID = "watched"
SETTLE = 3

new_calls = Asset(
    "new_calls",
    watchers=[
        AssetWatcher(
            name="watched",
            trigger=SynthflowNewCallsTrigger(MODEL_ID, window=5, settle=SETTLE, poll_interval=2, lookback=600),
        )
    ],
)

with DAG("events", schedule=[new_calls], start_date=pendulum.datetime(2026, 1, 1), catchup=False, max_active_runs=1):
    SynthflowListCallsOperator(
        task_id="calls",
        model_id=MODEL_ID,
        output_path=os.environ["SYNTHFLOW_OUTPUT_PATH"],
        output_format="jsonl",
        settle=SETTLE,
        retries=5,
        retry_delay=1,
    )
