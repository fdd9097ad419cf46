# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import pytest

from tests.synthflow_server import TEST_KEY, Behaviour, SimulatedClock, SynthflowApi
from tests.unit.synthflow_server.asking import AGENT, T0, ask


def api_of(**switches):
    return SynthflowApi([], behaviour=Behaviour(**switches), clock=SimulatedClock(T0))


@pytest.mark.parametrize("header", [None, "", TEST_KEY, f"Basic {TEST_KEY}", "Bearer wrong", f"bearer {TEST_KEY}"])
@pytest.mark.parametrize("path", ["/v2/calls?model_id=a", "/v2/calls/x", "/v2/assistants/", "/v2/analytics/"])
def test_a_request_without_a_good_key_is_401(header, path):
    answer = api_of().handle("GET", path, {} if header is None else {"Authorization": header})
    assert answer.status == 401
    detail = answer.json()["detail"]
    assert set(detail) == {"status", "description", "timestamp", "request_id", "category"}
    assert detail["request_id"] == answer.headers["X-Request-Id"]


def test_several_keys_can_be_good():
    api = api_of(require_key={"one", "two"})
    assert [ask(api, key=key).status for key in ("one", "two", TEST_KEY)] == [200, 200, 401]


def test_a_key_that_is_not_entitled_is_403():
    assert ask(api_of(key_not_entitled={"poor"}), key="poor").status == 403


def test_in_the_wrong_region_every_key_is_401():
    assert ask(api_of(wrong_region=True)).status == 401


def test_requests_beyond_the_rate_are_429_until_the_minute_has_passed():
    api = api_of(rate_limit_per_minute=2, rate_clock="api")
    assert [ask(api).status for _ in range(3)] == [200, 200, 429]
    api.clock.advance(59_999)
    refused = ask(api)
    assert refused.status == 429
    assert refused.json()["detail"]["description"] == "429: Rate limit exceeded. Your rate limit per minute is 2."
    assert "Retry-After" not in refused.headers
    api.clock.advance(1)
    assert ask(api).status == 200


def test_the_minute_can_be_shorter():
    api = api_of(rate_limit_per_minute=1, rate_window_s=0.05)
    assert [ask(api).status for _ in range(2)] == [200, 429]
    time.sleep(0.06)
    assert ask(api).status == 200


@pytest.mark.parametrize(("form", "sent"), [(30, "30"), ("absurd", "99999999"), ("soon", "soon")])
def test_a_429_tells_when_to_come_back_as_it_is_told_to(form, sent):
    assert ask(api_of(rate_limit_per_minute=0, retry_after=form)).headers["Retry-After"] == sent


def test_a_429_can_tell_a_date():
    api = api_of(rate_limit_per_minute=1, retry_after="date", rate_clock="api")
    ask(api)
    moment = parsedate_to_datetime(ask(api).headers["Retry-After"])
    assert moment.timestamp() == T0 / 1000 + 60


def test_the_latency_is_told_to_whoever_sends_the_answer():
    assert ask(api_of()).delay_s == 0
    assert ask(api_of(latency_s=0.5)).delay_s == 0.5
    assert 0.5 < ask(api_of(latency_s=0.5, latency_jitter_s=0.1)).delay_s < 0.6


def test_each_request_is_remembered():
    api = api_of()
    api.handle("GET", f"/v2/calls?model_id={AGENT}&x=%2B1&x=2", {"AUTHORIZATION": f"Bearer {TEST_KEY}"})
    api.handle("POST", "/v2/calls", {}, b"{}")
    first, second = api.requests
    assert (first.number, first.method, first.path, first.route, first.status) == (1, "GET", "/v2/calls", "calls", 200)
    assert first.query == {"model_id": AGENT, "x": "2"}
    assert "x=%2B1" in first.target
    assert first.had_key
    assert (second.method, second.route, second.status, second.had_key) == ("POST", "", 404, False)
    assert api.requests_to("calls") == [first]
