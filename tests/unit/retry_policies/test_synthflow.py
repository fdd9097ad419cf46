# SPDX-License-Identifier: Apache-2.0
"""An outage costs none of a task's tries where Airflow can do so; every other error follows the task."""

from __future__ import annotations

import datetime as dt
import importlib

import pytest

from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowTransientError,
)
from tests.versions import AIRFLOW, needs_airflow

MODULE = "airflow_provider_synthflow.retry_policies.synthflow"
needs_policies = needs_airflow("3.3", "retry policies")
MINUTE = dt.timedelta(minutes=1)


def make_policy(**settings):
    return importlib.import_module(MODULE).SynthflowRetryPolicy(**settings)


def decide(error, **settings):
    return make_policy(**settings).evaluate(error, 1, 3)


@pytest.mark.skipif(AIRFLOW >= (3, 3), reason="an older Airflow lacks what is refused here")
def test_an_airflow_without_policies_says_so():
    with pytest.raises(ImportError, match=r"needs Airflow 3\.3 or later"):
        importlib.import_module(MODULE)


@needs_policies
class TestDecision:
    @needs_airflow("3.4", "retry policies that reschedule")
    def test_after_an_outage_runs_the_task_again_without_using_a_retry(self):
        error = SynthflowTransientError("The API is down.", status=503, attempts=6)

        decision = decide(error, delay=2 * MINUTE, give_up_after=dt.timedelta(hours=1))

        assert decision.action.name == "RESCHEDULE"
        assert (decision.retry_delay, decision.reschedule_timeout) == (2 * MINUTE, dt.timedelta(hours=1))
        assert decision.reason == "HTTP 503 after 6 attempts, which is temporary"

    @pytest.mark.skipif(AIRFLOW >= (3, 4), reason="a newer Airflow reschedules")
    def test_after_an_outage_retries_where_airflow_cannot_reschedule(self):
        decision = decide(SynthflowTransientError("No answer.", attempts=6), delay=2 * MINUTE)

        assert decision.action.name == "RETRY"
        assert decision.retry_delay == 2 * MINUTE
        assert decision.reason == "no answer after 6 attempts, which is temporary"

    @pytest.mark.parametrize(("asked", "waited"), [(30, MINUTE), (120, 2 * MINUTE), (None, MINUTE)])
    def test_waits_at_least_as_long_as_the_api_asked(self, asked, waited):
        error = SynthflowTransientError("Too many requests.", status=429, retry_after=asked)

        assert decide(error, delay=MINUTE).retry_delay == waited

    @pytest.mark.parametrize(
        "error",
        [SynthflowProtocolError("no JSON"), SynthflowIncompleteError("3 of 4"), SynthflowAuthError("401"),
         OSError("full"), KeyError("x")],
        ids=lambda error: type(error).__name__,
    )  # fmt: skip
    def test_leaves_every_other_error_to_the_task(self, error):
        assert decide(error).action.name == "DEFAULT"

    @pytest.mark.parametrize("settings", [{"delay": dt.timedelta(0)}, {"give_up_after": -MINUTE}])
    def test_takes_no_time_that_is_none(self, settings):
        with pytest.raises(ValueError, match="longer than zero"):
            make_policy(**settings)

    def test_is_the_same_when_it_was_data(self):
        policy = make_policy(delay=MINUTE, give_up_after=3 * MINUTE)

        assert vars(type(policy).deserialize(policy.serialize())) == vars(policy)
