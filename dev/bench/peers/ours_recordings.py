# SPDX-License-Identifier: Apache-2.0
"""The package's operator for recordings in Airflow, by its execute()."""

from __future__ import annotations

import json
import os
from typing import Any

from peer import KEY, Job, run

from airflow_provider_synthflow.operators import recordings_task  # noqa: F401 - imports are left out, as of the others
from airflow_provider_synthflow.operators.synthflow import SynthflowDownloadRecordingsOperator


def read(job: Job) -> dict[str, Any]:
    """Run the operator once, on calls that are in XCom."""
    connection = {"conn_type": "synthflow", "host": job.url, "password": KEY}
    os.environ["AIRFLOW_CONN_SYNTHFLOW_DEFAULT"] = json.dumps(connection)
    calls = [{"call_id": each, "call_status": "completed", "recording_url": "https://a/b"} for each in job.recordings()]
    result = SynthflowDownloadRecordingsOperator(
        task_id="recordings",
        calls={"model_id": job.model_id, "from_date": job.from_ms, "to_date": job.to_ms, "calls": calls},
        output_path=job.out,
        concurrency=job.concurrency,
    ).execute({})
    return {name: result[name] for name in ("recordings", "downloaded", "bytes")}


if __name__ == "__main__":
    run(read)
