# SPDX-License-Identifier: Apache-2.0
"""A manifest names the task and the run that made it, as far as there are any."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace

import pendulum
import pytest

from airflow_provider_synthflow.operators.context import read_origin
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.unit.making import AGENT, FROM, TO, make_call

INSTANCE = SimpleNamespace(dag_id="calls", task_id="group.extract", run_id="scheduled__1", try_number=1, max_tries=0)


@pytest.mark.parametrize("moment", [dt.datetime(2024, 3, 2, tzinfo=dt.timezone.utc), pendulum.datetime(2024, 3, 2)])
def test_a_scheduled_run_is_named_with_its_logical_date(moment):
    assert read_origin({"ti": INSTANCE, "logical_date": moment}) == {
        "dag_id": "calls",
        "task_id": "group.extract",
        "run_id": "scheduled__1",
        "logical_date": "2024-03-02T00:00:00.000Z",
    }


def test_a_run_without_a_logical_date_has_its_ids():
    assert read_origin({"ti": INSTANCE}) == {"dag_id": "calls", "task_id": "group.extract", "run_id": "scheduled__1"}


@pytest.mark.parametrize("context", [None, {}, {"ti": object()}, {"logical_date": pendulum.datetime(2024, 3, 2)}])
def test_outside_of_a_run_nothing_is_named(context):
    assert read_origin(context) == {}


def test_the_manifest_keeps_it(synthflow, connect, tmp_path):
    connect(synthflow([make_call("a")]).url)
    task = SynthflowListCallsOperator(
        task_id="extract", model_id=AGENT, from_date=FROM, to_date=TO, output_path=str(tmp_path)
    )

    result = task.execute({"ti": INSTANCE})

    manifest = json.loads(Path(result["path"]).with_name("_manifest.json").read_text())
    assert (manifest["dag_id"], manifest["task_id"], manifest["run_id"]) == ("calls", "group.extract", "scheduled__1")
