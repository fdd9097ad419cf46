# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import gzip
import logging
import re
import threading
from collections import Counter

import pytest
import requests

import airflow_provider_synthflow
from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.response import read_page
from airflow_provider_synthflow.client.transport import call_path
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from tests.synthflow_server import TEST_KEY, Answer, Behaviour, Fault
from tests.unit.client.making import FakeClock, make_client, make_settings
from tests.unit.synthflow_server.asking import AGENT, make_call

CALLS = [make_call(f"c{n:03}", -n) for n in range(30)]
QUERY = CallsQuery(AGENT)
NAMED = "Connection 'other': "
NEVER_REACHED = "http://127.0.0.1:9/v2"

PASSING = {
    "429": Fault(status=429),
    "429 with seconds": Fault(status=429, headers={"Retry-After": "7"}),
    "429 with nonsense": Fault(status=429, headers={"Retry-After": "soon"}),
    "408": Fault(status=408),
    "500": Fault(status=500),
    "502 html": Fault(kind="html_error"),
    "503": Fault(status=503),
    "504": Fault(status=504, error_body="empty"),
    "599": Fault(status=599, error_body="html"),
    "reset": Fault(kind="reset"),
    "truncated body": Fault(kind="truncated_body"),
    "truncated json": Fault(kind="truncated_json"),
    "no headers in time": Fault(kind="timeout_before_headers"),
    "no body in time": Fault(kind="timeout_mid_body"),
    "html": Fault(kind="html"),
    "not json": Fault(kind="not_json"),
    "empty body": Fault(kind="empty_body"),
    "status word": Fault(kind="bad_status_word"),
    "not gzip": Fault(kind="html", headers={"Content-Encoding": "gzip"}),
}
FATAL = {
    "400": (Fault(status=400), SynthflowRequestError),
    "401": (Fault(status=401), SynthflowAuthError),
    "403": (Fault(status=403), SynthflowAuthError),
    "404": (Fault(status=404, error_body="plain"), SynthflowRequestError),
    "409": (Fault(status=409), SynthflowRequestError),
    "422": (Fault(status=422, error_body="loc"), SynthflowRequestError),
    "302": (Fault(kind="redirect"), SynthflowProtocolError),
    "308": (Fault(kind="redirect", status=308), SynthflowProtocolError),
}


def again(fault, **changes):
    return Fault(**{**vars(fault), **changes})


def named(faults):
    return [pytest.param(value, id=name) for name, value in faults.items()]


def patience(fault):
    """Return how long to wait for an answer: not long where none comes."""
    return 0.05 if fault.kind.startswith("timeout") else 5.0


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def ask(synthflow, clock):
    """Start a server with some faults and make a sender to it; give both."""

    def start(*faults, behaviour=None, **fields):
        handle = synthflow(CALLS, faults=faults, behaviour=behaviour or Behaviour())
        return handle.api, make_client(handle.url, clock, **fields)

    return start


@pytest.fixture
def scripted(synthflow, monkeypatch):
    """Give a function that starts a server with one answer to every request."""

    def start(answer):
        handle = synthflow()
        monkeypatch.setattr(handle.api, "handle", lambda *_: answer)
        return handle

    return start


# --- what is sent


def test_a_page_of_calls_comes_back_as_the_server_has_it(ask):
    api, client = ask()
    page = client.page(QUERY, 10, 5)
    assert [row.call_id for row in page.rows] == [f"c{n:03}" for n in range(5, 15)]
    assert (page.total, page.limit, page.offset) == (30, 10, 5)
    assert api.requests[0].query == {"model_id": AGENT, "limit": "10", "offset": "5"}
    assert (client.requests, client.retries) == (1, 0)


def test_the_key_is_sent_as_a_bearer_and_the_package_names_itself_with_its_version(ask):
    api, client = ask()
    client.page(QUERY, 1, 0)
    headers = api.requests[0].headers
    assert headers["authorization"] == f"Bearer {TEST_KEY}"
    assert headers["user-agent"] == f"airflow-provider-synthflow/{airflow_provider_synthflow.__version__}"
    assert headers["accept"] == "application/json"


