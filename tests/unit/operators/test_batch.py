# SPDX-License-Identifier: Apache-2.0
"""Of several windows one that fails does not stop the others, and the task says at its end which failed."""

from __future__ import annotations

import logging

import pytest

from airflow_provider_synthflow.exceptions import (
    SynthflowAgentsError,
    SynthflowAgentsFatalError,
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowIncompleteError,
    SynthflowRequestError,
)
from airflow_provider_synthflow.operators.batch import AgentWindow, Batch
from airflow_provider_synthflow.window import Window

WINDOW = Window(0, 1000)
PARTS = [AgentWindow(name, WINDOW) for name in ("one", "two", "three")]


def run_batch(parts, extract):
    """Extract all parts as a task does."""
    batch, results = Batch(parts), []
    for part in parts:
        with batch.going_on(part):
            results.append(extract(part))
    batch.check()
    return results


def failing(errors):
    """Return an extraction that fails for some agents, and the list of those that it was called for."""
    called = []

    def extract(part):
        called.append(part.model_id)
        if part.model_id in errors:
            raise errors[part.model_id]
        return {"model_id": part.model_id}

    return extract, called


def test_the_results_come_in_the_order_of_the_parts():
    extract, _ = failing({})

    assert [result["model_id"] for result in run_batch(PARTS, extract)] == ["one", "two", "three"]


def test_one_that_fails_does_not_stop_the_others_and_is_named_at_the_end(caplog):
    extract, called = failing({"one": SynthflowIncompleteError("Calls are missing.")})

    with caplog.at_level(logging.ERROR), pytest.raises(SynthflowAgentsError) as caught:
        run_batch(PARTS, extract)

    assert called == ["one", "two", "three"]
    assert (caught.value.model_ids, caught.value.done) == (("one",), 2)
    assert "1 of 3 windows failed" in str(caught.value)
    assert "one [1970-01-01T00:00:00.000Z, 1970-01-01T00:00:01.000Z): Calls are missing." in str(caught.value)
    assert "2 of 3 windows are left" in caplog.text
    assert not isinstance(caught.value, SynthflowAgentsFatalError)


@pytest.mark.parametrize(
    ("errors", "fatal"),
    [
        ({"one": SynthflowRequestError("Refused."), "three": SynthflowRequestError("Refused.")}, True),
        ({"one": SynthflowRequestError("Refused."), "three": SynthflowIncompleteError("Missing.")}, False),
        ({"one": SynthflowRequestError("Refused."), "three": OSError(28, "No space left")}, False),
    ],
    ids=["all refused", "one incomplete", "the disk full"],
)
def test_the_task_is_retried_where_a_retry_may_mend_any_of_them(errors, fatal):
    extract, _ = failing(errors)

    with pytest.raises(SynthflowAgentsError) as caught:
        run_batch(PARTS, extract)

    assert isinstance(caught.value, SynthflowAgentsFatalError) is fatal
    assert caught.value.model_ids == ("one", "three")


@pytest.mark.parametrize(
    "error", [SynthflowAuthError("No.", status=401), SynthflowConfigError("No such bucket.")], ids=["key", "store"]
)
def test_what_no_other_part_would_fare_better_with_ends_it_at_once(error):
    extract, called = failing({"one": error})

    with pytest.raises(SynthflowConfigError) as caught:
        run_batch(PARTS, extract)

    assert caught.value is error

    assert called == ["one"]


def test_an_agent_that_the_key_is_not_entitled_to_does_not_stop_the_others():
    extract, called = failing({"one": SynthflowAuthError("No.", status=403)})

    with pytest.raises(SynthflowAgentsFatalError):
        run_batch(PARTS, extract)

    assert called == ["one", "two", "three"]


def test_the_error_of_a_single_part_is_raised_as_it_is():
    error = SynthflowIncompleteError("Missing.")
    extract, _ = failing({"one": error})

    with pytest.raises(SynthflowIncompleteError) as caught:
        run_batch(PARTS[:1], extract)

    assert caught.value is error


def test_a_mistake_in_the_program_is_not_collected():
    extract, called = failing({"one": KeyError("a")})

    with pytest.raises(KeyError):
        run_batch(PARTS, extract)

    assert called == ["one"]


def test_of_many_that_fail_the_first_ten_are_written_out():
    parts = [AgentWindow(f"agent-{number:02}", WINDOW) for number in range(14)]
    extract, _ = failing({part.model_id: SynthflowIncompleteError("Missing.") for part in parts})

    with pytest.raises(SynthflowAgentsError) as caught:
        run_batch(parts, extract)

    assert len(caught.value.model_ids) == 14
    assert "agent-09" in str(caught.value)
    assert "agent-10" not in str(caught.value)
    assert "and 4 more" in str(caught.value)
