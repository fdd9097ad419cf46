# SPDX-License-Identifier: Apache-2.0
"""The package's operator in Airflow, by its execute()."""

from __future__ import annotations

import datetime as dt
import json
import os
from typing import Any

from airflow.sdk.execution_time import supervisor  # noqa: F401 - a task's process has it
from peer import KEY, Job, run

from airflow_provider_synthflow.hooks import session  # noqa: F401 - imports are left out, as of the others
from airflow_provider_synthflow.operators import calls_task  # noqa: F401 - likewise
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator


def instant(ms: int) -> dt.datetime:
    """Return the instant of so many milliseconds since 1970."""
    return dt.datetime.fromtimestamp(ms / 1000, dt.timezone.utc)


def read(job: Job) -> dict[str, Any]:
    """Run the operator once."""
    from airflow_provider_synthflow.output.formats import FORMATS  # noqa: PLC0415 - as the operator does

    if job.format not in FORMATS:
        return {"unavailable": True}
    connection = {"conn_type": "synthflow", "host": job.url, "password": KEY}
    os.environ["AIRFLOW_CONN_SYNTHFLOW_DEFAULT"] = json.dumps(connection)
    result = SynthflowListCallsOperator(
        task_id="calls",
        model_id=job.model_id,
        from_date=instant(job.from_ms),
        to_date=instant(job.to_ms),
        output_path=job.out,
        output_format=job.format,
        concurrency=job.concurrency,
    ).execute({})
    return {name: result[name] for name in ("count", "requests", "walks", "bytes", "sha256")}


if __name__ == "__main__":
    run(read)
