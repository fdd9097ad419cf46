# SPDX-License-Identifier: Apache-2.0
"""Requests from an event loop are those of a task: same way, same patience, same answers."""

from __future__ import annotations

import asyncio

import pytest

from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient, shared_http_client
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowTransientError
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
    assert "answer" in beside


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


@pytest.mark.parametrize("steps", range(6))
def test_a_cancellation_that_comes_together_with_the_answer_is_heeded(synthflow, monkeypatch, steps):
    """A trigger that Airflow cancels must not go on."""
    settings = make_settings(synthflow().url)
    receive = AsyncSynthflowClient._receive

    async def cancel():
        arrived = asyncio.get_running_loop().create_future()

        async def hold_back(client, path, parameters):
            answer = await receive(client, path, parameters)
            arrived.set_result(None)
            await released
            return answer

        released = asyncio.get_running_loop().create_future()
        monkeypatch.setattr(AsyncSynthflowClient, "_receive", hold_back)
        async with AsyncSynthflowClient.open(settings) as client:
            asked = asyncio.create_task(client.page(QUERY, 100, 0))
            await arrived
            released.set_result(None)
            for _ in range(steps):
                await asyncio.sleep(0)
            was_under_way = asked.cancel()
            await asyncio.wait({asked})
            return was_under_way, asked.cancelled()

    was_under_way, is_cancelled = asyncio.run(cancel())
    assert is_cancelled == was_under_way