def test_the_plus_of_a_number_is_sent_as_percent_2b(ask):
    api, client = ask()
    client.page(CallsQuery(AGENT, lead_phone_number="+15550100001"), 1, 0)
    assert "lead_phone_number=%2B15550100001" in api.requests[0].target
    assert api.requests[0].query["lead_phone_number"] == "+15550100001"


@pytest.mark.parametrize("name", ["a b&c=d", "ä/ö?#", "100%"])
def test_whatever_is_in_a_parameter_reaches_the_server_as_it_was(ask, name):
    api, client = ask()
    client.page(CallsQuery(name), 1, 0)
    assert api.requests[0].query["model_id"] == name


def test_a_netrc_file_does_not_replace_the_key(ask, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\ndefault login any password any\n")
    monkeypatch.setenv("NETRC", str(netrc))
    api, client = ask()
    assert requests.utils.get_netrc_auth(client.settings.base_url) == ("somebody", "something")
    client.page(QUERY, 1, 0)
    assert api.requests[0].headers["authorization"] == f"Bearer {TEST_KEY}"


@pytest.mark.parametrize(
    ("call_id", "path"),
    [
        ("5f3c1f0a-6f0d", "/calls/5f3c1f0a-6f0d/recording"),
        ("1776876567837x123", "/calls/1776876567837x123/recording"),
        ("a/../b?c#d e", "/calls/a%2F..%2Fb%3Fc%23d%20e/recording"),
    ],
)
def test_an_id_is_one_part_of_a_path_whatever_is_in_it(call_id, path):
    assert call_path(call_id, "/recording") == path


def test_a_compressed_answer_is_read(scripted):
    body = gzip.compress(b'{"status":"ok","response":{"calls":[{"call_id":"a"}]}}')
    handle = scripted(Answer(200, {"Content-Encoding": "gzip"}, body))
    assert [row.call_id for row in make_client(handle.url).page(QUERY, 1, 0).rows] == ["a"]


@pytest.mark.parametrize("location", ["http://[", "//", "https://evil.test:port/", "javascript:alert(1)"])
def test_a_redirect_is_told_as_one_wherever_it_leads(scripted, location):
    handle = scripted(Answer(302, {"Location": location}, b""))
    with pytest.raises(SynthflowProtocolError, match="Redirects are not followed") as caught:
        make_client(handle.url).page(QUERY, 1, 0)
    assert location not in str(caught.value)


def test_a_cookie_that_the_server_sets_comes_back_with_the_next_request(synthflow, monkeypatch):
    received = []

    def answer(_method, _target, headers, *_):
        received.append(headers.get("cookie"))
        return Answer(200, {"Set-Cookie": "node=7; Path=/"}, b'{"response":{"calls":[]}}')

    handle = synthflow()
    monkeypatch.setattr(handle.api, "handle", answer)
    client = make_client(handle.url)
    for _ in range(3):
        client.page(QUERY, 1, 0)
    assert received == [None, "node=7", "node=7"]


# --- what is tried again


@pytest.mark.parametrize("fault", named(PASSING))
def test_what_may_pass_is_tried_again_and_then_the_page_is_whole(ask, clock, fault):
    api, client = ask(again(fault, at=(1, 2)), timeout=patience(fault))
    assert len(client.page(QUERY, 100, 0).rows) == 30
    assert len(api.requests) == client.requests == 3
    assert client.retries == 2
    assert len(clock.slept) >= 2
    assert all(0 < seconds <= 300 for seconds in clock.slept)


@pytest.mark.parametrize("fault", named(PASSING))
def test_what_does_not_pass_is_given_up_after_so_many_tries(ask, fault):
    api, client = ask(fault, max_attempts=3, timeout=patience(fault))
    with pytest.raises((SynthflowTransientError, SynthflowProtocolError)) as caught:
        client.page(QUERY, 100, 0)
    assert len(api.requests) == client.requests == 3
    assert client.retries == 2
    assert caught.value.attempts == 3


@pytest.mark.parametrize(("fault", "kind"), [pytest.param(*pair, id=name) for name, pair in FATAL.items()])
def test_what_cannot_pass_is_sent_once(ask, clock, fault, kind):
    api, client = ask(fault)
    with pytest.raises(kind):
        client.page(QUERY, 100, 0)
    assert len(api.requests) == client.requests == 1
    assert client.retries == 0
    assert clock.slept == []


def test_one_attempt_is_one_request(ask, clock):
    api, client = ask(Fault(status=503), max_attempts=1)
    with pytest.raises(SynthflowTransientError, match="Gave up after 1 try"):
        client.page(QUERY, 1, 0)
    assert len(api.requests) == 1
    assert clock.slept == []


def test_a_fatal_error_ends_the_tries_that_passing_ones_began(ask):
    api, client = ask(Fault(status=503, at=1), Fault(status=401, at=2))
    with pytest.raises(SynthflowAuthError):
        client.page(QUERY, 1, 0)
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    ("fault", "text", "status"),
    [
        (Fault(status=429), "rate limit was reached: HTTP 429 (request req-00000002)", 429),
        (Fault(status=503), "The API failed: HTTP 503 (request req-00000002)", 503),
        (Fault(kind="reset"), "The network connection to 127.0.0.1:", None),
        (Fault(kind="truncated_body"), "The network connection to 127.0.0.1:", None),
        (Fault(kind="timeout_before_headers"), "did not answer within 0.05 s", None),
        (Fault(kind="timeout_mid_body"), "did not answer within 0.05 s", None),
    ],
    ids=["429", "503", "reset", "truncated", "before headers", "mid body"],
)
def test_the_error_of_the_last_try_tells_what_happened(ask, fault, text, status):
    _, client = ask(fault, max_attempts=2, timeout=patience(fault))
    with pytest.raises(SynthflowTransientError, match=re.escape(text)) as caught:
        client.page(QUERY, 1, 0)
    assert (caught.value.status, caught.value.attempts) == (status, 2)
    assert "Gave up after 2 tries" in str(caught.value)


