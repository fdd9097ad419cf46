# SPDX-License-Identifier: Apache-2.0
"""What a person may have misspelt is told: fields that were to be dropped, agents and statuses without any call."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.operators.synthflow import (
    SynthflowDownloadRecordingsOperator,
    SynthflowListCallsOperator,
)
from tests.synthflow_server import Fault
from tests.unit.making import AGENT, FROM, TO, make_call, read_file, tree_of
from tests.unit.making_tasks import operator


@pytest.fixture
def warnings(caplog):
    """Give a function that returns the warnings of this package."""

    def said():
        records = [each for each in caplog.records if each.levelno == logging.WARNING]
        return [each.getMessage() for each in records if each.name.startswith("airflow_provider")]

    return said


class TestUnknownFields:
    @pytest.mark.parametrize("parameter", ["drop_fields", "hash_fields"])
    @pytest.mark.parametrize("calls", [[make_call("a")], []], ids=["a call", "none"])
    def test_that_resemble_one_leave_nothing_written(self, serve, tmp_path, parameter, calls):
        serve(calls)

        with pytest.raises(SynthflowConfigError, match="transcripts"):
            operator(output_path=str(tmp_path), **{parameter: ["transcripts"]}).execute({})

        assert tree_of(tmp_path) == {}

    def test_are_in_the_result_and_the_manifest_where_they_may_be(self, serve, tmp_path, warnings):
        serve([make_call("a")])

        result = operator(
            output_path=str(tmp_path), drop_fields=["transcripts", "transcript"], on_unknown_field="warn"
        ).execute({})

        assert result["unknown_fields"] == ["transcripts"]
        assert json.loads((Path(result["path"]).parent / "_manifest.json").read_text())["unknown_fields"] == [
            "transcripts"
        ]
        assert "transcript" not in read_file(result["path"])[0]
        assert any("transcripts" in line for line in warnings())

    def test_that_resemble_none_are_warned_of(self, serve, warnings):
        serve([make_call("a")])

        assert operator(drop_fields="crm_reference").execute({})["unknown_fields"] == ["crm_reference"]
        assert any("crm_reference" in line for line in warnings())

    def test_that_come_in_a_call_are_dropped_without_a_word(self, serve, warnings):
        serve([make_call("a", transcripts="secret"), make_call("b")])

        result = operator(drop_fields="transcripts").execute({})

        assert "unknown_fields" not in result
        assert all("transcripts" not in call for call in result["calls"])
        assert warnings() == []


class TestNothing:
    def test_of_a_misspelt_agent_is_told_with_agent_filter_and_that_there_is_no_such_agent(self, serve, warnings):
        handle = serve([make_call("a")])

        assert operator(model_id="agent-l", call_status="completed").execute({})["count"] == 0
        told = "\n".join(warnings())
        assert "agent-l" in told
        assert "call_status=completed" in told
        assert "not among the 1 agents" in told
        assert sum("/assistants/" in request.path for request in handle.api.requests) == 1

    def test_of_an_agent_that_is_there_is_told_without_that(self, serve, warnings):
        serve([make_call("a")])

        operator(call_status="failed").execute({})

        (told,) = warnings()
        assert "call_status=failed" in told

    def test_of_several_agents_asks_for_the_agents_once(self, serve, warnings):
        handle = serve([make_call("a")])

        operator(model_id=["agent-l", "agent-2", AGENT]).execute({})

        assert sum("/assistants/" in request.path for request in handle.api.requests) == 1
        assert sum("not among" in line for line in warnings()) == 2

    def test_ends_well_where_the_agents_cannot_be_had(self, serve, warnings):
        serve([make_call("a")], faults=[Fault(route="assistants")])

        assert operator(model_id="agent-l").execute({})["count"] == 0
        assert len(warnings()) == 1

    def test_a_window_with_calls_asks_for_no_agents(self, serve, warnings):
        handle = serve([make_call("a")])

        operator().execute({})

        assert not any("/assistants/" in request.path for request in handle.api.requests)
        assert warnings() == []


class TestTables:
    def test_are_written_beside_the_calls_by_their_names(self, serve, tmp_path):
        serve([make_call("a")])

        result = operator(output_path=str(tmp_path), tables="turns,variables").execute({})

        assert result["tables"].keys() == {"turns", "variables"}
        assert result["tables"]["turns"]["rows"] == 2

    def test_may_be_all(self, serve, tmp_path):
        serve([make_call("a")])

        result = operator(output_path=str(tmp_path), tables="all").execute({})

        assert result["tables"].keys() == {"turns", "actions", "variables", "judgements"}

    @pytest.mark.parametrize("arguments", [{"tables": ["turn"], "output_path": "x"}, {"tables": ["turns"]}])
    def test_that_cannot_be_are_an_error(self, serve, arguments):
        serve([make_call("a")])

        with pytest.raises(SynthflowConfigError, match="tables"):
            operator(**arguments).execute({})


class TestRecordings:
    TEXT = "Their addresses stop working on 2027-01-10"

    def test_are_said_once_to_be_lost_where_no_task_keeps_them(self, serve, caplog):
        address = "https://signed.test/a"
        serve([make_call(name, agent=name, recording_url=address) for name in (AGENT, "agent-2")])
        with caplog.at_level("INFO"):
            SynthflowListCallsOperator(task_id="t", model_id=[AGENT, "agent-2"], from_date=FROM, to_date=TO).execute({})

        assert caplog.text.count(self.TEXT) == 1

    @pytest.mark.parametrize("without", [{}, {"recording_url": None}, {"recording_url": ""}])
    def test_are_said_to_be_lost_though_the_first_calls_have_none(self, serve, caplog, without):
        calls = [make_call(f"{number}", number * 1000, **without) for number in range(150)]
        serve([*calls, make_call("z", 75_500, recording_url="https://signed.test/a")])
        with caplog.at_level("INFO"):
            SynthflowListCallsOperator(task_id="t", model_id=AGENT, from_date=FROM, to_date=TO).execute({})

        assert caplog.text.count(self.TEXT) == 1

    def test_are_not_mentioned_where_a_task_of_the_dag_keeps_them(self, serve, caplog):
        serve([make_call("a", recording_url="https://signed.test/a")])
        with DAG("kept", schedule=None) as dag, caplog.at_level("INFO"):
            calls = SynthflowListCallsOperator(task_id="t", model_id=AGENT, from_date=FROM, to_date=TO)
            SynthflowDownloadRecordingsOperator(task_id="r", calls=calls.output, output_path="/lake")
            calls.execute({"task": calls, "dag": dag})

        assert self.TEXT not in caplog.text

    def test_are_not_mentioned_where_no_call_has_an_address(self, serve, caplog):
        serve([make_call("a", recording_url=None)])
        with caplog.at_level("INFO"):
            SynthflowListCallsOperator(task_id="t", model_id=AGENT, from_date=FROM, to_date=TO).execute({})

        assert self.TEXT not in caplog.text
