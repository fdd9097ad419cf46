# SPDX-License-Identifier: Apache-2.0
"""
### Extract calls as soon as enough have come

A watcher in the triggerer looks once a minute for new calls and starts a run each time at least a hundred have come.
Time is cut into cells of 15 minutes; a cell is read once it is over and an hour has passed, and is one file, so that
a run that is started twice writes the same files. Needs Airflow 3.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import datetime as dt
import os

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.triggers.synthflow import SynthflowNewCallsTrigger

MODEL_ID = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")[0]
OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default
MIN_CALLS = int(os.environ.get("SYNTHFLOW_MIN_CALLS", "100"))

new_calls = Asset(
    "synthflow_new_calls",
    watchers=[
        AssetWatcher(
            name="new_calls",
            trigger=SynthflowNewCallsTrigger(
                model_id=MODEL_ID,
                min_calls=MIN_CALLS,
                window=dt.timedelta(minutes=15),
                settle=dt.timedelta(hours=1),
                poll_interval=60,
            ),
        )
    ],
)

with DAG(
    dag_id="synthflow_new_calls_event",
    schedule=[new_calls],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:
    # No dates: the cells that the events name are read, each into its own file. Here and there "settle" is the same.
    SynthflowListCallsOperator(
        task_id="calls", model_id=MODEL_ID, output_path=OUTPUT_PATH, settle=dt.timedelta(hours=1)
    )
