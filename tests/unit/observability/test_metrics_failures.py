# SPDX-License-Identifier: Apache-2.0
"""Each failure of an extraction is counted once in `synthflow.failures`, whatever the error, and nothing else is."""

from __future__ import annotations

import errno
import os
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowSkipException, Stats, TaskDeferred

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.unit.making import AGENT, FROM, TO, make_call

CONTEXT: Any = {"ti": SimpleNamespace(dag_id="lake", task_id="calls", try_number=1, max_tries=0)}
TASK = {"dag_id": "lake", "task_id": "calls"}
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def counted(mocker):
    """Return the tags of each failure that is counted."""
    found = []

    def incr(name, count=1, **more):
        if name == "synthflow.failures":
            found.extend([more["tags"]] * count)

    mocker.patch.object(Stats, "incr", incr)
    return found


@pytest.fixture
def failing(mocker, tmp_path):
    """Give a function that makes an output path, where each file fails with an error."""

    def make(error: BaseException) -> str:
        mocker.patch("airflow_provider_synthflow.storage.local.LocalStore.stage", side_effect=error)
        return str(tmp_path)

    return make


def operator(**arguments: Any) -> SynthflowListCallsOperator:
    return SynthflowListCallsOperator(
        **{"task_id": "calls", "model_id": AGENT, "from_date": FROM, "to_date": TO, **arguments}
    )


@pytest.mark.parametrize("error", [FULL, MemoryError(), KeyboardInterrupt(), SystemExit(1), KeyError("a bug")])
def test_of_a_window_is_counted_by_its_class(synthflow, connect, failing, counted, error):
    connect(synthflow([make_call("a")]).url)

    with pytest.raises(type(error)):
        operator(output_path=failing(error)).execute(CONTEXT)

    assert counted == [{**TASK, "model_id": AGENT, "error": type(error).__name__}]


def test_of_two_windows_is_counted_twice(synthflow, connect, failing, counted):
    connect(synthflow([make_call("a")]).url)

    with pytest.raises(Exception, match="2 of 2 windows failed"):
        operator(model_id=["agent-1", "agent-2"], output_path=failing(FULL)).execute(CONTEXT)

    assert [tags["model_id"] for tags in counted] == ["agent-1", "agent-2"]
    assert {tags["error"] for tags in counted} == {"OSError"}


def test_of_no_window_is_counted_for_the_task(counted):
    with pytest.raises(SynthflowConfigError):
        operator(synthflow_conn_id="nowhere").execute(CONTEXT)
    task = operator(model_id="{{ var.value.agent }}")
    task.model_id = ""  # as the template comes out
    with pytest.raises(SynthflowConfigError):
        task.execute(CONTEXT)

    assert counted == [{**TASK, "error": "SynthflowConfigError"}] * 2


@pytest.mark.parametrize(
    ("arguments", "raised"),
    [
        ({"on_empty": "skip"}, AirflowSkipException),
        ({"settle": 10**6 * 3600, "deferrable": True}, TaskDeferred),
        ({"settle": 10**6 * 3600, "deferrable": False}, AirflowRescheduleException),
        ({"on_unsettled": "wait", "max_unsettled_wait": 10**6 * 3600, "deferrable": False}, AirflowRescheduleException),
    ],
)
def test_is_not_what_passes_or_waits(synthflow, connect, counted, arguments, raised):
    calls = [] if "on_empty" in arguments else [make_call("a", lasts=None)]
    connect(synthflow(calls).url)

    with pytest.raises(raised):
        operator(**arguments).execute(CONTEXT)

    assert counted == []
