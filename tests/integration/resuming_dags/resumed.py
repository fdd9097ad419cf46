# SPDX-License-Identifier: Apache-2.0
"""A task that keeps its pages, one in a piece, and says which process does its work."""

from __future__ import annotations

import os
from pathlib import Path

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.resume import checkpoint as resume

resume._PIECE = 1  # of the test's small pages, each is to be there when the process is killed
FOLDER = Path(os.environ["RESUMED_FOLDER"])


class Telling(SynthflowListCallsOperator):
    """Write down the process, then work."""

    def execute(self, context):
        (FOLDER / f"try-{context['ti'].try_number}.pid").write_text(str(os.getpid()))
        return super().execute(context)


with DAG("resumed", schedule=None, start_date=pendulum.datetime(2024, 1, 1)):
    Telling(
        task_id="calls",
        model_id="agent-1",
        from_date="2024-03-01T00:00:00Z",
        to_date="2024-03-02T00:00:00Z",
        output_path=str(FOLDER / "output"),
        output_format="jsonl",
        resume_path=str(FOLDER / "resume"),
        retries=2,
        retry_delay=pendulum.duration(seconds=1),
    )
