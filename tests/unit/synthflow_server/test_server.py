# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
import threading
import time

import pytest
import requests

from tests.synthflow_server import Behaviour, Fault, SynthflowApi, make_calls, serve
from tests.unit.synthflow_server.asking import AGENT, AUTH, make_call


def test_a_page_comes_over_http_as_it_does_in_the_process(synthflow):
    handle = synthflow(make_calls(1, 500, agents=[AGENT], record_bytes=5000))
    target = f"/v2/calls?model_id={AGENT}&limit=100&offset=100"
    answer = requests.get(f"http://{handle.host}:{handle.port}{target}", headers=AUTH, timeout=5)
    assert answer.status_code == 200
    assert answer.content == handle.api.handle("GET", target, AUTH).body
    assert len(answer.content) > 400_000


def test_the_address_is_as_clients_want_it(synthflow):
    handle = synthflow()
    assert handle.url == f"http://127.0.0.1:{handle.port}/v2"


def test_connections_are_kept_alive(synthflow):
    handle = synthflow([make_call("a")])
    request = f"GET /v2/calls/a HTTP/1.1\r\nHost: x\r\nAuthorization: {AUTH['Authorization']}\r\n\r\n".encode()
    with socket.create_connection((handle.host, handle.port), timeout=5) as connection:
        for _ in range(3):
            connection.sendall(request)
            assert b"200 OK" in connection.recv(65_536)
        connection.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert b"Connection: close" in received


def test_a_request_with_a_body_leaves_the_connection_usable(synthflow):
    handle = synthflow([make_call("a")])
    with requests.Session() as session:
        assert session.post(f"{handle.url}/calls", json={"x": 1}, headers=AUTH, timeout=5).status_code == 404
        assert session.get(f"{handle.url}/calls/a", headers=AUTH, timeout=5).status_code == 200


def test_what_is_no_http_is_refused(synthflow):
    handle = synthflow()
    with socket.create_connection((handle.host, handle.port), timeout=5) as connection:
        connection.sendall(b"hello\r\n\r\n")
        assert b"400 Bad Request" in connection.recv(100)


def test_requests_are_answered_side_by_side(synthflow):
    handle = synthflow([make_call("a")], behaviour=Behaviour(latency_s=0.2))
    begin = time.monotonic()
    threads = [
        threading.Thread(target=requests.get, args=(f"{handle.url}/calls/a",), kwargs={"headers": AUTH, "timeout": 5})
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.2 <= time.monotonic() - begin < 0.8
    assert len(handle.api.requests) == 5


def test_a_paused_server_refuses_connections_and_breaks_those_there_are(synthflow):
    handle = synthflow([make_call("a")])
    with requests.Session() as session:
        url = f"{handle.url}/calls/a"
        assert session.get(url, headers=AUTH, timeout=5).status_code == 200
        handle.pause()
        with pytest.raises(requests.ConnectionError, match=r"refused"):
            session.get(url, headers=AUTH, timeout=5)
        handle.resume()
        assert session.get(url, headers=AUTH, timeout=5).status_code == 200
    assert handle.url in url


def test_a_closed_server_does_not_wait_for_answers_that_stall():
    with serve(SynthflowApi([], faults=[Fault(kind="timeout_before_headers", seconds=60)])) as handle:
        with pytest.raises(requests.RequestException, match="timed out"):
            requests.get(f"{handle.url}/calls", headers=AUTH, timeout=0.1)
        begin = time.monotonic()
    assert time.monotonic() - begin < 1


def test_two_servers_have_ports_of_their_own(synthflow):
    assert synthflow().port != synthflow().port


def test_the_servers_own_faults_are_seen(synthflow, capsys, monkeypatch):
    handle = synthflow()
    monkeypatch.setattr(handle.api, "handle", lambda *_: 1 / 0)
    with pytest.raises(requests.ConnectionError):
        requests.get(handle.url, timeout=5)
    handle.close()
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_broken_connections_are_not_told_of(synthflow, capsys):
    handle = synthflow(faults=[Fault(kind="reset")])
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{handle.url}/calls", headers=AUTH, timeout=5)
    handle.close()
    assert capsys.readouterr().err == ""


def test_records_encoded_beforehand_are_the_same(synthflow):
    calls = make_calls(1, 50, agents=[AGENT])
    warm, cold = SynthflowApi(calls), SynthflowApi(calls)
    warm.warm()
    target = f"/v2/calls?model_id={AGENT}&limit=100"
    assert warm.handle("GET", target, AUTH).body == cold.handle("GET", target, AUTH).body
