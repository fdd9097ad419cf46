# SPDX-License-Identifier: Apache-2.0
"""The DAGs whose tasks are measured: alike but for the agents a task and the length of a window."""

from __future__ import annotations

import datetime as dt
import json
import os
import time

from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator

FLEET = json.loads(os.environ["FLEET"])


def _note(context, moment):
    """Append when something happened, in this process, to the file of all moments."""
    import psutil  # noqa: PLC0415 - only on a worker

    note = {
        "ti": str(context["ti"].id),
        "moment": moment,
        "at": time.time(),
        "cpu": time.process_time(),
        "born": psutil.Process().create_time(),
    }
    with open(FLEET["moments"], "a", encoding="utf-8") as file:  # noqa: PTH123 - one short write is whole
        file.write(json.dumps(note) + "\n")


for shape in FLEET["shapes"]:
    with DAG(
        shape["dag_id"],
        schedule=shape["schedule"],
        start_date=dt.datetime.fromisoformat(FLEET["start"]),
        end_date=dt.datetime.fromisoformat(FLEET["end"]),
        catchup=False,
    ):
        SynthflowListCallsOperator.partial(
            task_id="calls",
            output_path=f"s3://lake/{shape['dag_id']}",
            output_conn_id="lake",
            pre_execute=lambda context: _note(context, "begin"),
            post_execute=lambda context, _: _note(context, "end"),
        ).expand(model_id=shape["groups"])
