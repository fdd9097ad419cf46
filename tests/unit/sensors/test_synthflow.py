# SPDX-License-Identifier: Apache-2.0
"""The sensor waits for calls, whatever passes, and fails at once for what does not."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    PokeReturnValue,
    TaskDeferred,
)

from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowWindowError,
)
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from tests.synthflow_server import Behaviour, Fault
from tests.unit.making import AGENT, DAY, FROM, FROM_MS, TO, make_call, many_calls
from tests.versions import needs_airflow


def sensor(**arguments: Any) -> SynthflowNewCallsSensor:
    return SynthflowNewCallsSensor(**{"task_id": "new", "model_id": AGENT, "from_date": FROM, **arguments})


needs_no_database = needs_airflow("3.0", "sensors that look for no reschedules in the database")


@pytest.fixture
def serve(synthflow, connect):
    """Start a test server that the default connection leads to; a request is sent only once."""

    def start(calls=(), *, fields=None, **options):
        handle = synthflow(calls, **options)
        connect(**{"host": handle.url, "extra": {"max_attempts": 1}, **(fields or {})})
        return handle

    return start


class TestPoke:
    def test_hands_on_counts_and_instants_and_no_call(self, serve):
        serve([make_call("a"), make_call("b", 5)])

        found = sensor().poke({})

        assert isinstance(found, PokeReturnValue)
        assert found.is_done
        assert found.xcom_value == {
            "model_id": AGENT,
            "from_date": FROM,
            "count": 2,
            "newest_start_time": "2024-03-01T00:00:00.005Z",
        }

    def test_goes_on_waiting_while_there_are_too_few(self, serve):
        handle = serve(many_calls(2))
        one = sensor(min_calls=3)

        assert one.poke({}) is False
        handle.api.add(make_call("third", 2 * DAY))
        assert one.poke({}).xcom_value["count"] == 3

    def test_in_vain_is_one_small_request(self, serve):
        handle = serve()

        sensor(min_calls=2).poke({})

        (received,) = handle.api.requests
        assert received.query == {
            "model_id": AGENT, "limit": "2", "offset": "0", "from_date": str(FROM_MS - 1000),
        }  # fmt: skip

    @pytest.mark.parametrize(("to_date", "count"), [(TO, 2), (None, 3), (FROM_MS + 6, 2)])
    def test_counts_up_to_to_date_or_now(self, serve, to_date, count):
        calls = [make_call("before", -1), make_call("a"), make_call("b", 5), make_call("c", DAY)]
        serve(calls)

        assert sensor(to_date=to_date).poke({}).xcom_value["count"] == count

    def test_counts_no_call_of_the_future(self, serve):
        ahead = time.time_ns() // 1_000_000 - FROM_MS + DAY
        serve([make_call("planned", ahead)])

        assert sensor().poke({}) is False

    @pytest.mark.parametrize("behaviour", [Behaviour(ignore_status=True), Behaviour(ignore_agent=True)])
    def test_counts_no_call_of_another_agent_or_status_where_the_api_lists_them(self, serve, behaviour):
        others = many_calls(150, agent="agent-2" if behaviour.ignore_agent else AGENT, call_status="busy")
        serve([*others, make_call("a", 9, call_status="failed")], behaviour=behaviour)

        assert sensor(call_status="failed", to_date=TO).execute({})["count"] == 1
        assert not sensor(call_status="failed", to_date=TO, min_calls=2).poke({})

    def test_of_a_start_that_lies_ahead_asks_for_nothing(self, serve):
        handle = serve()

        assert sensor(from_date=dt.datetime.now(dt.timezone.utc) + dt.timedelta(hours=1)).poke({}) is False
        assert handle.api.requests == []

    def test_begins_with_the_run_s_window(self, serve):
        serve([make_call("a"), make_call("b", 5 * 3_600_000)])
        start = pendulum.datetime(2024, 3, 1, 3)
        context = {"data_interval_start": start, "data_interval_end": start.add(hours=1)}

        found = sensor(from_date=None).poke(context)

        assert found.xcom_value == {
            "model_id": AGENT,
            "from_date": "2024-03-01T03:00:00.000Z",
            "count": 1,
            "newest_start_time": "2024-03-01T05:00:00.000Z",
        }

    def test_sends_the_filters(self, serve):
        handle = serve([make_call("a"), make_call("b", 1, call_status="busy")])
        filters = {"call_status": "busy", "duration_min": 1, "duration_max": 99, "lead_phone_number": "+15550100001"}

        found = sensor(**filters).poke({})

        assert found.xcom_value["count"] == 1
        query = handle.api.requests[0].query
        assert {name: query[name] for name in filters} == {name: str(value) for name, value in filters.items()}


class TestTemplates:
    def test_are_the_parameters_that_the_contract_names(self):
        assert set(SynthflowNewCallsSensor.template_fields) >= {
            "model_id", "from_date", "to_date", "call_status", "duration_min", "duration_max", "lead_phone_number",
        }  # fmt: skip

    def test_are_rendered(self, serve):
        serve([make_call("a")])
        one = sensor(
            model_id="{{ agent }}", from_date="{{ start }}", call_status="{{ nothing }}", duration_min="{{ 1 }}"
        )
        context = {"agent": AGENT, "start": pendulum.datetime(2024, 3, 1), "nothing": ""}

        one.render_template_fields(context)

        assert one.poke(context).xcom_value["count"] == 1


class TestModes:
    def run(self, one: SynthflowNewCallsSensor) -> Any:
        instance = SimpleNamespace(
            start_date=pendulum.now("UTC"), try_number=1, max_tries=0, get_first_reschedule_date=lambda _: None, id="1"
        )
        return one.execute({"ti": instance, "task_reschedule_count": 0})

    @needs_no_database
    @pytest.mark.parametrize("arguments", [{"mode": "poke"}, {"mode": "reschedule"}, {"deferrable": True}])
    def test_give_the_same_answer(self, serve, arguments):
        serve(many_calls(3))

        assert self.run(sensor(min_calls=3, **arguments)) == {
            "model_id": AGENT,
            "from_date": FROM,
            "count": 3,
            "newest_start_time": "2024-03-01T00:02:00.000Z",
        }

    @pytest.mark.parametrize(
        "arguments", [{"mode": "reschedule"}, {"deferrable": True}], ids=["reschedule", "deferrable"]
    )
    @needs_no_database
    def test_give_the_worker_back_until_the_next_look(self, serve, arguments):
        serve()

        with pytest.raises((AirflowRescheduleException, TaskDeferred)) as caught:
            self.run(sensor(poke_interval=2, timeout=3, **arguments))

        if isinstance(caught.value, AirflowRescheduleException):
            assert 0 < (caught.value.reschedule_date - pendulum.now("UTC")).total_seconds() <= 2

    @needs_no_database
    def test_are_rescheduling_in_a_run_where_none_is_given(self, serve, mocker):
        serve()
        one = sensor()
        mocker.patch("airflow_provider_synthflow.sensors.synthflow._is_a_run", return_value=True)

        assert (one.mode, sensor(mode="poke").mode) == ("reschedule", "poke")
        with pytest.raises(AirflowRescheduleException):
            self.run(one)

    def test_are_poking_outside_of_a_run_where_none_is_given(self, serve):
        handle = serve(faults=[Fault(status=500, at=(1,))])
        handle.api.add(make_call("a"))

        assert sensor(poke_interval=0.05, timeout=20).execute({})["count"] == 1

    def test_of_poking_look_again_by_themselves(self, serve):
        handle = serve(faults=[Fault(status=500, at=(1,))])
        handle.api.add(make_call("a"))

        found = self.run(sensor(mode="poke", poke_interval=0.05, timeout=20))

        assert found["count"] == 1
        assert [received.status for received in handle.api.requests][:2] == [500, 200]

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_end_at_the_timeout(self, serve, soft_fail):
        serve()
        one = sensor(mode="poke", poke_interval=0.05, timeout=0.1, soft_fail=soft_fail)

        with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout):
            self.run(one)

    def test_tell_alike_at_the_timeout_what_was_waited_for_and_what_to_do(self, serve):
        serve()
        waited = {"min_calls": 2, "call_status": "busy", "lead_phone_number": "+15550100001", "poke_interval": 0.05}
        with pytest.raises(AirflowSensorTimeout) as poked:
            sensor(mode="poke", timeout=0.1, **waited).execute({})
        with pytest.raises(AirflowSensorTimeout) as deferred:
            sensor(deferrable=True, timeout=0.1, **waited).execute_complete({}, {"status": "timeout"})

        assert str(poked.value) == str(deferred.value)
        first, last = str(poked.value).splitlines()
        assert f"without 2 calls of agent {AGENT}, call_status=busy, lead_phone_number=***" in first
        assert last.startswith("Check model_id, the filters and from_date")
        assert len(last) < 120

    def test_follow_airflow_s_default_for_deferring(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        assert sensor().deferrable is True
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "False")
        assert sensor().deferrable is False
        assert sensor(deferrable=True).deferrable is True


class TestDeferral:
    """What is run is what Airflow runs: `execute`, the trigger's events, `resume_execution`."""

    def defer(self, **arguments: Any) -> tuple[SynthflowNewCallsSensor, TaskDeferred]:
        one = sensor(deferrable=True, **arguments)
        with pytest.raises(TaskDeferred) as caught:
            TestModes().run(one)
        return one, caught.value

    def resume(self, one: SynthflowNewCallsSensor, deferred: TaskDeferred, event: Any) -> Any:
        return one.resume_execution(deferred.method_name, {**(deferred.kwargs or {}), "event": event}, {})

    def event_of(self, trigger: Any) -> Any:
        async def first() -> Any:
            try:
                async for event in trigger.run():
                    return event.payload
            finally:
                await trigger.cleanup()

        return asyncio.run(asyncio.wait_for(first(), 20))

    def test_ends_with_what_a_poke_gives(self, serve):
        handle = serve()
        one, deferred = self.defer(min_calls=2, poke_interval=1)
        handle.api.add(*many_calls(2))

        result = self.resume(one, deferred, self.event_of(deferred.trigger))

        assert result == sensor(min_calls=2).poke({}).xcom_value

    def test_looks_once_before_it_so_that_a_short_wait_needs_none(self, serve):
        handle = serve(many_calls(1))

        assert TestModes().run(sensor(deferrable=True))["count"] == 1
        assert len(handle.api.requests) == 1

    def test_hands_on_everything_that_a_poke_would_use(self, serve):
        serve(fields={"conn_id": "mine"})
        filters = {"call_status": "busy", "duration_min": 1, "duration_max": 9, "lead_phone_number": "+15550100001"}
        before = dt.datetime.now(dt.timezone.utc)
        _, deferred = self.defer(
            to_date=TO, min_calls=3, poke_interval=7, timeout=100, exponential_backoff=True,
            max_wait=dt.timedelta(seconds=50), synthflow_conn_id="mine", **filters,
        )  # fmt: skip
        kwargs = deferred.trigger.serialize()[1]

        deadline = dt.datetime.fromisoformat(kwargs.pop("deadline"))
        assert 99.9 < (deadline - before).total_seconds() < 110  # in whole milliseconds
        assert kwargs == {
            "model_id": AGENT, "from_date": FROM, "to_date": "2024-03-02T00:00:00.000Z", "min_calls": 3,
            "poll_interval": 7, "exponential_backoff": True, "max_wait": 50, "synthflow_conn_id": "mine", **filters,
        }  # fmt: skip
        assert deferred.timeout.total_seconds() > 100
        assert deferred.method_name == "execute_complete"

    def test_counts_from_the_run_s_window_on_whenever_it_resumes(self, serve):
        serve()
        start = pendulum.datetime(2024, 3, 1, 3)
        one = sensor(from_date=None, deferrable=True)

        with pytest.raises(TaskDeferred) as caught:
            one.execute({"data_interval_start": start, "data_interval_end": start.add(hours=1)})

        assert caught.value.trigger.serialize()[1]["from_date"] == "2024-03-01T03:00:00.000Z"

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_ends_at_the_timeout_like_a_poke(self, serve, soft_fail):
        serve()
        one, deferred = self.defer(timeout=1.2, poke_interval=60, soft_fail=soft_fail)

        with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout, match=r"timed out|soft_fail"):
            self.resume(one, deferred, self.event_of(deferred.trigger))

    @pytest.mark.parametrize("soft_fail", [False, True])
    def test_ends_like_that_too_where_airflow_itself_finds_it_late(self, serve, soft_fail):
        serve()
        one = sensor(deferrable=True, soft_fail=soft_fail)

        with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout):
            one.resume_execution("__fail__", {"error": "Trigger timeout"}, {})

    @pytest.mark.parametrize(("soft_fail", "error"), [(False, SynthflowAuthError), (True, AirflowSkipException)])
    def test_ends_at_once_where_the_key_becomes_wrong(self, serve, connect, soft_fail, error):
        handle = serve()
        one, deferred = self.defer(poke_interval=1, soft_fail=soft_fail)
        connect(handle.url, password="wrong-key-987654")

        with pytest.raises(error, match=r"API key is wrong|soft_fail"):
            self.resume(one, deferred, self.event_of(deferred.trigger))

    def test_of_a_sensor_that_never_fails_skips_it(self, serve):
        serve(fields={"password": "wrong-key-987654"})

        with pytest.raises(AirflowSkipException, match="never_fail"):
            TestModes().run(sensor(deferrable=True, never_fail=True))

    @pytest.mark.parametrize(
        "event",
        [
            None,
            "success",
            {},
            {"status": "success"},
            {"status": "success", "model_id": AGENT, "from_date": FROM, "count": "3", "newest_start_time": None},
            {"status": "success", "model_id": AGENT, "from_date": FROM, "count": True, "newest_start_time": None},
            {"status": "error", "error": "SystemExit", "message": "x"},
            {"status": "error", "error": "TYPE_CHECKING", "message": "x"},
            {"status": "error", "error": "SynthflowAuthError"},
            {"status": "soon"},
        ],
        ids=str,
    )
    def test_ends_in_a_typed_error_where_the_event_is_not_the_trigger_s(self, event):
        with pytest.raises(SynthflowProtocolError, match="does not come from SynthflowNewCallsTrigger"):
            sensor(deferrable=True).execute_complete({}, event=event)

    def test_takes_an_event_of_another_version_that_tells_more(self):
        event = {
            "status": "success", "model_id": AGENT, "from_date": FROM, "count": 3, "newest_start_time": None, "more": 1,
        }  # fmt: skip

        assert sensor().execute_complete({}, event=event, other=2) == {
            "model_id": AGENT, "from_date": FROM, "count": 3, "newest_start_time": None,
        }  # fmt: skip


