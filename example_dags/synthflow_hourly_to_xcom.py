# SPDX-License-Identifier: Apache-2.0
"""
### The calls of each hour, in XCom, for a small task behind

XCom suits few calls: what is larger than `max_xcom_bytes` is refused. The task behind gets the result as a
dictionary: the window, the numbers, and the `calls` as the API sent them. `drop_fields` keeps what the task
does not need out of Airflow's database.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

MODEL_ID = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")[0]

with DAG(
    dag_id="synthflow_hourly_to_xcom",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:

    @task
    def answered(result: dict[str, Any]) -> dict[str, Any]:
        """Count the calls that were answered."""
        done = sum(call.get("call_status") == "completed" for call in result["calls"])
        return {"from_date": result["from_date"], "calls": result["count"], "answered": done}

    calls = SynthflowListCallsOperator(
        task_id="calls",
        model_id=MODEL_ID,
        drop_fields=["transcript", "executed_actions", "recording_url"],
        settle=dt.timedelta(hours=1),
    )
    answered(calls.output)
