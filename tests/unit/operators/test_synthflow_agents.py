# SPDX-License-Identifier: Apache-2.0
"""A task of several agents: what fails does not stop the others, a retry redoes only that, and all is told."""

from __future__ import annotations

import datetime as dt
import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import Stats, TaskDeferred

from airflow_provider_synthflow.exceptions import SynthflowAgentsError, SynthflowAgentsFatalError
from airflow_provider_synthflow.operators import windows_task
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.synthflow_server import Fault
from tests.unit.making import FROM, TO, TO_MS, make_call, many_calls, read_file

AGENTS = ["agent-1", "agent-2", "agent-3"]
CALLS = [make_call(f"{agent}-{number}", number, agent=agent) for agent in AGENTS for number in range(3)]
BEGUN = dt.datetime.now(dt.timezone.utc)


def operator(**arguments: Any) -> SynthflowListCallsOperator:
    return SynthflowListCallsOperator(
        **{"task_id": "calls", "model_id": AGENTS, "from_date": FROM, "to_date": TO, "retries": 3, **arguments}
    )


def try_number(number: int, *, cleared: bool = False) -> dict[str, Any]:
    """Return the context of a try; of the first after a clearing, where the task was cleared."""
    return {
        "ti": SimpleNamespace(
            try_number=number, max_tries=3 + (number - 1 if cleared else 0), dag_id="lake", task_id="calls"
        ),
        "task": SimpleNamespace(retries=3),
        "dag_run": SimpleNamespace(start_date=BEGUN),
    }


@pytest.fixture
def serve(synthflow, connect):
    """Start a test server that the default connection leads to; a request is sent only once."""

    def start(calls=CALLS, **options):
        handle = synthflow(calls, **options)
        connect(host=handle.url, extra={"max_attempts": 1})
        return handle

    return start


def agents_asked(handle) -> list[str]:
    return [request.query["model_id"] for request in handle.api.requests_to("calls")]


def test_a_run_by_events_reads_the_agents_that_they_name(serve, tmp_path):
    handle = serve()
    payload = {"model_id": "agent-2", "from_date": FROM, "to_date": TO, "window": 86_400, "count": 3}
    event = SimpleNamespace(extra={"from_trigger": True, "payload": payload})

    results = operator(from_date=None, to_date=None, output_path=str(tmp_path)).execute(
        {
            "dag_run": SimpleNamespace(run_type="asset_triggered"),
            "triggering_asset_events": {"asset": [event, event]},
        }
    )

    assert [(result["model_id"], result["count"]) for result in results] == [("agent-2", 3)]
    assert set(agents_asked(handle)) == {"agent-2"}


class TestOneThatFails:
    def test_leaves_the_files_of_the_others_and_is_named(self, serve, tmp_path):
        serve(faults=[Fault(status=503, at=(2,))])

        with pytest.raises(SynthflowAgentsError, match="1 of 3 windows failed") as caught:
            operator(output_path=str(tmp_path)).execute({})

        assert (caught.value.model_ids, caught.value.done) == (("agent-2",), 2)
        assert sorted(path.parts[-4] for path in tmp_path.rglob("_manifest.json")) == [
            "model_id=agent-1",
            "model_id=agent-3",
        ]

    def test_that_no_retry_mends_fails_the_task_for_good_and_the_others_are_there(self, serve, tmp_path):
        serve(faults=[Fault(status=404, at=(1,))])

        with pytest.raises(SynthflowAgentsFatalError) as caught:
            operator(output_path=str(tmp_path)).execute({})

        assert caught.value.model_ids == ("agent-1",)
        assert len(list(tmp_path.rglob("_manifest.json"))) == 2

    def test_is_counted_by_its_error_beside_what_the_others_read(self, serve, tmp_path, mocker):
        counted = []
        mocker.patch.object(
            Stats, "incr", lambda name, count=1, **more: counted.append((name, count, more["tags"]["model_id"]))
        )
        serve(faults=[Fault(status=503, at=(2,))])

        with pytest.raises(SynthflowAgentsError):
            operator(output_path=str(tmp_path)).execute(try_number(1))

        assert [row for row in counted if row[0] in {"synthflow.calls", "synthflow.failures"}] == [
            ("synthflow.calls", 3, "agent-1"),
            ("synthflow.failures", 1, "agent-2"),
            ("synthflow.calls", 3, "agent-3"),
        ]