class TestTrouble:
    @pytest.mark.parametrize(
        "fault",
        [
            Fault(status=429),
            Fault(status=500),
            Fault(status=503, headers={"Retry-After": "1"}),
            Fault(kind="reset"),
            Fault(kind="html"),
            Fault(kind="not_json"),
            Fault(kind="no_calls"),
            Fault(kind="truncated_body"),
        ],
        ids=lambda fault: fault.kind if fault.kind != "status" else str(fault.status),
    )
    def test_that_passes_never_fails_the_sensor(self, serve, fault):
        handle = serve([make_call("a")], faults=[fault])
        one = sensor()

        assert one.poke({}) is False
        assert one.poke({}) is False
        handle.api.disarm()
        assert one.poke({}).is_done

    def test_of_a_network_that_is_down_never_fails_the_sensor(self, serve):
        handle = serve([make_call("a")])
        handle.pause()
        one = sensor()

        assert one.poke({}) is False
        handle.resume()
        assert one.poke({}).is_done

    @pytest.mark.parametrize(("soft_fail", "error"), [(False, SynthflowAuthError), (True, AirflowSkipException)])
    def test_with_the_key_ends_the_sensor_at_once(self, serve, soft_fail, error):
        handle = serve(fields={"password": "wrong-key-987654"})
        one = sensor(mode="poke", poke_interval=60, timeout=600, soft_fail=soft_fail)

        with pytest.raises(error):
            TestModes().run(one)

        assert len(handle.api.requests) == 1

    @pytest.mark.parametrize(
        ("arguments", "options", "error", "text"),
        [
            ({"synthflow_conn_id": "nowhere"}, {}, SynthflowConfigError, "airflow connections add"),
            ({"model_id": ""}, {}, SynthflowConfigError, "model_id is missing"),
            (
                {"model_id": "x"},
                {"behaviour": Behaviour(unknown_model="404")},
                SynthflowRequestError,
                "It names model_id",
            ),
            ({"min_calls": 0}, {}, SynthflowConfigError, "min_calls must be a whole number from 1"),
            ({"min_calls": "3"}, {}, SynthflowConfigError, "min_calls must be a whole number from 1"),
            ({"duration_min": "x"}, {}, SynthflowConfigError, "duration_min"),
            ({"from_date": "2024-03-01T00:00:00"}, {}, SynthflowWindowError, "no time zone"),
            ({"to_date": dt.datetime(2024, 3, 2)}, {}, SynthflowWindowError, "no time zone"),  # noqa: DTZ001
            ({"to_date": FROM}, {}, SynthflowWindowError, "not before to_date"),
            ({"from_date": None}, {}, SynthflowWindowError, "Give from_date"),
        ],
        ids=lambda value: "" if not isinstance(value, dict) else ",".join(value),
    )
    def test_that_stays_fails_at_once_with_the_cure(self, serve, arguments, options, error, text):
        serve(**options)

        with pytest.raises(error, match=text) as caught:
            sensor(**arguments).poke({})

        assert isinstance(caught.value, AirflowFailException)