@pytest.mark.parametrize("kind", ["html", "not_json", "truncated_json", "empty_body"])
def test_an_answer_that_stays_broken_is_a_protocol_error(ask, kind):
    _, client = ask(Fault(kind=kind), max_attempts=2)
    with pytest.raises(SynthflowProtocolError, match="is not JSON") as caught:
        client.page(QUERY, 1, 0)
    assert caught.value.attempts == 2


def test_nobody_listening_is_a_transient_error_that_names_the_host(synthflow, clock):
    handle = synthflow(CALLS)
    handle.pause()
    client = make_client(handle.url, clock, max_attempts=2)
    with pytest.raises(
        SynthflowTransientError, match=f"127.0.0.1:{handle.port} refused the connection.*Check the network"
    ):
        client.page(QUERY, 1, 0)
    assert client.requests == 2
    handle.resume()
    assert len(client.page(QUERY, 100, 0).rows) == 30


@pytest.mark.parametrize("host", ["http://exa mple.test/v2", "http://127.0.0.1:99999/v2", "http://.test/v2"])
def test_an_impossible_host_is_a_configuration_error_at_once(clock, host):
    client = make_client(host, clock)
    with pytest.raises(SynthflowConfigError, match="not a valid address"):
        client.page(QUERY, 1, 0)
    assert client.requests == 1


def test_https_where_plain_http_answers_is_a_transient_error_that_names_the_host(synthflow, clock):
    url = synthflow(CALLS).url.replace("http:", "https:")
    client = make_client(url, clock, max_attempts=2, timeout=0.2)
    with pytest.raises(SynthflowTransientError, match=r"127\.0\.0\.1:\d+ (does not speak TLS|did not answer)"):
        client.page(QUERY, 1, 0)
    assert client.requests == 2