class TestARetry:
    @pytest.fixture
    def failed(self, serve, tmp_path):
        """Let the second of three agents fail in the first try, and return the server."""
        handle = serve(faults=[Fault(status=503, at=(2,))])
        with pytest.raises(SynthflowAgentsError):
            operator(output_path=str(tmp_path)).execute(try_number(1))
        handle.api.requests.clear()
        return handle

    def test_asks_only_for_what_is_not_there_and_returns_all(self, failed, tmp_path):
        results = operator(output_path=str(tmp_path)).execute(try_number(2))

        assert agents_asked(failed) == ["agent-2"]
        assert [(each["model_id"], each["count"]) for each in results] == [(agent, 3) for agent in AGENTS]
        for each in results:
            assert len(read_file(each["path"])) == 3
            assert json.loads((Path(each["path"]).parent / "_manifest.json").read_bytes()) == each

    def test_after_a_clearing_asks_for_all(self, failed, tmp_path):
        operator(output_path=str(tmp_path)).execute(try_number(2, cleared=True))

        assert agents_asked(failed) == AGENTS

    @pytest.mark.parametrize(
        "changed",
        [
            {"output_format": "jsonl"},
            {"drop_fields": ["transcript"]},
        ],
        ids=["another format", "a field less"],
    )
    def test_with_other_parameters_takes_no_file_that_was_made_without_them(self, failed, tmp_path, changed):
        with pytest.raises(SynthflowAgentsError, match=next(iter(changed))) as caught:
            operator(output_path=str(tmp_path), **changed).execute(try_number(2))

        assert (caught.value.model_ids, caught.value.done) == (("agent-1", "agent-3"), 1)
        assert agents_asked(failed) == ["agent-2"]

    def test_reads_again_what_was_written_before_this_run(self, failed, tmp_path):
        context = try_number(2)
        context["dag_run"].start_date = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=5)

        operator(output_path=str(tmp_path)).execute(context)

        assert agents_asked(failed) == AGENTS

    def test_reads_again_what_is_not_as_its_manifest_says(self, failed, tmp_path):
        (file,) = (tmp_path / "model_id=agent-1").rglob("calls.jsonl.gz")
        file.write_bytes(file.read_bytes()[:-1])

        operator(output_path=str(tmp_path)).execute(try_number(2))

        assert agents_asked(failed) == ["agent-1", "agent-2"]


class TestCallsThatAreNotFinal:
    def test_in_one_window_are_waited_for_when_the_others_are_done_and_those_are_not_read_again(self, serve, tmp_path):
        handle = serve([*CALLS, make_call("running", agent="agent-2", lasts=None)])
        one = operator(output_path=str(tmp_path), on_unsettled="wait", max_unsettled_wait=10**9, deferrable=True)
        with pytest.raises(TaskDeferred) as caught:
            one.execute({})
        assert agents_asked(handle) == AGENTS
        assert len(list(tmp_path.rglob("_manifest.json"))) == 2

        handle.api.requests.clear()
        handle.api.finish("running")
        results = one.execute_complete({}, event=caught.value.trigger.moment, **caught.value.kwargs)

        assert agents_asked(handle) == ["agent-2"]
        assert [each["count"] for each in results] == [3, 4, 3]


class TestWhatIsTold:
    def test_the_log_has_a_line_at_the_begin_and_one_at_the_end_of_each_window(self, serve, tmp_path, caplog):
        serve(many_calls(250))
        with caplog.at_level(logging.INFO):
            result = operator(model_id="agent-1", output_path=str(tmp_path), call_status="completed").execute({})

        lines = [record.getMessage() for record in caplog.records if record.name.startswith("airflow_provider")]
        assert lines[0].startswith(f"Reading [{FROM}, {TO}): asking 127.0.0.1:")
        assert lines[0].endswith("; agent agent-1.")
        assert "call_status=completed" in lines[0]
        assert lines[-1].startswith("250 calls; 250 declared, 3 pages, 3 requests (0 sent again), 1 walk, ")
        assert lines[-1].endswith(
            f"; {result['bytes']:,} bytes written: [{FROM}, {TO}) of agent agent-1, {result['path']}."
        )

    def test_the_telephone_number_that_is_asked_for_is_not_in_the_log(self, serve, tmp_path, caplog):
        serve()
        with caplog.at_level(logging.DEBUG):
            operator(output_path=str(tmp_path), lead_phone_number="+15550100001").execute({})

        assert "lead_phone_number=***" in caplog.text
        assert "15550100001" not in caplog.text

    def test_a_lower_pace_and_its_end_are_in_the_log_with_their_reason(self, serve, tmp_path, caplog, connect):
        handle = serve(
            [make_call(f"call-{n}", n * 10_000) for n in range(3_000)],
            faults=[Fault(status=429, at=(2,), headers={"Retry-After": "0"})],
        )
        connect(host=handle.url)
        with caplog.at_level(logging.INFO):
            operator(model_id="agent-1", output_path=str(tmp_path)).execute({})

        assert "Requests now start at least 0.05 s apart." in caplog.text
        assert "Requests are back at full speed." in caplog.text

    def test_the_metrics_have_every_number_of_a_window(self, serve, tmp_path, mocker):
        counted: dict[str, Any] = {}
        mocker.patch.object(
            Stats, "incr", lambda name, count=1, **more: counted.update({name: count, "tags": more["tags"]})
        )
        timed = mocker.patch.object(Stats, "timing")
        serve(many_calls(250))

        operator(model_id="agent-1", output_path=str(tmp_path)).execute(try_number(1))

        assert counted == {
            "synthflow.calls": 250,
            "synthflow.pages": 3,
            "synthflow.requests": 3,
            "synthflow.walks": 1,
            "tags": {"dag_id": "lake", "task_id": "calls", "model_id": "agent-1"},
        }
        ((name, took), _) = timed.call_args
        assert name == "synthflow.duration"
        assert dt.timedelta(0) < took < dt.timedelta(minutes=1)


def test_files_that_another_task_wrote_before_the_window_was_settled_are_read_again(serve, tmp_path, monkeypatch):
    handle = serve()
    operator(output_path=str(tmp_path)).execute({})
    handle.api.requests.clear()
    ahead = dt.timedelta(days=36500)  # the files are of today, long before this window is settled
    monkeypatch.setattr(windows_task, "now_ms", lambda: TO_MS + ahead // dt.timedelta(milliseconds=1))
    one = operator(output_path=str(tmp_path), settle=ahead, deferrable=True)

    one.execute_complete({}, event=dt.datetime(2124, 3, 2, tzinfo=dt.timezone.utc), since_ms=0)

    assert agents_asked(handle) == AGENTS
