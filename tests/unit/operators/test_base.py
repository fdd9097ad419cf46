# SPDX-License-Identifier: Apache-2.0
"""A known error ends the log of its task with what to do, and without the frames that tell a user nothing."""

from __future__ import annotations

import traceback

import pytest
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_synthflow import exceptions
from airflow_provider_synthflow.exceptions import (
    SynthflowAgentsError,
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.operators.base import ReadableErrors
from airflow_provider_synthflow.operators.synthflow import (
    SynthflowAuditOperator,
    SynthflowDownloadRecordingsOperator,
    SynthflowListAssistantsOperator,
    SynthflowListCallsOperator,
)
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from tests.unit.making import AGENT, FROM, TO

KINDS = [getattr(exceptions, name) for name in exceptions.__all__]


def run_readably(act):
    with ReadableErrors():
        return act()


def fail(error):
    raise error


def log_of(error: BaseException) -> list[str]:
    """Return the lines that Airflow logs of an error that ended a task."""
    return "".join(traceback.format_exception(error)).rstrip().splitlines()


class Plain(BaseOperator):
    """An operator that changes nothing of Airflow's."""

    def __init__(self, *, value: str, **kwargs):
        super().__init__(**kwargs)
        self.value = value


@pytest.mark.parametrize(
    ("kind", "argument"),
    [
        (SynthflowAuditOperator, "output_path"),
        (SynthflowDownloadRecordingsOperator, "calls"),
        (SynthflowListAssistantsOperator, "output_path"),
        (SynthflowListCallsOperator, "model_id"),
        (SynthflowNewCallsSensor, "model_id"),
    ],
)
def test_a_mapped_task_has_the_inlets_outlets_and_callbacks_that_airflow_gives_any(kind, argument):
    mapped = kind.partial(task_id="mapped").expand(**{argument: ["a", "b"]})
    plain = Plain.partial(task_id="plain").expand(value=["a", "b"])

    kept = [name for name in plain.partial_kwargs if name.endswith(("lets", "_callback", "_config"))]
    assert len(kept) > 5
    assert {name: mapped.partial_kwargs[name] for name in kept} == {name: plain.partial_kwargs[name] for name in kept}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("text", ["It failed.", "x" * 400, "It failed, at length. " + "x" * 400])
def test_every_class_ends_with_a_cure_in_a_short_line_of_its_own(kind, text):
    with pytest.raises(kind) as caught:
        run_readably(lambda: fail(kind(text)))

    told, last = str(caught.value).rsplit("\n", 1)
    assert told == text
    assert last == kind.remedy
    assert len(last) < 120


def test_the_cure_that_a_text_of_a_wrong_parameter_has_is_that_line():
    with pytest.raises(SynthflowConfigError) as caught:
        run_readably(lambda: fail(SynthflowConfigError("concurrency is 0. Give a whole number from 1.")))

    assert str(caught.value).splitlines() == ["concurrency is 0.", "Give a whole number from 1."]


def test_so_is_that_of_a_request_that_the_api_refuses():
    with pytest.raises(SynthflowRequestError) as caught:
        run_readably(lambda: fail(SynthflowRequestError("The list ends there. Take shorter windows.", status=400)))

    assert str(caught.value).splitlines() == ["The list ends there.", "Take shorter windows."]


def test_it_is_told_once_where_an_error_passes_twice():
    with pytest.raises(SynthflowTransientError) as caught:
        run_readably(lambda: run_readably(lambda: fail(SynthflowTransientError("It failed."))))

    assert str(caught.value).count(SynthflowTransientError.remedy) == 1


def test_the_frames_below_the_task_and_of_its_causes_are_left_out():
    def deep(levels):
        if levels:
            deep(levels - 1)
        try:
            fail(OSError("the cause"))
        except OSError as cause:
            raise SynthflowAgentsError("It failed.") from cause

    with pytest.raises(SynthflowAgentsError) as caught:
        run_readably(lambda: deep(20))

    lines = log_of(caught.value)
    assert not any("in deep" in line or "in fail" in line for line in lines)
    assert isinstance(caught.value.__cause__, OSError)


def test_what_is_no_error_of_this_package_keeps_its_frames():
    with pytest.raises(KeyError) as caught:
        run_readably(lambda: fail(KeyError("a fault of ours")))

    assert any("in fail" in line for line in log_of(caught.value))


def test_a_task_with_a_wrong_key_ends_so(synthflow, connect):
    handle = synthflow([])
    connect(host=handle.url, password="wrong-key-987654")
    task = SynthflowListCallsOperator(task_id="calls", model_id=AGENT, from_date=FROM, to_date=TO)

    with pytest.raises(SynthflowAuthError) as caught:
        task.execute({})

    lines = log_of(caught.value)
    frames = [line for line in lines if line.lstrip().startswith("File ")]
    assert "Test button" in lines[-1]
    assert len(lines[-1]) < 120
    assert "(request req-" in lines[-2]
    assert len([line for line in frames if "airflow_provider_synthflow" in line]) <= 3
    assert isinstance(caught.value, SynthflowError)
