# SPDX-License-Identifier: Apache-2.0
"""
### Many agents, one pace for the API key

Synthflow counts requests by API key, whatever task or worker sends them. An Airflow pool holds the fleet to one pace:
its slots are the requests that may be under way at the same time, and a task takes as many as it has pages in
flight. Make the pool once, with `limit a minute / 60 * seconds an answer` slots, such as 8 for 480 a minute and
one second:

    airflow pools set synthflow 8 "requests under way with the key of synthflow_default"

Ten agents share a task, since to start a task costs more than to read a day of most agents.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default
AGENTS_A_TASK = 10
CONCURRENCY = 2

with DAG(
    dag_id="synthflow_pool",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:

    @task
    def groups() -> list[list[str]]:
        """Return the ids of all agents, so many at a time."""
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only on a worker

        with SynthflowHook() as hook:
            agents = sorted(assistant["model_id"] for assistant in hook.list_assistants())
        return [agents[at : at + AGENTS_A_TASK] for at in range(0, len(agents), AGENTS_A_TASK)]

    SynthflowListCallsOperator.partial(
        task_id="calls",
        output_path=OUTPUT_PATH,
        concurrency=CONCURRENCY,
        pool="synthflow",
        pool_slots=CONCURRENCY,
        retries=5,
        retry_delay=pendulum.duration(minutes=1),
    ).expand(model_id=groups())
