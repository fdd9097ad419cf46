# SPDX-License-Identifier: Apache-2.0
"""Requests from an event loop are those of a task: same way, same patience, same answers."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_synthflow.client import async_client
from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient, shared_http_client
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowTransientError
from tests.synthflow_server import Fault
from tests.unit.client.making import make_client, make_settings
from tests.unit.making import AGENT, many_calls

QUERY = CallsQuery(AGENT)


def page(settings, slept=None):
    async def sleep(seconds):
        if slept is not None:
            slept.append(seconds)

    async def ask():
        async with shared_http_client(settings) as http:
            client = AsyncSynthflowClient(settings, http, sleep=sleep)
            return await client.page(QUERY, 100, 0), client

    return asyncio.run(ask())


@pytest.fixture(autouse=True)
def no_proxy_of_this_machine(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def test_a_page_is_the_same_and_asked_for_alike(synthflow):
    handle = synthflow(many_calls(3))

    found, _ = page(make_settings(handle.url))
    expected = make_client(handle.url).page(QUERY, 100, 0)

    assert found == expected
    mine, theirs = handle.api.requests
    assert (mine.method, mine.target) == (theirs.method, theirs.target)
    for name in ("authorization", "user-agent", "accept"):
        assert mine.headers[name] == theirs.headers[name]


def test_a_large_page_is_read_beside_the_event_loop(synthflow, monkeypatch):
    handle = synthflow(many_calls(3, transcript="x" * 200_000))
    beside = []
    to_thread = asyncio.to_thread
    monkeypatch.setattr(asyncio, "to_thread", lambda act, *rest: beside.append(act.__name__) or to_thread(act, *rest))

    found, _ = page(make_settings(handle.url))

    assert len(found.rows) == 3
    assert "read_answer" in beside


def test_a_request_is_tried_again_as_often_and_as_patiently(synthflow):
    handle = synthflow(many_calls(1), faults=[Fault(status=503, headers={"Retry-After": "7"}, at=(1, 2))])
    slept = []

    _, client = page(make_settings(handle.url, max_attempts=3), slept)

    assert (client.requests, client.retries) == (3, 2)
    assert sum(seconds >= 7 for seconds in slept) >= 2


def test_a_request_is_given_up_after_as_many_tries(synthflow):
    handle = synthflow(faults=[Fault(status=500)])

    with pytest.raises(SynthflowTransientError, match="Gave up after 2 tries") as caught:
        page(make_settings(handle.url, max_attempts=2))

    assert caught.value.attempts == len(handle.api.requests) == 2


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://127.0.0.1:8080/v2", {"HTTP_PROXY": "http://p.test:3128"}, None),
        ("https://api.synthflow.ai/v2", {"HTTPS_PROXY": "http://p.test:3128"}, "http://p.test:3128"),
        ("https://api.synthflow.ai/v2", {"HTTPS_PROXY": "p.test:3128"}, "http://p.test:3128"),
        ("https://api.synthflow.ai/v2", {"ALL_PROXY": "http://p.test:3128"}, "http://p.test:3128"),
        ("https://api.synthflow.ai/v2", {"HTTPS_PROXY": "http://p.test:3128", "NO_PROXY": "synthflow.ai"}, None),
        ("https://api.synthflow.ai/v2", {}, None),
    ],
)
def test_a_proxy_is_taken_as_tasks_take_it(monkeypatch, url, environment, proxy):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    found = async_client._proxy(make_settings(url))

    assert (found.rstrip("/") if found else None) == proxy


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_certificates_are_those_that_tasks_trust(monkeypatch, name):
    monkeypatch.setenv(name, "/nowhere/ca.pem")

    assert async_client._bundle(make_settings("http://127.0.0.1:1/v2")) != "/nowhere/ca.pem"
    with pytest.raises(SynthflowConfigError, match="holds no certificates that can be read"):
        page(make_settings())


def test_a_proxy_that_cannot_be_used_is_told_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "gopher://user:secret-word@p.test")

    with pytest.raises(SynthflowConfigError, match="The proxy that the environment names") as caught:
        page(make_settings())

    assert "secret-word" not in str(caught.value)


def test_certificates_are_read_once(monkeypatch):
    made = []
    create = async_client.ssl.create_default_context
    monkeypatch.setattr(async_client, "_trusted", {})
    monkeypatch.setattr(async_client.ssl, "create_default_context", lambda **how: made.append(how) or create(**how))

    async def many():
        async def one():
            async with shared_http_client(make_settings()):
                await asyncio.sleep(0.01)

        await asyncio.gather(*[one() for _ in range(50)])

    asyncio.run(many())

    assert len(made) == 1
