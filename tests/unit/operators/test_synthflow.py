# SPDX-License-Identifier: Apache-2.0
"""The operator brings the calls of its window, or a typed error and nothing else."""

from __future__ import annotations

import copy
import datetime as dt
import hashlib
import hmac
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import DAG, AirflowFailException, AirflowSkipException, TaskDeferred, task

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.call import encode_record, read_call
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowIncompleteError,
    SynthflowOutputConflictError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
    SynthflowWindowError,
)
from airflow_provider_synthflow.operators import calls_task, windows_task
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from tests.synthflow_server import Behaviour, Fault
from tests.unit.making import AGENT, DAY, FROM, FROM_MS, HOUR, TO, TO_MS, make_call, many_calls, read_file, tree_of

COMMON = {
    "model_id", "from_date", "to_date", "count", "unsettled", "not_started", "total_records", "asked", "query", "pages",
    "requests", "walks", "changed", "provider_version", "extracted_at",
}  # fmt: skip
IN_XCOM = COMMON | {"calls"}
IN_FILE = COMMON | {"path", "format", "bytes", "sha256"}


def operator(**arguments: Any) -> SynthflowListCallsOperator:
    return SynthflowListCallsOperator(
        **{"task_id": "calls", "model_id": AGENT, "from_date": FROM, "to_date": TO, **arguments}
    )


def deferral_of(one: SynthflowListCallsOperator) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as caught:
        one.execute({})
    return caught.value