def test_the_wait_before_a_try_is_what_the_server_asks_for(ask, clock):
    _, client = ask(Fault(status=429, headers={"Retry-After": "7"}, at=1))
    client.page(QUERY, 1, 0)
    assert 7 <= sum(clock.slept) <= 8.1


def test_an_absurd_wait_is_five_minutes(ask, clock):
    _, client = ask(Fault(status=503, headers={"Retry-After": "99999999"}, at=1))
    client.page(QUERY, 1, 0)
    assert 300 <= sum(clock.slept) <= 301


def test_without_a_header_the_waits_grow(ask, clock):
    _, client = ask(Fault(kind="reset"))
    with pytest.raises(SynthflowTransientError):
        client.page(QUERY, 1, 0)
    assert len(clock.slept) == 5
    for seconds, middle in zip(clock.slept, [0.5, 1, 2, 4, 8], strict=True):
        assert 0.75 * middle <= seconds <= 1.25 * middle


def test_each_retry_is_logged_with_its_number_its_cause_and_its_wait(ask, caplog):
    _, client = ask(Fault(status=503, at=(1, 2)))
    client.page(QUERY, 1, 0)
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text[:15] for text in told] == ["Try 1 of 6 fail", "Try 2 of 6 fail"]
    assert all(re.search(r"HTTP 503 \(request req-\d+\)\. Next try in \d+\.\d s\.$", text) for text in told)


# --- the shared pace


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_slows_down_the_pace_and_success_speeds_it_up(ask, clock, status):
    _, client = ask(Fault(status=status, at=(1, 2)))
    client.page(QUERY, 1, 0)
    assert client.pace.interval == pytest.approx(0.05 * 0.9)
    for _ in range(30):
        client.page(QUERY, 1, 0)
    assert client.pace.interval == 0.0


@pytest.mark.parametrize("fault", [Fault(kind="reset", at=1), Fault(kind="html", at=1)], ids=["reset", "html"])
def test_a_failure_that_is_no_refusal_leaves_the_pace(ask, fault):
    _, client = ask(fault)
    client.page(QUERY, 1, 0)
    assert client.pace.interval == 0.0


def test_senders_that_share_a_pace_are_halted_together(ask, synthflow, clock):
    pace = RateLimiter(clock)
    refused = synthflow(CALLS, faults=[Fault(status=429, headers={"Retry-After": "40"}, at=1)])
    first = SynthflowClient(make_settings(refused.url, max_attempts=1), pace=pace, sleep=clock.sleep)
    second = SynthflowClient(make_settings(synthflow(CALLS).url), pace=pace, sleep=clock.sleep)
    with pytest.raises(SynthflowTransientError):
        first.page(QUERY, 1, 0)
    second.page(QUERY, 1, 0)
    assert 40 <= sum(clock.slept) <= 41


# --- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_never_reaches_the_other_host(ask, synthflow, status):
    other = synthflow(CALLS)
    api, client = ask(Fault(kind="redirect", status=status, location=f"{other.url}/calls?model_id={AGENT}"))
    with pytest.raises(SynthflowProtocolError, match=f"HTTP {status}.*Redirects are not followed") as caught:
        client.page(QUERY, 1, 0)
    assert str(other.port) not in str(caught.value)
    assert other.api.requests == []
    assert len(api.requests) == 1


def test_the_address_of_a_redirect_is_handed_back_and_nothing_is_asked_of_it(ask, synthflow):
    other = synthflow(CALLS)
    base = other.url.removesuffix("/v2")
    api, client = ask(behaviour=Behaviour(signed_base=base))
    address = client.redirect(call_path("c000", "/recording"))
    assert address.startswith(f"{base}/signed/recordings/c000.mp3?")
    assert other.api.requests == []
    assert [received.route for received in api.requests] == ["recording"]


