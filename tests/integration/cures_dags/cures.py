# SPDX-License-Identifier: Apache-2.0
"""A DAG that makes a lake day by day, with recordings, and one whose runs have no logical date."""

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.operators.synthflow import (
    SynthflowDownloadRecordingsOperator,
    SynthflowListCallsOperator,
)

LAKE = os.environ["CURES_LAKE"]

# A run reads the day before its tick: nine days, of which the first is the first of March.
with DAG(
    "daily",
    schedule="@daily",
    start_date=pendulum.datetime(2024, 3, 2, tz="UTC"),
    end_date=pendulum.datetime(2024, 3, 10, tz="UTC"),
    catchup=True,
    max_active_runs=4,
):
    extract = SynthflowListCallsOperator(task_id="extract", model_id="agent-1", output_path=LAKE)
    SynthflowDownloadRecordingsOperator(task_id="record", calls=extract.output)

with DAG("dateless", schedule=None):
    SynthflowListCallsOperator(
        task_id="extract",
        model_id="agent-2",
        output_path=LAKE,
        from_date="2024-03-01T00:00:00Z",
        to_date="2024-03-02T00:00:00Z",
    )
