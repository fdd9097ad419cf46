# SPDX-License-Identifier: Apache-2.0
"""A request ends in its time, and an answer within its size, whatever a server does and whichever client asks."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
import tracemalloc

import pytest
import requests

from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.connection_check import check_connection
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.transport import BodyReader
from airflow_provider_synthflow.exceptions import (
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from tests.synthflow_server import Answer, Fault
from tests.synthflow_server.answer import Stream
from tests.unit.client.making import make_settings
from tests.unit.synthflow_server.asking import AGENT, make_call

# what is cut off here in the middle of a handshake is closed by the libraries only when it is collected
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

QUERY = CallsQuery(AGENT)
CALLS = [make_call(f"c{n:03}", -n) for n in range(3)]
MIB = 1024 * 1024
LONG = 60.0
"""Seconds that no request here may take: each would take hours if its time were counted between two bytes."""


def ask_at_once(settings):
    with SynthflowClient(settings) as client:
        return client.page(QUERY, 100, 0)


def ask_in_a_loop(settings):
    async def ask():
        async with AsyncSynthflowClient.open(settings) as client:
            return await client.page(QUERY, 100, 0)

    return asyncio.run(ask())


@pytest.fixture(params=[ask_at_once, ask_in_a_loop], ids=["task", "event loop"])
def ask(request):
    """Ask for a page by each client, and see that it does not take for ever."""

    def within_reason(url, **fields):
        begun = time.monotonic()
        try:
            return request.param(make_settings(url, **{"max_attempts": 1, "timeout": 0.5, **fields}))
        finally:
            assert time.monotonic() - begun < LONG

    return within_reason


# --- time


@pytest.mark.parametrize("kind", ["drip_headers", "drip_body", "timeout_before_headers", "timeout_mid_body"])
def test_a_server_that_sends_byte_by_byte_is_given_up_in_time(synthflow, ask, kind):
    handle = synthflow(CALLS, faults=[Fault(kind=kind, seconds=0.2 if "drip" in kind else 120.0)])
    with pytest.raises(SynthflowTransientError, match=r"did not answer within 0\.5 s"):
        ask(handle.url)


def test_an_error_that_drips_is_given_up_in_time(synthflow, ask):
    handle = synthflow(CALLS, faults=[Fault(kind="drip_body", seconds=0.2)])
    handle.api.behaviour = handle.api.behaviour.with_texts({"require_key": "another"})
    with pytest.raises(SynthflowTransientError, match=r"did not answer within 0\.5 s"):
        ask(handle.url)


@pytest.mark.parametrize("length", ["exact", "chunked", "absent"])
def test_a_slow_answer_that_is_whole_in_time_is_read(synthflow, ask, monkeypatch, length):
    body = b'{"response":{"calls":[{"call_id":"a"}]}}'
    pieces = [body[at : at + 10] for at in range(0, len(body), 10)]
    handle = synthflow()
    answer = Answer(200, stream=Stream(len(body), lambda: iter(pieces), length=length, pause_s=0.02))
    monkeypatch.setattr(handle.api, "handle", lambda *_: answer)
    assert [row.call_id for row in ask(handle.url, timeout=30.0).rows] == ["a"]


def test_the_test_button_does_not_wait_for_a_server_that_drips(synthflow):
    handle = synthflow(faults=[Fault(kind="drip_body", seconds=0.2, route="assistants")])
    good, text = check_connection(make_settings(handle.url, timeout=0.5))
    assert not good
    assert text.startswith("Network: 127.0.0.1:")
    assert "did not answer within 0.5 s" in text


def test_a_handshake_that_never_ends_is_given_up_in_time(ask):
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        pytest.raises(SynthflowTransientError, match=r"did not answer within 0\.5 s"),
    ):
        ask(f"https://127.0.0.1:{listening.getsockname()[1]}/v2")


def test_a_proxy_that_drips_is_given_up_in_time(monkeypatch, ask):
    def drip(listening):
        connection, _ = listening.accept()
        with connection:
            while True:
                try:
                    connection.sendall(b"H")
                except OSError:
                    return
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=drip, args=(listening,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening.getsockname()[1]}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(SynthflowTransientError, match=r"through the proxy"):
            ask("https://api.synthflow.test/v2")


def test_addresses_of_a_host_that_do_not_answer_share_the_time(monkeypatch):
    """A firewall that drops what is sent must not cost the time once for each address."""
    tried = []

    class Silent(socket.socket):
        def connect(self, address):
            tried.append((address[0], self.gettimeout()))
            raise TimeoutError

    there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 443)) for n in range(1, 5)]
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, *rest: there if host.endswith(".test") else real(host, *rest)
    )
    monkeypatch.setattr(socket, "socket", Silent)
    with pytest.raises(SynthflowTransientError, match="did not answer within 8 s"):
        ask_at_once(make_settings("https://api.synthflow.test/v2", max_attempts=1, timeout=8.0))
    assert [address for address, _ in tried] == [f"192.0.2.{n}" for n in range(1, 5)]
    assert tried[0][1] == pytest.approx(2.0, abs=0.5)


def test_the_session_that_users_get_is_not_bound_by_a_request_before(synthflow):
    handle = synthflow(CALLS)
    with SynthflowClient(make_settings(handle.url, timeout=0.3)) as client:
        client.page(QUERY, 1, 0)
        handle.api.arm(Fault(kind="timeout_mid_body", seconds=0.6, route="assistants"))
        assert client.session().get(handle.url + "/assistants/", timeout=30).status_code == 200
        with pytest.raises(requests.RequestException):
            client.session().get(handle.url + "/assistants/", timeout=0.1)


# --- size


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw"])
def test_a_small_body_that_unpacks_to_a_large_one_is_stopped_early(synthflow, ask, encoding):
    handle = synthflow(CALLS, faults=[Fault(kind="bomb", size=64 * MIB, encoding=encoding)])
    # the body is packed before memory is counted
    handle.api.handle("GET", f"/v2/calls?model_id={AGENT}", {"Authorization": "Bearer test-key-0123456789"})
    tracemalloc.start()
    try:
        with pytest.raises(SynthflowProtocolError, match=r"larger than 1,048,576 bytes.*max_response_bytes"):
            ask(handle.url, max_response_bytes=MIB, timeout=30.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * MIB


@pytest.mark.parametrize("size", [10**18, 1001])
def test_an_absurd_length_is_a_typed_error_at_once(synthflow, ask, size):
    handle = synthflow(CALLS, faults=[Fault(kind="absurd_length", size=size)])
    with pytest.raises(SynthflowProtocolError, match=r"larger than 1,000 bytes"):
        ask(handle.url, max_response_bytes=1000, timeout=30.0)
    assert len(handle.api.requests) == 1


@pytest.mark.parametrize("size", [10**30, 10**4000])
def test_a_length_that_is_no_number_of_bytes_is_a_typed_error(synthflow, ask, size):
    handle = synthflow(CALLS, faults=[Fault(kind="absurd_length", size=size)])
    with pytest.raises((SynthflowProtocolError, SynthflowTransientError)):
        ask(handle.url, timeout=30.0)


@pytest.mark.parametrize("length", ["chunked", "absent"])
def test_a_body_without_end_is_stopped(synthflow, ask, monkeypatch, length):
    def without_end():
        while True:
            yield b"x" * 65_536

    handle = synthflow()
    answer = Answer(200, stream=Stream(0, without_end, length=length))
    monkeypatch.setattr(handle.api, "handle", lambda *_: answer)
    with pytest.raises(SynthflowProtocolError, match="larger than"):
        ask(handle.url, max_response_bytes=MIB, timeout=30.0)


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("packed", [False, True])
def test_a_body_may_be_as_large_as_the_connection_allows(synthflow, ask, monkeypatch, spare, packed):
    body = b'{"response":{"calls":[]}}'.ljust(5000)
    handle = synthflow()
    answer = Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(body)) if packed else Answer(200, {}, body)
    monkeypatch.setattr(handle.api, "handle", lambda *_: answer)
    assert ask(handle.url, max_response_bytes=5000 + spare, timeout=30.0).rows == []
    with pytest.raises(SynthflowProtocolError, match="larger than 4,999 bytes"):
        ask(handle.url, max_response_bytes=4999, timeout=30.0)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {}, b"x" * 200_000),
        Answer(400, {"Content-Encoding": "gzip"}, gzip.compress(b"x" * 200_000)),
        Answer(400, {"Content-Encoding": "gzip"}, b"not packed"),
        Answer(400, {"Content-Encoding": "br"}, b"unknown"),
        Answer(400, stream=Stream(0, lambda: iter([b"x" * 65_536] * 100), length="chunked")),
        Answer(400, stream=Stream(10, lambda: iter([b"x" * 10]), length=10**18)),
    ],
    ids=["large", "packed", "not packed", "br", "chunked", "absurd"],
)
def test_of_an_error_with_an_odd_body_the_status_is_told(synthflow, ask, monkeypatch, answer):
    handle = synthflow()
    monkeypatch.setattr(handle.api, "handle", lambda *_: answer)
    with pytest.raises(SynthflowRequestError, match="HTTP 400"):
        ask(handle.url, timeout=30.0)


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(b'{"response":{"calls":[{"call_') + gzip.compress(b'id":"a"}]}}'),
        gzip.compress(b'{"response":{"calls":[{"call_id":"a"}]}}') + b"\0" * 100,
    ],
    ids=["members", "zeros"],
)
def test_a_body_of_several_gzip_members_is_whole(synthflow, ask, monkeypatch, body):
    handle = synthflow()
    monkeypatch.setattr(handle.api, "handle", lambda *_: Answer(200, {"Content-Encoding": "gzip"}, body))
    assert [row.call_id for row in ask(handle.url, timeout=30.0).rows] == ["a"]


def test_a_body_of_very_many_gzip_members_and_zeros_is_whole():
    """Each once took a copy of all that follows: many seconds for this body."""
    body = BodyReader(200, {"Content-Encoding": "gzip"}, make_settings("http://127.0.0.1:9"))
    body.add(gzip.compress(b"") * 50_000 + gzip.compress(b"{}") + bytes(20_000))

    assert body.unpack() == b"{}"


def test_a_packed_body_that_is_cut_off_is_tried_again(synthflow, ask, monkeypatch):
    handle = synthflow()
    body = gzip.compress(b'{"response":{"calls":[]}}')[:-9]
    monkeypatch.setattr(handle.api, "handle", lambda *_: Answer(200, {"Content-Encoding": "gzip"}, body))
    with pytest.raises(SynthflowProtocolError, match="not compressed as its header says") as caught:
        ask(handle.url, timeout=30.0)
    assert caught.value.retriable


def test_the_event_loop_goes_on_while_a_body_is_unpacked_and_read(synthflow, monkeypatch):
    record = b'{"call_id":"%d","x":"%b"}'
    body = b'{"response":{"calls":[%b]}}' % b",".join(record % (n, b"y" * 2000) for n in range(20_000))
    handle = synthflow()
    answer = Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(body, 1))
    monkeypatch.setattr(handle.api, "handle", lambda *_: answer)
    beats = []

    async def ask():
        async def beat():
            while True:
                beats.append(threading.get_ident())
                await asyncio.sleep(0)

        beating = asyncio.create_task(beat())
        async with AsyncSynthflowClient.open(make_settings(handle.url, timeout=60.0)) as client:
            page, read_by = await client.page(QUERY, 100, 0), []
            await client.ask("/calls", {}, lambda body: read_by.append((threading.get_ident(), len(body))))
        beating.cancel()
        return page, read_by

    page, [(thread, size)] = asyncio.run(ask())
    assert len(page.rows) == 20_000
    assert size == len(body)
    assert thread not in beats
