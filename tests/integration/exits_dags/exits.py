# SPDX-License-Identifier: Apache-2.0
"""DAGs through whose exits nothing of a call may leave, and one that lets something out, to see that it is seen."""

from __future__ import annotations

import logging
import os
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, Asset, task

from airflow_provider_synthflow.operators.synthflow import (
    SynthflowDownloadRecordingsOperator,
    SynthflowListCallsOperator,
)
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor

OUTPUT_PATH = os.environ["EXITS_OUTPUT_PATH"]
BOUNDS: dict[str, Any] = {"from_date": "2024-03-01T00:00:00Z", "to_date": "2024-03-02T00:00:00Z"}
START = pendulum.datetime(2024, 1, 1, tz="UTC")
CALLS = Asset("synthflow://exits/calls")
RECORDINGS = Asset("synthflow://exits/recordings")


def record(agent: str, *, in_files: bool = True, **arguments: Any) -> None:
    """Add a task that lists the calls of an agent, and one that downloads their recordings."""
    path = f"{OUTPUT_PATH}-{agent}"
    listed = SynthflowListCallsOperator(
        task_id="listed", model_id=agent, output_path=path if in_files else None, **BOUNDS
    )
    SynthflowDownloadRecordingsOperator(
        task_id="calls", calls=listed.output, **({} if in_files else {"output_path": path}), **arguments
    )


with DAG("files", schedule=None, start_date=START):
    SynthflowListCallsOperator(
        task_id="calls",
        model_id=["agent-1", "agent-2"],
        output_path=OUTPUT_PATH,
        hash_fields=["lead_name"],
        outlets=[CALLS],
        **BOUNDS,
    )

with DAG("filtered", schedule=None, start_date=START):
    SynthflowListCallsOperator(
        task_id="calls",
        model_id="agent-1",
        lead_phone_number="{{ var.value.wanted_number }}",
        output_path=f"{OUTPUT_PATH}-filtered",
        **BOUNDS,
    )

with DAG("sensing", schedule=None, start_date=START):
    SynthflowNewCallsSensor(
        task_id="calls",
        model_id="agent-1",
        lead_phone_number="{{ var.value.wanted_number }}",
        min_calls=1_000,
        mode="reschedule",
        poke_interval=3_600,
        deferrable=False,
        **BOUNDS,
    )

with DAG("refused", schedule=None, start_date=START):
    SynthflowListCallsOperator(task_id="calls", model_id="agent-refused", output_path=OUTPUT_PATH, **BOUNDS)

with DAG("broken", schedule=None, start_date=START):
    SynthflowListCallsOperator(task_id="calls", model_id="agent-broken", output_path=OUTPUT_PATH, **BOUNDS)

with DAG("waiting", schedule=None, start_date=START):
    SynthflowListCallsOperator(
        task_id="calls",
        model_id="agent-open",
        output_path=OUTPUT_PATH,
        on_unsettled="wait",
        max_unsettled_wait=10**9,
        deferrable=True,
        **BOUNDS,
    )

with DAG("recorded", schedule=None, start_date=START):
    record("agent-recorded", outlets=[RECORDINGS])

with DAG("unheard", schedule=None, start_date=START):
    record("agent-unheard", concurrency=1, synthflow_conn_id="impatient")

with DAG("late", schedule=None, start_date=START):
    record("agent-late", max_wait=10**9, deferrable=True)

with DAG("from_xcom", schedule=None, start_date=START):
    record("agent-1", in_files=False)

with DAG("leaking", schedule=None, start_date=START):

    @task
    def calls() -> list[dict[str, Any]]:
        """Return calls as no task with a file does, and log what one of them holds."""
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only on a worker

        with SynthflowHook() as hook:
            found = list(hook.list_calls_window("agent-1", (BOUNDS["from_date"], BOUNDS["to_date"])))
            found[0]["address"] = hook.get_recording_url(found[0]["call_id"])
        logging.getLogger("airflow.task").info("The first: %s", found[0])
        return found

    calls()
