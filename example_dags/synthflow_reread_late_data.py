# SPDX-License-Identifier: Apache-2.0
"""
### Read the last days again, since calls change after the fact

Judge results, labels and late transcripts come after a day's file is written, and the API has no way to ask for
what changed. So each day this DAG reads the last seven days again, one mapped task a day, into the same files that
`synthflow_daily_to_files` writes. A file is replaced only where its bytes would differ: the result of each task
says `changed`, and the last task names the days that did.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import datetime as dt
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

DAYS = 7
MODEL_ID = os.environ.get("SYNTHFLOW_MODEL_ID", "your-agent-id").split(",")[0]
OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default

with DAG(
    dag_id="synthflow_reread_late_data",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:

    @task
    def windows(**context: Any) -> list[dict[str, str]]:
        """Return the days to read again: the one that ends with this run, and those before it."""
        from airflow_provider_synthflow.window import windows_of_run  # noqa: PLC0415 - only on a worker

        end = windows_of_run(context).windows[0].to_date
        days = [end - dt.timedelta(days=back) for back in range(DAYS)]
        return [{"from_date": (day - dt.timedelta(days=1)).isoformat(), "to_date": day.isoformat()} for day in days]

    @task
    def changed(results: list[dict[str, Any]]) -> list[str]:
        """Return the days whose file is new."""
        return sorted(result["from_date"][:10] for result in results if result["changed"])

    calls = SynthflowListCallsOperator.partial(
        task_id="calls",
        model_id=MODEL_ID,
        output_path=OUTPUT_PATH,
    ).expand_kwargs(windows())
    changed(calls.output)