class TestBurden:
    @pytest.mark.parametrize("record", [{"start_time": None, "call_status": "queue"}, {}], ids=["queued", "later"])
    def test_of_a_poke_is_bounded_however_many_calls_do_not_count(self, serve, record):
        handle = serve([make_call(f"other-{number:04}", DAY + number, **record) for number in range(1_500)])

        assert sensor(to_date=TO).poke({}) is False
        assert len(handle.api.requests) <= 10

    def test_of_a_poke_is_one_small_request_while_nothing_has_come(self, serve):
        handle = serve([])

        assert sensor().poke({}) is False
        assert [each.query["limit"] for each in handle.api.requests] == ["1"]

    def test_of_a_poke_that_fails_is_one_try_whatever_the_connection_says(self, serve):
        handle = serve(many_calls(3), fields={"extra": {"max_attempts": 6}}, faults=[Fault(kind="status", status=503)])

        assert sensor().poke({}) is False
        assert len(handle.api.requests) == 1

    def test_of_a_poke_that_succeeds_is_two_requests_for_a_long_list(self, serve):
        handle = serve(many_calls(900))

        found = sensor().poke({})

        assert found.xcom_value["count"] == 900
        assert len(handle.api.requests) == 2


def test_a_template_that_rendered_none_is_no_filter(serve):
    handle = serve(many_calls(1))

    sensor(call_status="None", duration_min="", lead_phone_number="None").poke({})

    assert not {"call_status", "duration_min", "lead_phone_number"} & handle.api.requests[0].query.keys()