def waited_until(moment_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(moment_ms / 1000, dt.timezone.utc)


def event(from_ms: int, to_ms: int) -> SimpleNamespace:
    """Return an asset event of the trigger that names one cell."""
    payload = {
        "model_id": AGENT, "from_date": from_ms, "to_date": to_ms, "window": (to_ms - from_ms) // 1000, "count": 1,
    }  # fmt: skip
    return SimpleNamespace(extra={"from_trigger": True, "payload": payload})


def ids(calls: list[dict[str, Any]]) -> list[str]:
    return [call["call_id"] for call in calls]


@pytest.fixture
def serve(synthflow, connect):
    """Start a test server that the default connection leads to."""

    def start(calls=(), *, fields=None, **options):
        handle = synthflow(calls, **options)
        connect(**{"host": handle.url, **(fields or {})})
        return handle

    return start


@pytest.fixture
def at(monkeypatch):
    """Give a function that sets the operator's clock, in milliseconds since 1970."""

    def set_clock(now_ms):
        for each in (calls_task, windows_task):
            monkeypatch.setattr(each, "now_ms", lambda: now_ms)

    return set_clock


class TestResult:
    def test_in_xcom_has_the_numbers_and_the_calls(self, serve):
        serve([make_call("b", 5), make_call("a", 5), make_call("c", 0), make_call("late", DAY)])

        result = operator().execute({})

        assert result.keys() == IN_XCOM
        assert ids(result["calls"]) == ["c", "a", "b"]
        assert {name: result[name] for name in ("model_id", "from_date", "to_date", "count")} == {
            "model_id": AGENT,
            "from_date": FROM,
            "to_date": TO,
            "count": 3,
        }
        assert (result["unsettled"], result["not_started"], result["query"]) == (0, 0, {})
        assert (result["pages"], result["requests"], result["walks"]) == (1, 1, 1)
        assert result["total_records"] == 4
        assert result["provider_version"] == __version__
        extracted = dt.datetime.fromisoformat(result["extracted_at"].replace("Z", "+00:00"))
        assert abs((dt.datetime.now(dt.timezone.utc) - extracted).total_seconds()) < 60
        json.dumps(result)

    def test_in_a_file_has_the_numbers_and_the_place(self, serve, tmp_path):
        serve([make_call("b", 5), make_call("a", 0)])

        result = operator(output_path=str(tmp_path)).execute({})

        place = tmp_path / f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
        assert result.keys() == IN_FILE
        assert result["path"] == str(place / "calls.jsonl.gz")
        assert (result["format"], result["changed"], result["count"]) == ("jsonl.gz", True, 2)
        data = Path(result["path"]).read_bytes()
        assert (result["bytes"], result["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
        assert json.loads((place / "_manifest.json").read_bytes()) == result
        assert ids(read_file(result["path"])) == ["a", "b"]

    @pytest.mark.parametrize("model_ids", [[AGENT, "agent-2"], (AGENT, "agent-2")], ids=["list", "tuple"])
    def test_is_a_list_for_a_list_of_agents(self, serve, tmp_path, model_ids):
        serve([make_call("a"), make_call("b", agent="agent-2"), make_call("c", 1, agent="agent-2")])

        result = operator(model_id=model_ids, output_path=str(tmp_path)).execute({})

        assert [(each["model_id"], each["count"]) for each in result] == [(AGENT, 1), ("agent-2", 2)]
        assert [ids(read_file(each["path"])) for each in result] == [["a"], ["b", "c"]]

    def test_is_a_list_for_a_list_of_one_agent(self, serve):
        serve([make_call("a")])

        assert [each["count"] for each in operator(model_id=[AGENT]).execute({})] == [1]

    def test_is_a_list_for_the_cells_that_asset_events_name(self, serve):
        serve([make_call("a"), make_call("b", 900_000), make_call("c", 2_700_000)])
        cells = [(0, 900), (900, 1800), (0, 900)]
        events = [
            SimpleNamespace(
                extra={
                    "from_trigger": True,
                    "payload": {
                        "model_id": AGENT,
                        "from_date": pendulum.from_timestamp(FROM_MS // 1000 + start).isoformat(),
                        "to_date": pendulum.from_timestamp(FROM_MS // 1000 + end).isoformat(),
                        "window": 900,
                        "count": 1,
                    },
                }
            )
            for start, end in cells
        ]
        run = SimpleNamespace(run_type="asset_triggered")
        context = {"dag_run": run, "triggering_asset_events": {"asset": events}}

        result = operator(from_date=None, to_date=None).execute(context)

        assert [(each["from_date"][11:16], ids(each["calls"])) for each in result] == [
            ("00:00", ["a"]),
            ("00:15", ["b"]),
        ]

    def test_counts_calls_that_are_not_final_and_leaves_out_those_not_started(self, serve):
        running = make_call("running", 1, lasts=None)
        queued = make_call("queued", 2, lasts=None, call_status="queue", start_time=None)
        serve([make_call("done"), running, queued])

        result = operator().execute({})

        assert (result["count"], result["unsettled"], result["not_started"]) == (2, 1, 1)
        assert result["total_records"] == 3
        assert ids(result["calls"]) == ["done", "running"]

    def test_holds_no_nul_in_xcom_and_keeps_it_in_a_file(self, serve, tmp_path):
        serve([make_call("a", transcript="x\x00y", labels=["\x00"], collected_variables={"k\x00": "\x00"})])

        (call,) = operator().execute({})["calls"]
        (line,) = read_file(operator(output_path=str(tmp_path)).execute({})["path"])

        assert (call["transcript"], call["labels"], call["collected_variables"]) == (
            "x\ufffdy", ["\ufffd"], {"k\ufffd": "\ufffd"},
        )  # fmt: skip
        assert line["transcript"] == "x\x00y"

    def test_with_explicit_bounds_needs_nothing_of_the_context(self, serve):
        class Untouchable(dict):
            def get(self, *_):
                pytest.fail("the context was read")

            __getitem__ = get

        serve([make_call("a")])

        assert operator().execute(Untouchable())["count"] == 1
        assert operator().execute(None)["count"] == 1

    @pytest.mark.parametrize(
        ("from_date", "to_date"),
        [
            (FROM_MS, TO_MS),
            (str(FROM_MS), str(TO_MS)),
            ("2024-03-01T01:00:00+01:00", "2024-03-02T00:00:00Z"),
            (pendulum.datetime(2024, 3, 1), pendulum.datetime(2024, 3, 2)),
            (dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc), dt.datetime(2024, 3, 2, tzinfo=dt.timezone.utc)),
        ],
        ids=["epoch", "text of epoch", "iso", "pendulum", "datetime"],
    )
    def test_is_the_same_however_the_bounds_are_written(self, serve, from_date, to_date):
        serve([make_call("first"), make_call("last", DAY - 1), make_call("before", -1), make_call("after", DAY)])

        result = operator(from_date=from_date, to_date=to_date).execute({})

        assert (result["from_date"], result["to_date"]) == (FROM, TO)
        assert ids(result["calls"]) == ["first", "last"]

    def test_of_a_run_is_that_of_its_data_interval(self, serve):
        serve([make_call("a"), make_call("b", HOUR)])
        start = pendulum.datetime(2024, 3, 1, 1)
        context = {"data_interval_start": start, "data_interval_end": start.add(hours=1)}

        result = operator(from_date=None, to_date=None).execute(context)

        assert ids(result["calls"]) == ["b"]

    def test_takes_many_pages_at_once(self, serve):
        handle = serve(many_calls(450))

        result = operator(concurrency=4, max_xcom_bytes=10**7).execute({})

        assert (result["count"], result["total_records"]) == (450, 450)
        assert result["requests"] == len(handle.api.requests_to("calls"))


class TestWindow:
    def test_is_asked_for_with_a_second_before_and_settle_behind(self, serve):
        handle = serve()

        operator(settle=dt.timedelta(minutes=90)).execute({})

        page, look_behind = handle.api.requests_to("calls")
        for received in (page, look_behind):
            assert received.query["from_date"] == str(FROM_MS - 1000)
            assert received.query["to_date"] == str(TO_MS + 90 * 60_000)

    def test_takes_settle_in_seconds_too(self, serve):
        handle = serve()

        operator(settle=90).execute({})

        assert handle.api.requests_to("calls")[0].query["to_date"] == str(TO_MS + 90_000)

    def test_ignored_by_the_server_is_an_error(self, serve, tmp_path):
        serve([make_call("a"), make_call("old", -40 * DAY)], behaviour=Behaviour(ignore_window=True))

        with pytest.raises(SynthflowProtocolError, match="ignored the window"):
            operator(output_path=str(tmp_path / "out")).execute({})

        assert not tree_of(tmp_path)


class TestFilters:
    def test_are_sent_and_told_in_the_result(self, serve):
        handle = serve([make_call("long", lasts=90_000), make_call("short", 1, lasts=5_000)])
        filters = {
            "call_status": "completed",
            "duration_min": 60,
            "duration_max": 120,
            "lead_phone_number": "+15550100001",
        }

        result = operator(**filters).execute({})

        (received,) = handle.api.requests_to("calls")
        assert {name: received.query[name] for name in filters} == {name: str(value) for name, value in filters.items()}
        assert "lead_phone_number=%2B1555" in received.target
        assert result["query"] == filters
        assert ids(result["calls"]) == ["long"]

    def test_rendered_as_text_or_nothing_count_as_numbers_or_none(self, serve):
        handle = serve()

        result = operator(duration_min="60", call_status="", lead_phone_number=" ").execute({})

        assert result["query"] == {"duration_min": 60}
        assert handle.api.requests_to("calls")[0].query.keys() == {
            "model_id", "limit", "offset", "from_date", "to_date", "duration_min",
        }  # fmt: skip


class TestNumberToFilterBy:
    """It is not among the rendered fields that Airflow stores."""

    NUMBER = "+15550107731"

    @pytest.fixture(params=[SynthflowListCallsOperator, SynthflowNewCallsSensor])
    def kind(self, request):
        return request.param

    def check(self, kind, task):
        assert task.lead_phone_number == self.NUMBER
        assert "lead_phone_number" not in task.template_fields
        assert "lead_phone_number" in kind.template_fields

    def test_once_a_template_has_rendered_it(self, kind):
        with DAG("filtered", schedule=None):
            task = kind(task_id="calls", model_id=AGENT, lead_phone_number="{{ number }}")

        assert task.lead_phone_number == "{{ number }}"
        assert "lead_phone_number" in task.template_fields
        task.render_template_fields({"number": self.NUMBER})
        self.check(kind, task)

    def test_as_it_stands_in_the_dag(self, kind):
        with DAG("filtered", schedule=None):
            self.check(kind, kind(task_id="calls", model_id=AGENT, lead_phone_number=self.NUMBER))

    def test_in_a_copy_of_the_task(self, kind):
        with DAG("filtered", schedule=None):
            task = kind(task_id="calls", model_id=AGENT, lead_phone_number=self.NUMBER)

        self.check(kind, copy.deepcopy(task))

    def test_of_a_mapped_task(self, kind):
        """What renders such a task's templates sets its fields, and calls nothing of it."""
        with DAG("filtered", schedule=None):
            mapped = kind.partial(task_id="calls", lead_phone_number="{{ number }}").expand(model_id=["a", "b"])
        task = mapped.unmap({"model_id": "a"})

        mapped._do_render_template_fields(
            task, mapped.template_fields, {"number": self.NUMBER}, mapped.get_template_env(), set()
        )

        self.check(kind, task)

    def test_is_masked_in_logs(self, kind, monkeypatch):
        masked = []
        monkeypatch.setattr("airflow_provider_synthflow.hooks.masking.mask_secret", masked.append)

        kind(task_id="calls", model_id=AGENT, lead_phone_number=f" {self.NUMBER} ")
        kind(task_id="others", model_id=AGENT, lead_phone_number="{{ number }}")

        assert masked == [self.NUMBER]


class TestCallsOfAnother:
    """The server ignores a filter, or a call was handed from agent to agent."""

    @pytest.mark.parametrize(
        ("other", "filters"),
        [({"model_id": "another"}, {}), ({"call_status": "failed"}, {"call_status": "completed, Busy"})],
        ids=["agent", "status"],
    )
    def test_are_an_error_with_the_numbers_unless_they_are_to_be_included(self, other, filters, serve, monkeypatch):
        serve([])
        page = Page([read_call(encode_record(make_call("a").record | other))], total=1)
        answer = SimpleNamespace(read=lambda: page)
        monkeypatch.setattr("airflow_provider_synthflow.client.client.SynthflowClient.answer", lambda *_: answer)

        with pytest.raises(SynthflowProtocolError, match="of the 1 calls on a page"):
            operator(**filters).execute({})
        result = operator(**filters, on_mismatch="include").execute({})

        assert (result["count"], result["mismatched"]) == (1, 1)


class TestTemplates:
    def test_are_the_parameters_that_the_contract_names(self):
        assert set(SynthflowListCallsOperator.template_fields) == {
            "model_id", "from_date", "to_date", "output_path", "output_conn_id", "output_format", "call_status",
            "duration_min", "duration_max", "lead_phone_number", "drop_fields", "hash_fields", "synthflow_conn_id",
            "resume_path", "tables", "volatile_fields", "details", "on_mismatch",
        }  # fmt: skip

    def test_are_rendered_before_the_extraction(self, serve, tmp_path):
        serve([make_call("a")])
        with DAG("templates", schedule=None):
            one = operator(
                model_id="{{ agent }}",
                from_date="{{ start }}",
                to_date="{{ start.add(days=1) }}",
                output_path="{{ out }}",
                output_format="{{ 'jsonl' }}",
                drop_fields=["{{ 'transcript' }}"],
                duration_min="{{ 1 }}",
                lead_phone_number="{{ '' }}",
                synthflow_conn_id="{{ 'synthflow' }}_default",
            )
        context = {"agent": AGENT, "start": pendulum.datetime(2024, 3, 1), "out": str(tmp_path)}

        one.render_template_fields(context)
        result = one.execute(context)

        (call,) = read_file(result["path"])
        assert result["path"].startswith(str(tmp_path))
        assert call["call_id"] == "a"
        assert "transcript" not in call

    def test_take_the_output_of_another_task(self):
        with DAG("mapped", schedule=None):

            @task
            def agents() -> list[str]:
                return ["a", "b"]

            found = agents()
            one = SynthflowListCallsOperator(task_id="one", model_id=found)
            many = SynthflowListCallsOperator.partial(task_id="many").expand(model_id=found)

        assert one.upstream_task_ids == many.upstream_task_ids == {"agents"}


class TestXCom:
    def test_takes_what_is_just_small_enough(self, serve):
        serve(many_calls(3))
        result = operator().execute({})
        size = len(json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode())

        assert operator(max_xcom_bytes=size + 20).execute({})["count"] == 3
        with pytest.raises(SynthflowConfigError, match="Set output_path"):
            operator(max_xcom_bytes=size - 20).execute({})

    def test_limit_is_a_mebibyte(self, serve):
        serve(many_calls(12, transcript="x" * 100_000))

        with pytest.raises(SynthflowConfigError, match=r"max_xcom_bytes \(1048576\)"):
            operator().execute({})

    def test_limit_does_not_touch_files(self, serve, tmp_path):
        serve(many_calls(3))

        assert operator(max_xcom_bytes=1, output_path=str(tmp_path)).execute({})["count"] == 3


class TestEmptyWindow:
    def test_gives_an_empty_result_or_an_empty_file(self, serve, tmp_path):
        serve([make_call("other", DAY)])

        in_xcom = operator().execute({})
        in_file = operator(output_path=str(tmp_path)).execute({})

        assert (in_xcom["count"], in_xcom["calls"], in_file["count"]) == (0, [], 0)
        assert read_file(in_file["path"]) == []
        assert (Path(in_file["path"]).parent / "_manifest.json").exists()

    def test_skips_the_task_and_writes_nothing(self, serve, tmp_path):
        serve()

        with pytest.raises(AirflowSkipException):
            operator(on_empty="skip", output_path=str(tmp_path / "out")).execute({})

        assert not tree_of(tmp_path)

    def test_of_one_agent_does_not_skip_the_others(self, serve, tmp_path):
        serve([make_call("a")])

        result = operator(on_empty="skip", model_id=["other", AGENT], output_path=str(tmp_path)).execute({})

        assert [each["count"] for each in result] == [0, 1]
        assert [path.name for path in tmp_path.iterdir()] == [f"model_id={AGENT}"]

    def test_fails_the_task_where_calls_are_due(self, serve, tmp_path):
        serve()

        with pytest.raises(SynthflowIncompleteError, match="no calls") as caught:
            operator(on_empty="fail", output_path=str(tmp_path / "out")).execute({})

        assert not isinstance(caught.value, AirflowFailException)
        assert not tree_of(tmp_path)


class TestSettle:
    def test_keeps_a_task_from_reading_too_early(self, serve, at):
        handle = serve([make_call("a")])
        at(TO_MS + HOUR - 1)

        with pytest.raises(AirflowRescheduleException) as caught:
            operator().execute({})

        assert caught.value.reschedule_date == dt.datetime(2024, 3, 2, 1, tzinfo=dt.timezone.utc)
        assert handle.api.requests == []

    def test_is_waited_for_once_with_the_last_window_and_before_anything_is_read(self, serve, at, tmp_path):
        handle = serve([make_call("a")])
        one = operator(
            model_id=[AGENT], from_date=None, to_date=None, output_path=str(tmp_path / "out"), settle=HOUR / 1000
        )
        cells = [(FROM_MS, FROM_MS + HOUR), (FROM_MS + 5 * HOUR, FROM_MS + 6 * HOUR)]
        context = {"triggering_asset_events": {"asset": [event(*cell) for cell in cells]}}
        at(FROM_MS + 6 * HOUR)

        with pytest.raises(AirflowRescheduleException) as caught:
            one.execute({**context, "dag_run": SimpleNamespace(run_type="asset_triggered")})

        assert caught.value.reschedule_date.timestamp() * 1000 == FROM_MS + 7 * HOUR
        assert handle.api.requests == []

    def test_does_not_delay_a_window_that_is_just_settled(self, serve, at):
        serve([make_call("a")])
        at(TO_MS + HOUR)

        assert operator().execute({})["count"] == 1

    def test_of_zero_reads_at_the_window_s_end(self, serve, at):
        handle = serve([make_call("a")])
        at(TO_MS)

        assert operator(settle=0).execute({})["count"] == 1
        assert handle.api.requests_to("calls")[0].query["to_date"] == str(TO_MS + 60_000)


class TestDeferral:
    def test_waits_in_the_triggerer_until_the_window_is_settled(self, serve, at):
        handle = serve([make_call("a")])
        at(TO_MS + HOUR - 1)

        deferred = deferral_of(operator(deferrable=True))

        assert deferred.trigger.moment == dt.datetime(2024, 3, 2, 1, tzinfo=dt.timezone.utc)
        assert deferred.trigger.end_from_trigger is False
        assert handle.api.requests == []

    def test_is_the_default_where_airflow_says_so(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")

        assert operator().deferrable is True
        assert operator(deferrable=False).deferrable is False

    def test_of_a_settled_window_is_none(self, serve, at):
        serve([make_call("a")])
        at(TO_MS + HOUR)

        assert operator(deferrable=True).execute({})["count"] == 1

    def test_ends_with_the_same_result(self, serve, at):
        serve([make_call("a")])
        at(TO_MS + HOUR - 1)
        one = operator(deferrable=True)
        deferred = deferral_of(one)
        at(TO_MS + HOUR)
        resumed = getattr(one, deferred.method_name)({}, event=deferred.trigger.moment, **(deferred.kwargs or {}))

        assert {**resumed, "extracted_at": 0} == {**operator().execute({}), "extracted_at": 0}

    def test_ends_where_this_worker_s_clock_is_a_little_behind(self, serve, at):
        serve([make_call("a")])
        at(TO_MS + HOUR - 2_000)

        assert operator(deferrable=True).execute_complete({}, event=waited_until(TO_MS + HOUR))["count"] == 1

    def test_goes_on_where_the_event_is_of_a_moment_that_no_clock_shows(self, serve, at):
        handle = serve([make_call("a")])
        at(TO_MS)

        with pytest.raises(TaskDeferred):
            operator(deferrable=True).execute_complete({}, event=waited_until(TO_MS + 1000 * DAY))
        assert handle.api.requests == []

    @pytest.mark.parametrize(
        "event",
        [None, "2024-03-02", {"status": "success"}, 5, dt.datetime(2024, 3, 2)],  # noqa: DTZ001 - naive
        ids=str,
    )
    def test_ends_in_a_typed_error_where_the_event_is_no_moment(self, serve, event):
        handle = serve([make_call("a")])

        with pytest.raises(SynthflowProtocolError, match="is not a time"):
            operator(deferrable=True).execute_complete({}, event=event)
        assert handle.api.requests == []

    def test_takes_what_another_version_of_this_package_has_stored_beside_the_event(self, serve):
        serve([make_call("a")])

        resumed = operator(deferrable=True).execute_complete({}, event=waited_until(TO_MS + HOUR), unknown=1)

        assert resumed["count"] == 1

    def test_waits_for_calls_that_are_not_final(self, serve, at, tmp_path):
        handle = serve([make_call("running", lasts=None)])
        at(TO_MS + HOUR)
        one = operator(deferrable=True, on_unsettled="wait", output_path=str(tmp_path / "out"))

        deferred = deferral_of(one)
        assert deferred.trigger.moment.timestamp() * 1000 == TO_MS + HOUR + 600_000
        assert not tree_of(tmp_path)
        handle.api.finish("running")
        at(TO_MS + HOUR + 600_000)
        result = one.execute_complete({}, event=deferred.trigger.moment)

        assert (result["count"], result["unsettled"]) == (1, 0)

    def test_leaves_neither_key_nor_call_in_the_database(self, serve, at):
        serve([make_call("running", lasts=None)])
        at(TO_MS + HOUR)

        deferred = deferral_of(operator(deferrable=True, on_unsettled="wait"))

        assert set(deferred.trigger.serialize()[1]) == {"moment", "end_from_trigger"}
        assert deferred.kwargs == {"since_ms": TO_MS + HOUR}


class TestUnsettled:
    RUNNING = make_call("running", lasts=None)

    def test_calls_are_included_by_default(self, serve):
        serve([self.RUNNING])

        assert operator().execute({})["unsettled"] == 1

    def test_calls_fail_the_task_where_final_ones_are_due(self, serve, tmp_path):
        serve([self.RUNNING, make_call("done", 1)])

        with pytest.raises(SynthflowIncompleteError, match=r"1 of 2 calls .*Raise settle") as caught:
            operator(on_unsettled="fail", output_path=str(tmp_path / "out")).execute({})

        assert (caught.value.expected, caught.value.received) == (2, 1)
        assert not tree_of(tmp_path)

    @pytest.mark.parametrize(
        ("after_settle", "patience", "again"),
        [
            (0, 6 * 3600, 600_000),
            (5 * HOUR, dt.timedelta(hours=6), 5 * HOUR + 600_000),
            (6 * HOUR - 1, 6 * 3600, 6 * HOUR),
            (6 * HOUR, 6 * 3600, None),
            (HOUR, 0, None),
        ],
        ids=["at once", "later", "just before the end", "at the end", "no patience"],
    )
    def test_calls_are_waited_for_as_long_as_patience_lasts(self, serve, at, tmp_path, after_settle, patience, again):  # noqa: PLR0917 - fixtures are parameters
        serve([self.RUNNING])
        at(TO_MS + HOUR + after_settle)
        one = operator(on_unsettled="wait", max_unsettled_wait=patience, output_path=str(tmp_path / "out"))

        if again is None:
            assert one.execute({})["unsettled"] == 1
        else:
            with pytest.raises(AirflowRescheduleException) as caught:
                one.execute({})
            assert caught.value.reschedule_date.timestamp() * 1000 == TO_MS + HOUR + again
            assert not tree_of(tmp_path)

    def test_calls_that_became_final_are_not_waited_for(self, serve, at):
        handle = serve([self.RUNNING])
        at(TO_MS + HOUR)
        one = operator(on_unsettled="wait")
        with pytest.raises(AirflowRescheduleException):
            one.execute({})
        handle.api.finish("running")

        result = one.execute({})

        assert (result["count"], result["unsettled"]) == (1, 0)


class TestUnplaced:
    NOWHERE = make_call("nowhere", start_time=None)

    def test_calls_fail_the_task_by_their_ids(self, serve, tmp_path):
        serve([self.NOWHERE, make_call("a")])

        with pytest.raises(SynthflowProtocolError, match=r"nowhere.*on_unplaced='include'") as caught:
            operator(output_path=str(tmp_path / "out")).execute({})

        assert caught.value.call_ids == ("nowhere",)
        assert not tree_of(tmp_path)

    def test_an_id_that_may_be_a_text_is_not_shown(self, serve):
        serve([make_call("+49 157 0000, Ann Example", start_time=None)])

        with pytest.raises(SynthflowProtocolError, match="an id not shown") as caught:
            operator().execute({})

        assert "Ann" not in str(caught.value)
        assert caught.value.call_ids == ()

    def test_calls_are_included_and_marked_where_that_is_wanted(self, serve):
        serve([self.NOWHERE, make_call("a")])

        result = operator(on_unplaced="include").execute({})

        assert (ids(result["calls"]), result["count"], result["unplaced"]) == (["a", "nowhere"], 2, 1)


class TestPrivacy:
    @pytest.mark.parametrize("names", [["transcript", "phone_number_to"], "transcript, phone_number_to"])
    def test_drops_fields_before_anything_is_stored(self, serve, tmp_path, names):
        serve([make_call("a")])

        (in_xcom,) = operator(drop_fields=names).execute({})["calls"]
        (in_file,) = read_file(operator(drop_fields=names, output_path=str(tmp_path)).execute({})["path"])

        assert in_xcom == in_file
        assert not {"transcript", "phone_number_to"} & in_file.keys()
        assert in_file["phone_number_from"] == "+15550100001"

    def test_hashes_fields_with_the_connection_s_key(self, serve):
        serve([make_call("a")], fields={"extra": {"hash_key": "pepper-0123"}})

        (call,) = operator(hash_fields=["phone_number_from", "lead_name"]).execute({})["calls"]

        assert call["phone_number_from"] == hmac.new(b"pepper-0123", b"+15550100001", "sha256").hexdigest()
        assert "lead_name" not in call


class TestRepetition:
    @pytest.mark.parametrize("output_format", ["jsonl", "jsonl.gz"])
    def test_gives_the_same_bytes_and_leaves_the_file_alone(self, serve, tmp_path, output_format):
        calls = many_calls(150)
        handle = serve(calls)
        one = operator(output_path=str(tmp_path), output_format=output_format)
        first = one.execute({})
        before, stat = tree_of(tmp_path), Path(first["path"]).stat()
        handle.api.behaviour = Behaviour(order="oldest", max_rows=33)

        second = one.execute({})

        assert (first["changed"], second["changed"]) == (True, False)
        assert tree_of(tmp_path) == before
        assert Path(first["path"]).stat().st_mtime_ns == stat.st_mtime_ns
        assert second["sha256"] == first["sha256"]

    def test_replaces_the_file_where_a_call_changed(self, serve, tmp_path):
        handle = serve([make_call("a"), make_call("b", 1)])
        one = operator(output_path=str(tmp_path))
        first = one.execute({})
        handle.api.update("a", transcript="longer now")

        second = one.execute({})

        assert second["changed"]
        assert second["path"] == first["path"]
        assert next(call["transcript"] for call in read_file(second["path"])) == "longer now"
        assert json.loads((Path(second["path"]).parent / "_manifest.json").read_bytes()) == second

    def test_with_another_filter_leaves_the_file_and_asks_for_nothing(self, serve, tmp_path):
        handle = serve([make_call("a")])
        operator(output_path=str(tmp_path)).execute({})
        before, asked = tree_of(tmp_path), len(handle.api.requests)

        with pytest.raises(SynthflowOutputConflictError, match=r"another call_status.*output_path of its own"):
            operator(output_path=str(tmp_path), call_status="completed").execute({})

        assert tree_of(tmp_path) == before
        assert len(handle.api.requests) == asked


class TestTrouble:
    def test_that_passes_is_waited_out(self, serve):
        serve([make_call("a")], faults=[Fault(status=503, at=(1,), headers={"Retry-After": "0"})])

        result = operator().execute({})

        assert (result["count"], result["requests"]) == (1, 2)

    def test_that_stays_leaves_nothing_and_may_be_retried(self, serve, tmp_path):
        serve([make_call("a")], faults=[Fault(status=503)], fields={"extra": {"max_attempts": 1}})

        with pytest.raises(SynthflowTransientError) as caught:
            operator(output_path=str(tmp_path / "out")).execute({})

        assert not isinstance(caught.value, AirflowFailException)
        assert not tree_of(tmp_path)

    def test_on_a_later_page_leaves_the_earlier_file(self, serve, tmp_path):
        handle = serve(many_calls(250), fields={"extra": {"max_attempts": 1}})
        one = operator(output_path=str(tmp_path))
        one.execute({})
        before = tree_of(tmp_path)
        handle.api.add(make_call("new"))
        handle.api.arm(Fault(status=503, offset_at_least=150))

        with pytest.raises(SynthflowTransientError):
            one.execute({})

        assert tree_of(tmp_path) == before

    def test_ends_when_the_task_is_killed(self, serve, tmp_path):
        faults = [Fault(status=503, headers={"Retry-After": "20"})]
        handle = serve([make_call("a")], faults=faults, fields={"extra": {"max_attempts": 2}})
        one = operator(output_path=str(tmp_path / "out"))

        def kill():
            while not handle.api.requests:
                time.sleep(0.01)
            time.sleep(0.2)
            one.on_kill()

        killer = threading.Thread(target=kill)
        killer.start()
        begun = time.monotonic()
        with pytest.raises(SynthflowTransientError):
            one.execute({})
        killer.join()

        assert time.monotonic() - begun < 10
        assert not tree_of(tmp_path)


FAILS = [
    # id, connection, arguments, server, error, text
    ("no connection", None, {"synthflow_conn_id": "nowhere"}, {}, SynthflowConfigError, "airflow connections add"),
    ("no key", {"password": ""}, {}, {}, SynthflowConfigError, "password field"),
    ("wrong key", {"password": "wrong-key-987654"}, {}, {}, SynthflowAuthError, "region"),
    (
        "wrong region",
        {},
        {},
        {"behaviour": Behaviour(wrong_region=True)},
        SynthflowAuthError,
        "belongs to another region",
    ),
    (
        "not entitled",
        {},
        {},
        {"behaviour": Behaviour(require_key=frozenset(), key_not_entitled=frozenset({"test-key-0123456789"}))},
        SynthflowAuthError,
        "not entitled",
    ),
    ("plain http", {"host": "http://api.example.test"}, {}, {}, SynthflowConfigError, "Use https"),
    ("unknown region", {"host": "", "extra": {"region": "mars"}}, {}, {}, SynthflowConfigError, "global, us, eu"),
    (
        "unknown agent, 400",
        {},
        {"model_id": "nobody"},
        {"behaviour": Behaviour(unknown_model="400")},
        SynthflowRequestError,
        "It names model_id.*Correct the parameters",
    ),
    (
        "unknown agent, 404",
        {},
        {"model_id": "nobody"},
        {"behaviour": Behaviour(unknown_model="404")},
        SynthflowRequestError,
        "It names model_id.*Correct the parameters",
    ),
    ("no agent", {}, {"model_id": " "}, {}, SynthflowConfigError, "model_id is missing"),
    ("no agents", {}, {"model_id": []}, {}, SynthflowConfigError, "a list of ids that is not empty"),
    ("an agent that is a number", {}, {"model_id": 5.5}, {}, SynthflowConfigError, "model_id is missing"),
    ("agents that are no ids", {}, {"model_id": [AGENT, None]}, {}, SynthflowConfigError, "model_id is missing"),
    ("no to_date", {}, {"to_date": None}, {}, SynthflowWindowError, "Give both"),
    ("no from_date", {}, {"from_date": ""}, {}, SynthflowWindowError, "Give both"),
    ("no window", {}, {"from_date": None, "to_date": None}, {}, SynthflowWindowError, "Give from_date and to_date"),
    ("reversed", {}, {"from_date": TO, "to_date": FROM}, {}, SynthflowWindowError, "is not before"),
    ("empty", {}, {"to_date": FROM}, {}, SynthflowWindowError, "is not before"),
    (
        "naive",
        {},
        {"from_date": dt.datetime(2024, 3, 1)},  # noqa: DTZ001 - a naive one is the point
        {},
        SynthflowWindowError,
        "no time zone.*Give an aware",
    ),
    ("naive text", {}, {"to_date": "2024-03-02T00:00:00"}, {}, SynthflowWindowError, "no time zone.*Give an aware"),
    ("no time", {}, {"to_date": "tomorrow"}, {}, SynthflowWindowError, "ISO 8601"),
    ("a file in the way", {}, {"output_path": "{tmp}/file/out"}, {}, SynthflowConfigError, "Use a directory"),
    ("a file for the path", {}, {"output_path": "{tmp}/file"}, {}, SynthflowConfigError, "Use a directory"),
    ("a remote file", {}, {"output_path": "file://host/out"}, {}, SynthflowConfigError, "three slashes"),
    ("an unknown store", {}, {"output_path": "gopher://x/out"}, {}, SynthflowConfigError, "gopher://"),
    (
        "a connection for a disk",
        {},
        {"output_path": "{tmp}/out", "output_conn_id": "s3"},
        {},
        SynthflowConfigError,
        "leave out",
    ),
    ("a name too long", {}, {"model_id": "x" * 300}, {}, SynthflowConfigError, "Use a directory"),
    ("unknown format", {}, {"output_format": "xml"}, {}, SynthflowConfigError, "Use one of jsonl"),
    (
        "too large for XCom",
        {},
        {"max_xcom_bytes": 10, "output_path": None},
        {},
        SynthflowConfigError,
        "Set output_path",
    ),
    ("max_xcom_bytes", {}, {"max_xcom_bytes": 0}, {}, SynthflowConfigError, "whole number from 1"),
    ("on_unsettled", {}, {"on_unsettled": "x"}, {}, SynthflowConfigError, "Use one of include, wait, fail"),
    ("on_unplaced", {}, {"on_unplaced": "x"}, {}, SynthflowConfigError, "Use one of fail, include"),
    ("on_empty", {}, {"on_empty": "x"}, {}, SynthflowConfigError, "Use one of write, skip, fail"),
    ("concurrency", {}, {"concurrency": 0}, {}, SynthflowConfigError, "concurrency must be a whole number from 1"),
    ("max_walks", {}, {"max_walks": True}, {}, SynthflowConfigError, "max_walks must be a whole number from 1"),
    ("settle below zero", {}, {"settle": -1}, {}, SynthflowConfigError, "settle must be"),
    ("settle in words", {}, {"settle": "1h"}, {}, SynthflowConfigError, "settle must be"),
    ("settle without end", {}, {"settle": float("inf")}, {}, SynthflowConfigError, "settle must be"),
    ("patience in words", {}, {"max_unsettled_wait": "1h"}, {}, SynthflowConfigError, "max_unsettled_wait must be"),
    (
        "a status that is a list",
        {},
        {"call_status": ["a", "b"]},
        {},
        SynthflowConfigError,
        "call_status must be a string",
    ),
    ("a duration in words", {}, {"duration_min": "long"}, {}, SynthflowConfigError, "whole number of seconds"),
    ("no hash key", {}, {"hash_fields": ["lead_name"]}, {}, SynthflowConfigError, "hash_key in the connection"),
    ("field names of no kind", {}, {"drop_fields": [1]}, {}, SynthflowConfigError, "list of field names"),
]


@pytest.mark.parametrize(
    ("connection", "arguments", "server", "error", "text"),
    [pytest.param(*row[1:], id=row[0]) for row in FAILS],
)
def test_bad_input_is_a_typed_error_that_says_the_cure_and_nothing_is_written(  # noqa: PLR0917 - fixtures are parameters
    serve, tmp_path, connection, arguments, server, error, text
):
    (tmp_path / "file").write_text("here before")
    before = tree_of(tmp_path)
    serve([make_call("a")], fields=connection or {}, **server)
    arguments = {"output_path": "{tmp}/out", **arguments}
    for name, value in arguments.items():
        if isinstance(value, str):
            arguments[name] = value.replace("{tmp}", str(tmp_path))

    with pytest.raises(error, match=f"(?s){text}") as caught:
        operator(**arguments).execute({})

    assert isinstance(caught.value, AirflowFailException)
    assert "test-key-0123456789" not in str(caught.value)
    assert "wrong-key-987654" not in str(caught.value)
    assert tree_of(tmp_path) == before


class TestTemplatesOfNothing:
    @pytest.mark.parametrize("nothing", [None, "", " ", "None"])
    def test_in_a_filter_are_as_if_it_were_not_there(self, serve, tmp_path, monkeypatch, nothing):
        handle = serve(many_calls(2))
        monkeypatch.chdir(tmp_path)

        result = operator(
            call_status=nothing, duration_min=nothing, duration_max=nothing, lead_phone_number=nothing
        ).execute({})

        assert (result["count"], result["query"]) == (2, {})
        assert handle.api.requests[0].query.keys() == {"model_id", "limit", "offset", "from_date", "to_date"}
        assert tree_of(tmp_path) == {}


class TestWhatReviewFound:
    def test_a_path_may_be_a_path_object(self, serve, tmp_path):
        serve(many_calls(1))

        assert Path(operator(output_path=tmp_path).execute({})["path"]).is_file()

    def test_an_unknown_format_is_an_error_without_a_path_too(self, serve):
        serve(many_calls(1))

        with pytest.raises(SynthflowConfigError, match="csv"):
            operator(output_format="csv").execute({})

    def test_results_of_several_agents_share_the_limit_of_one_xcom(self, serve):
        names = ["agent-1", "agent-2", "agent-3"]
        serve([make_call(f"{name}-{n}", n, agent=name, transcript="x" * 400) for name in names for n in range(3)])

        assert operator(model_id=names[0], max_xcom_bytes=4_000).execute({})["count"] == 3
        with pytest.raises(SynthflowConfigError, match="max_xcom_bytes"):
            operator(model_id=names, max_xcom_bytes=4_000).execute({})

    def test_drop_fields_that_are_no_list_are_a_typed_error(self, serve):
        serve(many_calls(1))

        with pytest.raises(SynthflowConfigError, match="drop_fields"):
            operator(drop_fields=5).execute({})

    def test_a_window_beyond_the_calendar_is_a_typed_error(self, serve):
        serve(many_calls(1))

        with pytest.raises(SynthflowWindowError, match="9000"):
            operator(to_date="9999-12-31T23:59:59Z").execute({})

    def test_a_kill_ends_the_requests_and_nothing_is_published(self, serve, tmp_path):
        handle = serve(many_calls(1_000), behaviour=Behaviour(latency_s=0.2, max_rows=10))
        one = operator(output_path=str(tmp_path / "out"), concurrency=2)
        killer = threading.Timer(0.7, one.on_kill)
        killer.start()

        with pytest.raises(SynthflowTransientError):
            one.execute({})

        sent = len(handle.api.requests)
        time.sleep(0.5)
        assert len(handle.api.requests) == sent < 20
        assert tree_of(tmp_path) == {}