def test_a_relative_address_of_a_redirect_is_completed(ask):
    _, client = ask(Fault(kind="redirect", location="/signed/a.mp3", route="recording"))
    address = client.redirect(call_path("c000", "/recording"))
    assert address == client.settings.base_url.removesuffix("/v2") + "/signed/a.mp3"


@pytest.mark.parametrize(
    ("fault", "kind", "text"),
    [
        (Fault(kind="html", route="recording"), SynthflowProtocolError, "HTTP 200 instead of a redirect"),
        (Fault(status=404, route="recording"), SynthflowRequestError, "HTTP 404"),
        (Fault(status=401, route="recording"), SynthflowAuthError, "HTTP 401"),
        (Fault(kind="redirect", location="", route="recording"), SynthflowProtocolError, "HTTP 302"),
    ],
    ids=["200", "404", "401", "no address"],
)
def test_no_address_where_a_redirect_was_due_is_an_error(ask, fault, kind, text):
    api, client = ask(fault)
    with pytest.raises(kind, match=text):
        client.redirect(call_path("c000", "/recording"))
    assert len(api.requests) == 1


def test_the_request_for_an_address_is_tried_again_like_any_other(ask):
    api, client = ask(Fault(status=503, route="recording", at=1))
    assert "/signed/" in client.redirect(call_path("c000", "/recording"))
    assert len(api.requests) == 2


# --- sessions and threads


def test_each_thread_has_one_session_of_its_own_and_keeps_it(ask):
    _, client = ask()
    barrier = threading.Barrier(4)
    found = []

    def work():
        barrier.wait()
        found.append((client.session(), client.session()))
        barrier.wait()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(first is second for first, second in found)
    assert len({id(first) for first, _ in found}) == 4


def test_a_session_keeps_its_connection_from_one_request_to_the_next(synthflow, monkeypatch):
    handle = synthflow(CALLS)
    client = make_client(handle.url)
    client.page(QUERY, 1, 0)
    assert handle._server is not None
    connections = set(handle._server.connections)
    for _ in range(5):
        client.page(QUERY, 1, 0)
    assert len(connections) == 1
    assert set(handle._server.connections) == connections


