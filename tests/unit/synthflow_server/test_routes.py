# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
import requests

from tests.synthflow_server import Behaviour, SimulatedClock, SynthflowApi, agent_ids, audio, make_calls
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS
from tests.unit.synthflow_server.asking import AUTH, T0, ask, make_call

DAY = "2026-11-18"  # of T0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/calls"),
        ("GET", "/v2/call"),
        ("GET", "/v2/calls/"),
        ("GET", "/v2/assistants"),
        ("GET", "/v2/calls/a/b"),
        ("POST", "/v2/calls"),
        ("DELETE", "/v2/calls/a"),
    ],
)
def test_anything_else_is_404(method, path):
    answer = SynthflowApi([make_call("a")]).handle(method, path, AUTH)
    assert (answer.status, answer.json()) == (404, {"detail": "Not Found"})


# --- one call


def test_one_call_comes_in_the_same_envelope():
    response = ask(SynthflowApi([make_call("a"), make_call("b")]), "/v2/calls/a").json()["response"]
    assert response["pagination"]["total_records"] == 1
    assert [row["call_id"] for row in response["calls"]] == ["a"]


def test_an_id_may_need_to_be_decoded():
    assert ask(SynthflowApi([make_call("a b")]), "/v2/calls/a%20b").status == 200


def test_a_call_that_is_unknown_or_not_listed_yet_is_404():
    clock = SimulatedClock(T0)
    api = SynthflowApi([make_call("a", 100)], clock=clock)
    assert [ask(api, f"/v2/calls/{name}").status for name in ("a", "z")] == [404, 404]
    clock.advance(100)
    assert ask(api, "/v2/calls/a").status == 200


# --- recordings


def test_a_recording_is_a_redirect_to_the_same_signed_address_each_time(synthflow):
    handle = synthflow([make_call("a")])
    url = f"{handle.url}/calls/a/recording"
    answers = [requests.get(url, headers=AUTH, timeout=5, allow_redirects=False) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 302]
    location = answers[0].headers["Location"]
    assert location == answers[1].headers["Location"]
    assert location.startswith(f"http://127.0.0.1:{handle.port}/signed/")
    assert requests.get(location, timeout=5).content == audio("a")


def test_a_key_that_follows_the_redirect_is_seen(synthflow):
    handle = synthflow([make_call("a")])
    requests.get(f"{handle.url}/calls/a/recording", headers=AUTH, timeout=5)
    requests.get(f"http://127.0.0.1:{handle.port}/signed/x", timeout=5)
    assert [received.had_key for received in handle.api.requests_to("signed")] == [True, False]


def test_the_signed_address_can_be_on_another_host():
    api = SynthflowApi([make_call("a")], behaviour=Behaviour(signed_base="http://store.test"))
    assert ask(api, "/v2/calls/a/recording").headers["Location"].startswith("http://store.test/signed/")


def test_a_call_without_a_recording_has_none():
    api = SynthflowApi([make_call("a", recording_url=None), make_call("b")], clock=SimulatedClock(T0 + 1))
    assert [ask(api, f"/v2/calls/{name}/recording").status for name in "abz"] == [404, 404, 404]
    api.clock.advance(10**6)
    assert [ask(api, f"/v2/calls/{name}/recording").status for name in "abz"] == [404, 302, 404]


# --- agents


def test_agents_are_those_that_have_calls_or_those_given():
    calls = make_calls(1, 200)
    listed = ask(SynthflowApi(calls), "/v2/assistants/").json()["response"]["assistants"]
    assert [one["model_id"] for one in listed] == sorted(agent_ids(3))
    api = SynthflowApi(calls, assistants=["x", {"model_id": "y", "name": "Y"}])
    listed = ask(api, "/v2/assistants/").json()["response"]["assistants"]
    assert [one["model_id"] for one in listed] == ["x", "y"]


def test_agents_come_in_pages():
    api = SynthflowApi([], assistants=[f"m{n}" for n in range(45)])
    pages = [ask(api, "/v2/assistants/", offset=offset).json()["response"] for offset in (0, 20, 40, 60)]
    assert [len(one["assistants"]) for one in pages] == [20, 20, 5, 0]
    assert pages[1]["assistants"][0]["model_id"] == "m20"
    assert [one["pagination"] for one in pages[2:]] == [
        {"total_records": 45, "limit": 20, "offset": 40},
        {"total_records": 45, "limit": 20, "offset": 60},
    ]


def test_agents_take_a_limit_of_one():
    api = SynthflowApi([], assistants=["a", "b"])
    assert len(ask(api, "/v2/assistants/", limit=1).json()["response"]["assistants"]) == 1
    assert ask(api, "/v2/assistants/", limit=0).status == 400
    assert ask(api, "/v2/assistants/", limit="x").status == 422


# --- analytics


def test_analytics_count_each_call_on_the_day_it_started():
    calls = make_calls(3, 600)
    api = SynthflowApi(calls)
    body = ask(api, "/v2/analytics/", from_date="2026-11-09T00:00:00Z", to_date="2026-11-23T00:00:00Z").json()
    days, statuses = body["duration_metrics"]["series"], body["call_status_stat"]["series"]
    assert [day["date"] for day in days] == [f"2026-11-{n:02}" for n in range(9, 23)]
    assert sum(day["total_calls"] for day in days) == 600
    first = sum(call.start_ms < DEFAULT_FROM_MS + DAY_MS for call in calls)
    assert days[0]["total_calls"] == sum(count for name, count in statuses[0].items() if name != "date") == first


def test_analytics_are_of_one_agent_or_one_type_where_asked():
    calls = [make_call("a", type_of_call="inbound"), make_call("b", type_of_call="outbound", model_id="x")]
    api = SynthflowApi(calls)
    stretch = {"from_date": DAY, "to_date": "2026-11-19"}
    for query in ({"model_id": "x"}, {"type_of_call": "inbound"}):
        (day,) = ask(api, "/v2/analytics/", **stretch, **query).json()["duration_metrics"]["series"]
        assert day["total_calls"] == 1


@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        ("2026-07-26", "2026-11-23", 200),
        ("2026-07-25", "2026-11-23", 400),
        ("2026-11-23", "2026-11-22", 400),
        ("yesterday", "2026-11-22", 422),
    ],
)
def test_analytics_take_at_most_120_days(first, last, status):
    assert ask(SynthflowApi([]), "/v2/analytics/", from_date=first, to_date=last).status == status
