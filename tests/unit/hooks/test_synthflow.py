# SPDX-License-Identifier: Apache-2.0
"""The hook makes each request of the contract over HTTP, with the connection's key and for nobody else's eyes."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import inspect
import io
import itertools
import json
import logging
import os
import threading
from typing import Any

import pendulum
import pytest
import requests
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.response import CallsPage
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
    SynthflowWindowError,
)
from airflow_provider_synthflow.hooks import connection, session
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from airflow_provider_synthflow.window import Window
from tests.synthflow_server import TEST_KEY, Behaviour, Fault, audio, serve_recordings
from tests.unit.making import AGENT, DAY, FROM, FROM_MS, TO, TO_MS, make_call, many_calls

FILTERS = {"call_status": "completed", "duration_min": 1, "duration_max": 100, "lead_phone_number": "+15550100001"}
BOUNDS = [
    pytest.param(FROM_MS, TO_MS, id="epoch"),
    pytest.param(FROM, "2024-03-02T01:00:00+01:00", id="iso"),
    pytest.param(
        dt.datetime(2024, 3, 1, tzinfo=dt.timezone.utc),
        dt.datetime(2024, 3, 2, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        id="datetime",
    ),
    pytest.param(
        pendulum.datetime(2024, 3, 1), pendulum.datetime(2024, 3, 1, 19, tz="America/New_York"), id="pendulum"
    ),
]
NAIVE = [dt.datetime(2024, 3, 1), "2024-03-01T00:00:00", "2024-03-01", "yesterday", 1.5, True]  # noqa: DTZ001


@pytest.fixture
def serve(synthflow, connect):
    """Start a test server, and return it with a hook whose connection leads there."""
    hooks = []

    def start(calls=(), *, fields=None, **options):
        handle = synthflow(calls, **options)
        connect(**{"host": handle.url, **(fields or {})})
        hooks.append(SynthflowHook())
        return handle, hooks[-1]

    yield start
    for hook in hooks:
        hook.close()


def ids(calls: Any) -> list[str]:
    return [call["call_id"] for call in calls]


class TestSignatures:
    def test_are_the_contract_s(self):
        def names(method):
            return [
                name if parameter.default is parameter.empty else (name, parameter.default)
                for name, parameter in inspect.signature(getattr(SynthflowHook, method)).parameters.items()
                if name != "self"
            ]

        filters = [(name, None) for name in FILTERS]
        bounds = [("from_date", None), ("to_date", None)]
        paging = [("limit", 100), ("offset", 0), ("concurrency", 1)]
        mismatch = ("on_mismatch", "fail")

        assert names("__init__") == [("synthflow_conn_id", "synthflow_default")]
        assert names("list_calls") == ["model_id", *bounds, *filters, *paging, mismatch]
        assert names("list_calls_page") == ["model_id", *bounds, *filters, ("limit", 20), ("offset", 0), mismatch]
        assert names("count_calls") == ["model_id", *bounds, *filters, mismatch]
        assert names("get_call") == names("get_recording_url") == ["call_id"]
        assert names("download_recording") == ["call_id", "file"]
        assert names("list_assistants") == []
        window = names("list_calls_window")
        assert window[:2] == ["model_id", "window"]
        assert {name if isinstance(name, str) else name[0] for name in window[2:]} >= {
            "settle",
            "concurrency",
            *FILTERS,
        }


class TestListCalls:
    def test_yields_every_call_once_as_the_api_sends_it(self, serve):
        handle, hook = serve(many_calls(230, judge_results={"ü": ["x", None]}, duration="25"))

        calls = list(hook.list_calls(AGENT))

        assert sorted(ids(calls)) == [f"call-{number:04}" for number in range(230)]
        assert {call["call_id"]: call for call in calls} == {
            call.call_id: call.record for call in handle.api.all_calls()
        }

    @pytest.mark.parametrize("concurrency", [1, 4])
    def test_is_complete_in_threads_too(self, serve, concurrency):
        _, hook = serve(many_calls(330))

        assert len(set(ids(hook.list_calls(AGENT, concurrency=concurrency)))) == 330

    def test_asks_for_nothing_before_and_no_more_than_is_taken(self, serve):
        handle, hook = serve(many_calls(500))

        calls = hook.list_calls(AGENT)
        assert handle.api.requests == []
        taken = list(itertools.islice(calls, 150))

        assert len(taken) == 150
        assert len(handle.api.requests) == 2

    def test_can_begin_further_on_with_smaller_pages(self, serve):
        handle, hook = serve(many_calls(50), behaviour=Behaviour(order="oldest"))

        calls = list(hook.list_calls(AGENT, limit=10, offset=15))

        assert ids(calls) == [f"call-{number:04}" for number in range(15, 50)]
        assert {received.query["limit"] for received in handle.api.requests} == {"10"}

    @pytest.mark.parametrize(("from_date", "to_date"), BOUNDS)
    def test_sends_bounds_and_filters_as_they_are(self, serve, from_date, to_date):
        handle, hook = serve()

        assert list(hook.list_calls(AGENT, from_date=from_date, to_date=to_date, **FILTERS)) == []

        query = handle.api.requests[0].query
        assert (query["from_date"], query["to_date"]) == (str(FROM_MS), str(TO_MS))
        assert {name: query[name] for name in FILTERS} == {name: str(value) for name, value in FILTERS.items()}

    def test_sends_nothing_that_was_not_given(self, serve):
        handle, hook = serve()

        list(hook.list_calls(AGENT))

        assert handle.api.requests[0].query == {"model_id": AGENT, "limit": "100", "offset": "0"}

    def test_ends_in_an_error_where_it_cannot_be_complete(self, serve, monkeypatch):
        _, hook = serve(many_calls(5), behaviour=Behaviour(total="off_by"))
        monkeypatch.setattr("airflow_provider_synthflow.client.client.SynthflowClient.wait", lambda *_: None)
        seen = []

        with pytest.raises(SynthflowIncompleteError):
            seen.extend(hook.list_calls(AGENT))

    @pytest.mark.parametrize("bad", NAIVE)
    @pytest.mark.parametrize("name", ["from_date", "to_date"])
    @pytest.mark.parametrize("method", ["list_calls", "list_calls_page", "count_calls"])
    def test_refuses_a_time_without_a_zone_at_once(self, serve, method, name, bad):
        handle, hook = serve()

        with pytest.raises(ValueError, match=name):
            getattr(hook, method)(AGENT, **{name: bad})

        assert handle.api.requests == []

    @pytest.mark.parametrize(
        "bad", [{"model_id": ""}, {"duration_min": "x"}, {"duration_max": -1}, {"call_status": ["busy"]}]
    )
    def test_refuses_filters_of_the_wrong_kind_at_once(self, serve, bad):
        _, hook = serve()

        with pytest.raises(ValueError, match=next(iter(bad))):
            hook.list_calls(**{"model_id": AGENT, **bad})


class TestListCallsPage:
    def test_returns_one_page_with_the_total(self, serve):
        handle, hook = serve(many_calls(45), behaviour=Behaviour(order="oldest"))

        page = hook.list_calls_page(AGENT, limit=10, offset=5)

        assert isinstance(page, CallsPage)
        assert ids(page.calls) == [f"call-{number:04}" for number in range(5, 15)]
        assert (page.total_records, page.limit, page.offset) == (45, 10, 5)
        assert len(handle.api.requests) == 1

    def test_has_twenty_calls_by_default(self, serve):
        _, hook = serve(many_calls(45))

        assert len(hook.list_calls_page(AGENT).calls) == 20

    def test_tells_no_total_where_there_is_none(self, serve):
        _, hook = serve(many_calls(3), behaviour=Behaviour(pagination="absent"))

        page = hook.list_calls_page(AGENT)

        assert (len(page.calls), page.total_records, page.limit, page.offset) == (3, None, None, None)

    def test_too_large_is_the_api_s_error(self, serve):
        _, hook = serve(many_calls(3))

        with pytest.raises(SynthflowRequestError, match="Limit must be between 1 and 100") as caught:
            hook.list_calls_page(AGENT, limit=101)

        assert (caught.value.status, caught.value.parameters) == (400, ("limit",))
        assert "Limit must be between 1 and 100." in str(caught.value)
        assert caught.value.request_id.startswith("req-")


class TestListCallsWindow:
    CALLS = (
        make_call("before", -1),
        make_call("b", 5),
        make_call("a", 5),
        make_call("last", DAY - 1),
        make_call("x", DAY),
    )

    @pytest.mark.parametrize(
        "window",
        [
            Window(FROM_MS, TO_MS),
            (FROM, TO),
            [FROM_MS, TO_MS],
            {"from_date": FROM, "to_date": TO_MS},
            (pendulum.datetime(2024, 3, 1), dt.datetime(2024, 3, 2, tzinfo=dt.timezone.utc)),
        ],
        ids=["window", "texts", "epoch", "mapping", "datetimes"],
    )
    def test_returns_the_window_s_calls_in_order_with_the_numbers(self, serve, window):
        _, hook = serve(self.CALLS)

        calls = hook.list_calls_window(AGENT, window)

        assert ids(calls) == ["a", "b", "last"]
        assert (calls.extraction.count, calls.extraction.walks) == (3, 1)

    def test_asks_as_the_operator_does(self, serve):
        handle, hook = serve()

        hook.list_calls_window(AGENT, (FROM, TO), settle=dt.timedelta(minutes=5), **FILTERS)

        query = handle.api.requests[0].query
        assert (query["from_date"], query["to_date"]) == (str(FROM_MS - 1000), str(TO_MS + 300_000))
        assert query["call_status"] == "completed"

    def test_follows_on_unplaced(self, serve):
        _, hook = serve([make_call("a"), make_call("nowhere", start_time=None)])

        with pytest.raises(SynthflowProtocolError, match="nowhere"):
            hook.list_calls_window(AGENT, (FROM, TO))
        assert ids(hook.list_calls_window(AGENT, (FROM, TO), on_unplaced="include")) == ["a", "nowhere"]

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"window": (TO, FROM)}, SynthflowWindowError),
            ({"window": (FROM, FROM)}, SynthflowWindowError),
            ({"window": ("2024-03-01T00:00:00", TO)}, ValueError),
            ({"window": FROM}, ValueError),
            ({"settle": -1}, SynthflowConfigError),
            ({"settle": float("nan")}, SynthflowConfigError),
            ({"settle": True}, SynthflowConfigError),
            ({"on_unplaced": "drop"}, SynthflowConfigError),
        ],
    )
    def test_refuses_what_it_cannot_do_before_it_asks(self, serve, arguments, error):
        handle, hook = serve()

        with pytest.raises(error):
            hook.list_calls_window(**{"model_id": AGENT, "window": (FROM, TO), **arguments})

        assert handle.api.requests == []


class TestCountCalls:
    def test_is_one_request_of_one_row_where_the_api_tells_a_total(self, serve):
        handle, hook = serve(many_calls(230))

        assert hook.count_calls(AGENT) == 230
        (received,) = handle.api.requests
        assert received.query == {"model_id": AGENT, "limit": "1", "offset": "0"}

    @pytest.mark.parametrize("behaviour", [Behaviour(pagination="absent"), Behaviour(total="absent")])
    def test_counts_the_calls_where_the_api_does_not(self, serve, behaviour, monkeypatch):
        _, hook = serve(many_calls(230), behaviour=behaviour)
        monkeypatch.setattr("airflow_provider_synthflow.client.client.SynthflowClient.wait", lambda *_: None)

        assert hook.count_calls(AGENT) == 230

    @pytest.mark.parametrize("behaviour", [Behaviour(), Behaviour(pagination="absent")])
    def test_is_of_the_calls_that_match(self, serve, behaviour, monkeypatch):
        _, hook = serve(
            [*many_calls(3), make_call("busy", 9, call_status="busy"), make_call("x", DAY)], behaviour=behaviour
        )
        monkeypatch.setattr("airflow_provider_synthflow.client.client.SynthflowClient.wait", lambda *_: None)

        assert hook.count_calls(AGENT, from_date=FROM, to_date=TO, call_status="busy") == 1
        assert hook.count_calls("nobody") == 0

    @pytest.mark.parametrize("total", ["none", "page"])
    def test_believes_no_total_of_a_page_alone(self, serve, total, monkeypatch):
        _, hook = serve(many_calls(230), behaviour=Behaviour(total=total))
        monkeypatch.setattr("airflow_provider_synthflow.client.client.SynthflowClient.wait", lambda *_: None)

        assert hook.count_calls(AGENT) == 230


class TestGetCall:
    def test_returns_the_call_as_it_is_sent(self, serve):
        _, hook = serve([make_call("a", transcript="words")])

        call = hook.get_call("a")

        assert (call["call_id"], call["transcript"], call["status"]) == ("a", "words", "completed")
        assert "call_status" not in call

    @pytest.mark.parametrize("call_id", ["nobody", "../assistants/", "a/recording", "a?x=1", "Ägent"])
    def test_of_an_unknown_id_is_a_404_and_never_another_address(self, serve, call_id):
        handle, hook = serve([make_call("a")])

        with pytest.raises(SynthflowRequestError) as caught:
            hook.get_call(call_id)

        assert caught.value.status == 404
        assert handle.api.requests[0].path.startswith("/v2/calls/")

    @pytest.mark.parametrize("call_id", ["", None, 5])
    def test_of_no_id_is_an_error_before_anything_is_asked(self, serve, call_id):
        handle, hook = serve([make_call("a")])

        with pytest.raises(ValueError, match="call_id is missing"):
            hook.get_call(call_id)

        assert handle.api.requests == []


class TestListAssistants:
    def test_yields_every_agent_once(self, serve):
        names = [f"agent-{number:03}" for number in range(130)]
        handle, hook = serve(assistants=names)

        found = hook.list_assistants()

        assert handle.api.requests == []
        assert [each["model_id"] for each in found] == names

    def test_of_an_empty_workspace_yields_none(self, serve):
        _, hook = serve(assistants=[])

        assert list(hook.list_assistants()) == []


class TestGetRecordingUrl:
    def test_returns_the_signed_address_and_asks_nothing_of_it(self, serve, synthflow):
        elsewhere = synthflow()
        base = elsewhere.url.removesuffix("/v2")
        handle, hook = serve(
            [make_call("a", recording_url="https://recordings.example.test/a.mp3")],
            behaviour=Behaviour(signed_base=base),
        )

        url = hook.get_recording_url("a")

        assert url.startswith(f"{base}/signed/recordings/a.mp3?")
        assert TEST_KEY not in url
        assert elsewhere.api.requests == []
        assert [received.route for received in handle.api.requests] == ["recording"]
        assert requests.get(url, timeout=5).content.startswith(b"ID3")
        assert not elsewhere.api.requests[0].had_key

    def test_of_a_call_without_one_is_a_404(self, serve):
        _, hook = serve([make_call("a")])

        with pytest.raises(SynthflowRequestError) as caught:
            hook.get_recording_url("a")

        assert caught.value.status == 404

    def test_of_an_answer_without_an_address_is_an_error(self, serve):
        _, hook = serve(
            [make_call("a")], faults=[Fault(kind="html", route="recording")], fields={"extra": {"max_attempts": 1}}
        )

        with pytest.raises(SynthflowProtocolError, match="instead of a redirect"):
            hook.get_recording_url("a")


class TestSessions:
    def test_are_authenticated_and_named(self, serve):
        handle, hook = serve()

        session = hook.get_conn()
        session.get(f"{handle.url}/calls", params={"model_id": AGENT}, timeout=5)

        assert isinstance(session, requests.Session)
        (received,) = handle.api.requests
        assert received.headers["authorization"] == f"Bearer {TEST_KEY}"
        assert received.headers["user-agent"] == f"airflow-provider-synthflow/{__version__}"

    def test_are_one_a_thread(self, serve):
        _, hook = serve()
        found = []

        threads = [threading.Thread(target=lambda: found.append((hook.get_conn(), hook.get_conn()))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert all(first is second for first, second in found)
        assert len({id(first) for first, _ in found} | {id(hook.get_conn())}) == 4

    def test_are_closed_with_the_hook(self, serve, monkeypatch):
        _, hook = serve()
        closed = []
        monkeypatch.setattr(requests.Session, "close", lambda self: closed.append(self))  # noqa: PLW0108 - binds

        with hook as same:
            assert same is hook
            session = hook.get_conn()

        assert closed == [session]
        assert hook.get_conn() is not session

    def test_can_be_had_anew_after_closing(self, serve):
        _, hook = serve([make_call("a")])
        hook.close()
        hook.close()

        assert hook.count_calls(AGENT) == 1

    def test_use_kept_alive_connections(self, serve):
        handle, hook = serve(many_calls(300))

        list(hook.list_calls(AGENT, limit=10))

        assert len(handle.api.requests) > 20
        assert len(handle._server.connections) == 1


class TestConnection:
    @pytest.mark.parametrize(
        ("fields", "text"),
        [
            ({"password": None}, "password field"),
            ({"extra": {"timeout": "soon"}}, "timeout must be"),
            ({"extra": {"max_attempts": 0}}, "max_attempts must be"),
            ({"host": "http://api.example.test"}, "Use https"),
            ({"host": None, "extra": {"region": "moon"}}, "global, us, eu"),
        ],
    )
    def test_that_is_of_no_use_is_told_and_fails_for_good(self, serve, fields, text):
        _, hook = serve(fields=fields)

        with pytest.raises(SynthflowConfigError, match=text) as caught:
            hook.count_calls(AGENT)

        assert isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize(("region", "times"), [("global", 1), ("us", 0), ("eu", 0)])
    def test_to_the_region_that_is_retired_is_warned_of_once(self, monkeypatch, caplog, region, times):
        fields = {"conn_type": "synthflow", "password": TEST_KEY, "extra": {"region": region}}
        monkeypatch.setenv("AIRFLOW_CONN_SYNTHFLOW_DEFAULT", json.dumps(fields))
        hook = SynthflowHook()

        for _ in range(2):
            hook.get_conn()

        told = [each.getMessage() for each in caplog.records if "region Global" in each.getMessage()]
        assert len(told) == times
        assert all("at the end of 2026" in each and "synthflow_default" in each for each in told)

    def test_that_is_missing_is_told_with_the_command_that_adds_it(self):
        with pytest.raises(SynthflowConfigError, match="airflow connections add nowhere --conn-type synthflow"):
            SynthflowHook("nowhere").get_conn()

    def test_that_cannot_be_read_is_told_with_its_variable(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{conn_type: synthflow}")

        with pytest.raises(SynthflowConfigError, match="AIRFLOW_CONN_BROKEN is neither JSON nor a URI"):
            SynthflowHook("broken").get_conn()

    @pytest.mark.parametrize("kind", ["aws", "postgres", "slack"])
    def test_of_another_service_sends_its_password_nowhere(self, monkeypatch, synthflow, kind):
        handle = synthflow([])
        fields = {"conn_type": kind, "host": handle.url, "password": TEST_KEY, "extra": {"region_name": "eu-west-1"}}
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", json.dumps(fields))

        with pytest.raises(SynthflowConfigError, match=f"of type {kind}.*Name a connection of type synthflow"):
            SynthflowHook("other").count_calls(AGENT)

        assert handle.api.requests == []

    def test_may_have_another_id_and_be_a_uri(self, monkeypatch, synthflow):
        handle = synthflow([make_call("a")])
        monkeypatch.setenv("AIRFLOW_CONN_MINE", f"synthflow://:{TEST_KEY}@127.0.0.1:{handle.port}/?timeout=5")

        with SynthflowHook("mine") as hook:
            assert hook.count_calls(AGENT) == 1
            assert hook.settings.timeout == 5

    def test_is_read_once_and_only_when_it_is_needed(self, connect, mocker):
        hook = SynthflowHook()
        connect("127.0.0.1")
        spy = mocker.spy(session, "read_connection")

        assert spy.call_count == 0
        assert hook.settings is hook.settings
        assert spy.call_count == 1

    def test_with_a_wrong_key_is_told_as_key_or_region(self, serve):
        _, hook = serve(fields={"password": "wrong-key-987654"})

        with pytest.raises(SynthflowAuthError, match="API key is wrong, or it belongs to another region"):
            hook.count_calls(AGENT)


class TestTestConnection:
    def test_asks_for_one_agent_and_says_that_it_works(self, serve):
        handle, hook = serve(assistants=["a"])

        assert hook.test_connection() == (
            True, f"Connected to 127.0.0.1:{handle.port}: the API accepts the key.",
        )  # fmt: skip
        (received,) = handle.api.requests
        assert (received.method, received.path, received.query) == ("GET", "/v2/assistants/", {"limit": "1"})

    @pytest.mark.parametrize(
        ("fields", "options", "text"),
        [
            ({"password": "wrong-key-987654"}, {}, "Key or region: "),
            ({"password": ""}, {}, "has no API key"),
            ({"host": "http://127.0.0.1:9/v2"}, {}, "Network: "),
            ({}, {"faults": [Fault(status=503, route="any")]}, "answers, but with an error"),
            ({}, {"faults": [Fault(kind="html", route="any")]}, "is not the Synthflow API"),
            ({}, {"behaviour": Behaviour(require_key=(), key_not_entitled=TEST_KEY)}, "not entitled"),
            ({"host": "http://api.example.test"}, {}, "Use https"),
        ],
        ids=["wrong key", "no key", "nobody there", "trouble", "a web page", "not entitled", "plain http"],
    )
    def test_says_what_is_wrong_without_any_secret(self, serve, fields, options, text):
        _, hook = serve(fields=fields, **options)

        works, message = hook.test_connection()

        assert works is False
        assert text in message
        assert TEST_KEY not in message
        assert "wrong-key-987654" not in message

    def test_does_not_show_the_id_that_airflow_draws_for_the_form(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_EZ95GKU2", json.dumps({"conn_type": "synthflow", "extra": {"regoin": "eu"}}))

        told = SynthflowHook("EZ95GKU2").test_connection()

        assert told == (False, "The connection: its extra has an unknown field 'regoin'. Did you mean region?")

    def test_says_that_there_is_no_connection(self):
        works, message = SynthflowHook("nowhere").test_connection()

        assert (works, "nowhere" in message) == (False, True)


@pytest.mark.parametrize("kind", ["html", "empty_body", "not_json", "bad_status_word"])
def test_an_answer_that_is_not_what_the_api_promises_is_told_with_the_connection(serve, kind):
    _, hook = serve([make_call("a")], faults=[Fault(kind=kind)], fields={"extra": {"max_attempts": 1}})

    with pytest.raises(SynthflowProtocolError, match="Connection 'synthflow_default': "):
        hook.list_calls_page(AGENT)


@pytest.mark.parametrize(
    ("behaviour", "error", "text"),
    [
        (Behaviour(ignore_window=True), SynthflowProtocolError, "The API ignored the window"),
        (Behaviour(ignore_agent=True), SynthflowProtocolError, "The API does not keep to the filters"),
        (
            Behaviour(ignore_offset=True, echo_offset="actual", max_rows=7),
            SynthflowProtocolError,
            "The API does not page",
        ),
        (Behaviour(order="random"), SynthflowIncompleteError, "No complete walk over the calls"),
    ],
    ids=["window", "filters", "offset", "incomplete"],
)
def test_what_only_all_pages_show_to_be_wrong_is_told_with_the_connection(serve, behaviour, error, text):
    calls = [*many_calls(250), make_call("old", -40 * DAY), make_call("other", agent="agent-2")]
    _, hook = serve(calls, behaviour=behaviour)

    with pytest.raises(error, match=f"^Connection 'synthflow_default': {text}"):
        hook.list_calls_window(AGENT, (FROM, TO), max_walks=3)


@pytest.mark.parametrize("method", ["list_calls", "list_calls_page", "count_calls"])
def test_a_call_of_another_agent_is_an_error_or_included_as_asked_for(serve, method):
    _, hook = serve([make_call("a"), make_call("other", 9, agent="agent-2")], behaviour=Behaviour(ignore_agent=True))

    def ask(**arguments):
        found = getattr(hook, method)(AGENT, **arguments)
        return found if isinstance(found, int) else len(list(getattr(found, "calls", found)))

    with pytest.raises(SynthflowProtocolError, match=r"^Connection 'synthflow_default': The API does not keep"):
        ask()
    assert ask(on_mismatch="include") == 2
    with pytest.raises(ValueError, match="on_mismatch 'whatever' is unknown"):
        ask(on_mismatch="whatever")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_shares_no_connection_with_its_parent(serve):
    _, hook = serve(many_calls(2))
    session = hook.get_conn()
    child = os.fork()
    if not child:
        os._exit(0 if hook.get_conn() is not session and hook.count_calls(AGENT) == 2 else 1)
    _, status = os.waitpid(child, 0)

    assert status == 0
    assert hook.get_conn() is session


def test_a_request_that_failed_in_a_walk_names_the_connection_once(serve):
    _, hook = serve([make_call("a")], faults=[Fault(kind="html")], fields={"extra": {"max_attempts": 1}})

    with pytest.raises(SynthflowProtocolError) as caught:
        hook.list_calls_window(AGENT, (FROM, TO))

    assert str(caught.value).count("Connection '") == 1


class TestMasking:
    def test_covers_the_key_and_the_hash_key(self, connect, monkeypatch):
        masked = []
        monkeypatch.setattr(connection, "mask_secret", masked.append)
        connect("127.0.0.1", password=" key-0123456789 ", extra={"hash_key": "pepper-0123"})

        _ = SynthflowHook().settings

        assert set(masked) >= {" key-0123456789 ", "key-0123456789", "pepper-0123"}

    def test_works_in_airflow_s_own_logs(self, connect):
        from airflow.providers.common.compat.sdk import redact  # noqa: PLC0415 - where it lives differs

        connect("127.0.0.1", password="masked-key-5550", extra={"hash_key": "masked-pepper-5550"})
        hook = SynthflowHook()
        _ = hook.settings

        assert redact({"text": "with masked-key-5550 and masked-pepper-5550 in it"}) == {
            "text": "with *** and *** in it"
        }

    def test_leaves_no_key_in_logs_errors_or_representations(self, serve, caplog):
        caplog.set_level(logging.DEBUG)
        handle, hook = serve(many_calls(2), faults=[Fault(status=500, at=(1,), headers={"Retry-After": "0"})])

        hook.count_calls(AGENT)
        with pytest.raises(SynthflowRequestError) as caught:
            hook.get_call("nobody")

        assert "Try 1 of 6 failed" in caplog.text
        everything = caplog.text + repr(hook.settings) + repr(vars(hook)) + repr(caught.value) + str(caught.value)
        assert TEST_KEY not in everything
        assert len(handle.api.requests) == 3
        assert json.dumps([received.target for received in handle.api.requests]).find(TEST_KEY) == -1


def test_a_closed_hook_ends_a_request_that_waits_for_its_next_try(serve):
    handle, hook = serve(faults=[Fault(status=503, headers={"Retry-After": "20"})])
    errors = []

    def ask():
        try:
            hook.count_calls(AGENT)
        except Exception as error:  # noqa: BLE001 - whatever it is
            errors.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    while not handle.api.requests:
        thread.join(0.01)
    thread.join(0.1)
    hook.close()
    thread.join(5)

    assert not thread.is_alive()
    assert len(errors) == 1
    assert isinstance(errors[0], SynthflowTransientError)


class TestDownloadRecording:
    @pytest.fixture
    def recorded(self, serve):
        with contextlib.ExitStack() as hosts:

            def start(**options):
                calls = [make_call("a", recording_url="https://recordings.example.test/a.mp3")]
                handle, hook = serve(calls, fields={"extra": {"max_attempts": 2}}, **options)
                hosts.enter_context(serve_recordings(handle.api))
                return handle, hook

            yield start

    def test_writes_the_recording_into_a_file_and_tells_what_it_was(self, recorded):
        handle, hook = recorded()
        file = io.BytesIO()
        assert hook.download_recording("a", file) == {
            "bytes": 2000,
            "sha256": hashlib.sha256(audio("a")).hexdigest(),
            "content_type": "audio/mpeg",
        }
        assert file.getvalue() == audio("a")
        assert [received.had_key for received in handle.api.requests] == [True, False]

    def test_writes_it_whole_or_not_at_all_into_a_path(self, recorded, tmp_path):
        handle, hook = recorded()
        path = tmp_path / "a.mp3"
        assert hook.download_recording("a", path)["bytes"] == 2000
        assert path.read_bytes() == audio("a")
        handle.api.recordings.bodies["a"] = ("text/html", b"<html></html>")
        with pytest.raises(SynthflowTransientError):
            hook.download_recording("a", str(path))
        assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"a.mp3": audio("a")}

    def test_begins_anew_in_the_same_file_after_a_try_that_was_cut(self, recorded):
        handle, hook = recorded(behaviour=Behaviour(recording_bytes=600_000))
        handle.api.arm(Fault(route="signed", kind="truncated_body", times=1))
        file = io.BytesIO(b"before")
        file.seek(6)
        hook.download_recording("a", file)
        assert file.getvalue() == b"before" + audio("a", 600_000)

    def test_leaves_a_file_as_it_was_where_no_whole_recording_comes(self, recorded):
        _, hook = recorded(
            behaviour=Behaviour(recording_bytes=600_000), faults=[Fault(route="signed", kind="truncated_body")]
        )
        file = io.BytesIO(b"before")
        file.seek(6)
        with pytest.raises(SynthflowTransientError):
            hook.download_recording("a", file)
        assert file.getvalue() == b"before"

    @pytest.mark.parametrize(("call_id", "kind"), [("nobody", SynthflowRequestError), ("", ValueError)])
    def test_of_a_call_that_is_not_there_is_an_error(self, recorded, call_id, kind):
        _, hook = recorded()
        with pytest.raises(kind):
            hook.download_recording(call_id, io.BytesIO())
