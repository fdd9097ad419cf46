# SPDX-License-Identifier: Apache-2.0
"""Tasks that wait in every way there is; what each returned is written into a file."""

from __future__ import annotations

import json
import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor

MODEL_ID = "waited-for"
FROM = "{{ dag_run.conf['from'] }}"
TO = "{{ dag_run.conf['to'] }}"


class RecordOperator(BaseOperator):
    """Write what a task returned as one line."""

    def __init__(self, *, of, **kwargs):
        super().__init__(**kwargs)
        self.of = of

    def execute(self, context):
        record = {"task": self.of, "returned": context["ti"].xcom_pull(task_ids=self.of)}
        file = os.open(os.environ["WAITING_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, (json.dumps(record) + "\n").encode())  # one write, so that lines of two tasks never mix
        finally:
            os.close(file)


def sensor(task_id, **arguments):
    return SynthflowNewCallsSensor(
        **{
            "task_id": task_id,
            "model_id": MODEL_ID,
            "from_date": FROM,
            "min_calls": 3,
            "poke_interval": 2,
            "timeout": 300,
            **arguments,
        }
    )


def operator(task_id, **arguments):
    return SynthflowListCallsOperator(
        task_id=task_id, model_id=MODEL_ID, from_date=FROM, to_date=TO, settle=2, **arguments
    )


with DAG("waits", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    for one in (
        sensor("poke", mode="poke", priority_weight=-99),  # Airflow 2 over SQLite runs one task at a time
        sensor("reschedule", mode="reschedule"),
        sensor("deferred", deferrable=True),
        operator("operator_rescheduled", deferrable=False),
        operator("operator_deferred", deferrable=True),
    ):
        one >> RecordOperator(task_id=f"record_{one.task_id}", of=one.task_id)
    sensor("late", deferrable=True, min_calls=999, timeout=4)
    sensor("late_softly", deferrable=True, min_calls=999, timeout=4, soft_fail=True)
    sensor("wrong_key", deferrable=True, synthflow_conn_id="wrong", retries=3)
