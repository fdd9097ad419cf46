# SPDX-License-Identifier: Apache-2.0
"""
### Every call of each day, in files

One run a day. Each run reads the day that ends with it, for each agent, and writes

    <output path>/model_id=…/from_date=…/to_date=…/calls.jsonl.gz

with a `_manifest.json` beside it. Days tile without a gap or an overlap, and a run that is repeated replaces
its own files only. Days in the past are filled with `airflow backfill create`. Each run tells the asset
`synthflow_calls` what it wrote, so that other DAGs, such as `synthflow_report`, can be scheduled on it.

Set `SYNTHFLOW_MODEL_ID` (one id, or several with commas) and `SYNTHFLOW_OUTPUT_PATH` for the DAG processor
and the workers, or write your own values below.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

MODEL_IDS = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")
OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default

with DAG(
    dag_id="synthflow_daily_to_files",
    schedule="@daily",
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
        outlets=[Asset("synthflow_calls")],
    )
