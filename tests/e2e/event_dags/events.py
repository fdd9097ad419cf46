# SPDX-License-Identifier: Apache-2.0
"""The watcher-driven extraction, with cells short enough to wait for: of an agent, and of two in one task."""

from __future__ import annotations

import os

import pendulum
from airflow.sdk import DAG, Asset, AssetWatcher

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.triggers.synthflow import SynthflowNewCallsTrigger

SETTLE = 3


def calls_of(agent: str, name: str) -> Asset:
    """Return the asset of an agent's calls. The watchers of the same agent are equal, so that they are one trigger."""
    trigger = SynthflowNewCallsTrigger(agent, window=5, settle=SETTLE, poll_interval=2, lookback=600)
    return Asset(name, watchers=[AssetWatcher(name=agent, trigger=trigger)])


for dag_id, model_id, schedule in (
    ("events", "watched", [calls_of("watched", "new_calls")]),
    (
        "events_of_two",
        ["watched", "beside"],
        calls_of("watched", "also_new_calls") | calls_of("beside", "calls_beside"),
    ),
    ("events_paused", "watched", [calls_of("watched", "new_calls_later")]),
):
    with DAG(
        dag_id,
        schedule=schedule,
        start_date=pendulum.datetime(2026, 1, 1),
        catchup=False,
        max_active_runs=1,
        is_paused_upon_creation=dag_id == "events_paused",
    ):
        SynthflowListCallsOperator(
            task_id="calls",
            model_id=model_id,
            output_path=f"{os.environ['SYNTHFLOW_OUTPUT_PATH']}/{dag_id}",
            output_format="jsonl",
            settle=SETTLE,
            retries=5,
            retry_delay=1,
        )
