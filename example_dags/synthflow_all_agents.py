# SPDX-License-Identifier: Apache-2.0
"""
### All agents of a workspace, a task an agent

The first task asks for the workspace's agents; the second is mapped over them. One agent that fails does
not keep the others from their files, and is retried alone. Agents that were deleted are not listed any more:
name them yourself where you still want their calls.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default

with DAG(
    dag_id="synthflow_all_agents",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:

    @task
    def agents() -> list[str]:
        """Return the ids of all agents."""
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only on a worker

        with SynthflowHook() as hook:
            return [assistant["model_id"] for assistant in hook.list_assistants()]

    SynthflowListCallsOperator.partial(
        task_id="calls",
        output_path=OUTPUT_PATH,
        max_active_tis_per_dag=8,
        map_index_template="{{ task.model_id }}",  # Airflow's list of the mapped tasks shows the agent
    ).expand(model_id=agents())