def test_requests_of_many_threads_are_all_counted(ask):
    api, client = ask(Fault(status=503, every_nth=5), max_attempts=20)
    pages = []

    def work():
        pages.extend(len(client.page(QUERY, 100, 0).rows) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    statuses = Counter(received.status for received in api.requests)
    assert pages == [30] * 80
    assert client.requests == len(api.requests)
    assert (statuses[200], statuses[503]) == (80, client.retries)


class Told(logging.Handler):
    """Set an event once a retry is told of."""

    def __init__(self):
        super().__init__()
        self.event = threading.Event()

    def emit(self, record):  # noqa: ARG002 - that there is one is enough
        """Set the event."""
        self.event.set()


def test_closing_ends_a_request_that_waits_for_its_next_try(synthflow):
    handle = synthflow(CALLS, faults=[Fault(status=503, headers={"Retry-After": "300"})])
    client = SynthflowClient(make_settings(handle.url))
    told, errors = Told(), []

    def work():
        try:
            client.page(QUERY, 1, 0)
        except SynthflowTransientError as error:
            errors.append(error)

    logger = logging.getLogger("airflow_provider_synthflow.client")
    logger.addHandler(told)
    try:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert told.event.wait(10)
        client.close()
        thread.join(10)
    finally:
        logger.removeHandler(told)
    assert not thread.is_alive()
    assert len(errors) == 1
    assert "was closed" in str(errors[0])
    assert len(handle.api.requests) == 1


def test_leaving_the_context_closes_the_sessions_for_good(ask):
    _, client = ask()
    closed = []
    with client as same:
        session = client.session()
        session.close = lambda: closed.append(session)
    assert same is client
    assert closed == [session]
    for use in (client.session, lambda: client.page(QUERY, 100, 0)):
        with pytest.raises(SynthflowTransientError, match="was closed"):
            use()


# --- asking


def test_another_list_is_read_by_its_name(ask):
    _, client = ask()
    found, total = client.elements("/assistants/", "assistants", {"limit": "1"})
    assert ([each["model_id"] for each in found], total) == ([AGENT], 1)


def test_an_error_of_the_reader_that_is_not_retriable_ends_the_tries(ask):
    api, client = ask()

    def read(body):
        msg = "no"
        raise SynthflowProtocolError(msg)

    with pytest.raises(SynthflowProtocolError):
        client.ask("/calls", QUERY.parameters(1, 0), read)
    assert len(api.requests) == 1


def test_an_error_that_is_not_ours_passes_through_as_it_is(ask):
    api, client = ask()
    with pytest.raises(ZeroDivisionError):
        client.ask("/calls", QUERY.parameters(1, 0), lambda body: len(body) / 0)
    assert len(api.requests) == 1


def test_sending_alone_gives_any_answer_back_once(ask):
    api, client = ask(Fault(status=503, headers={"Retry-After": "7"}))
    answer = client.send("/calls", QUERY.parameters(1, 0))
    assert (answer.status, answer.headers["retry-after"]) == (503, "7")
    assert b"request_id" in answer.body
    assert len(api.requests) == 1


def test_a_large_answer_comes_whole(synthflow):
    calls = [make_call(f"c{n:03}", -n, transcript="ä" * 100_000) for n in range(20)]
    client = make_client(synthflow(calls).url)
    answer = client.send("/calls", QUERY.parameters(100, 0))
    assert len(answer.body) > 4_000_000
    assert len(read_page(answer.body).rows) == 20


def test_a_proxy_of_the_environment_is_not_given_the_key_of_a_server_on_this_machine(ask, monkeypatch):
    _, client = ask()
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert len(client.page(QUERY, 100, 0).rows) == 30


class TestEveryErrorNamesTheConnectionOnce:
    FAULTS = named(PASSING | {name: fault for name, (fault, _) in FATAL.items()})

    @staticmethod
    def check(found):
        assert str(found.value).startswith(NAMED)
        assert str(found.value).count(NAMED) == 1

    @pytest.mark.parametrize(
        "ask",
        [
            lambda client: client.page(QUERY, 10, 0),
            lambda client: client.elements("/calls", "calls", QUERY.parameters(10, 0)),
        ],
        ids=["page", "another list"],
    )
    @pytest.mark.parametrize("fault", FAULTS)
    def test_of_a_task_s_client(self, synthflow, ask, fault):
        handle = synthflow(CALLS, faults=[fault])
        client = make_client(handle.url, max_attempts=1, conn_id="other", timeout=patience(fault))

        with pytest.raises(SynthflowError) as found, client:
            ask(client)

        self.check(found)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_of_a_triggerer_s_client(self, synthflow, fault):
        handle = synthflow(CALLS, faults=[fault])
        settings = make_settings(handle.url, max_attempts=1, conn_id="other", timeout=patience(fault))

        async def ask():
            async with AsyncSynthflowClient.open(settings) as client:
                await client.page(QUERY, 10, 0)

        with pytest.raises(SynthflowError) as found:
            asyncio.run(ask())

        self.check(found)

    def test_of_an_answer_that_is_no_address(self, synthflow):
        client = make_client(synthflow(CALLS).url, conn_id="other")

        for ask in (client.redirect, client.redirect_once):
            with pytest.raises(SynthflowError) as found:
                ask("/calls?limit=1")
            self.check(found)

    def test_of_an_answer_that_is_too_large(self, synthflow):
        client = make_client(synthflow(CALLS).url, conn_id="other", max_response_bytes=100)

        with pytest.raises(SynthflowProtocolError, match="larger than 100 bytes") as found, client:
            client.page(QUERY, 10, 0)

        self.check(found)
