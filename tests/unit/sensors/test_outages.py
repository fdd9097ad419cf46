# SPDX-License-Identifier: Apache-2.0
"""An outage is never taken for a day without calls: the sensor's end names the last error, and skips nothing."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException

from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from tests.synthflow_server import Fault
from tests.unit.making import AGENT, FROM, make_call


@pytest.fixture
def serve(synthflow, connect):
    def start(calls=(), **options):
        handle = synthflow(calls, **options)
        connect(host=handle.url)
        return handle

    return start


def sensor(**arguments: Any) -> SynthflowNewCallsSensor:
    defaults = {"task_id": "new", "model_id": AGENT, "from_date": FROM, "mode": "poke", "timeout": 0, "min_calls": 3}
    return SynthflowNewCallsSensor(**{**defaults, "poke_interval": 1, **arguments})


@pytest.mark.parametrize("soft_fail", [False, True])
def test_it_is_named_at_the_end_and_skips_nothing(serve, soft_fail):
    serve([make_call("a")], faults=[Fault(status=500)])

    with pytest.raises(AirflowSensorTimeout, match=r"not known.*HTTP 500"):
        sensor(soft_fail=soft_fail).execute({})


@pytest.mark.parametrize(("soft_fail", "end"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_too_few_calls_are_none(serve, soft_fail, end):
    serve([make_call("a")])

    with pytest.raises(end) as caught:
        sensor(soft_fail=soft_fail).execute({})

    assert "not known" not in str(caught.value)


def test_one_that_is_over_by_the_last_poke_is_forgotten(serve):
    serve([make_call("a")], faults=[Fault(status=500, times=1)])
    one = sensor(soft_fail=True, timeout=0.2, poke_interval=0.3)

    with pytest.raises(AirflowSkipException):
        one.execute({})


@pytest.mark.parametrize("soft_fail", [False, True])
def test_that_the_triggerer_tells_is_named_and_skips_nothing(soft_fail):
    event = {"status": "timeout", "error": "SynthflowTransientError", "message": "The API failed: HTTP 500."}

    with pytest.raises(AirflowSensorTimeout, match=r"not known.*HTTP 500"):
        sensor(soft_fail=soft_fail).execute_complete({}, event)


def test_without_one_the_triggerer_s_timeout_skips_where_it_may():
    with pytest.raises(AirflowSkipException):
        sensor(soft_fail=True).execute_complete({}, {"status": "timeout"})
