# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from airflow_provider_synthflow.client import connection_check as check
from airflow_provider_synthflow.client import settings
from airflow_provider_synthflow.client.connection_check import check_connection
from airflow_provider_synthflow.client.settings import Settings
from tests.synthflow_server import TEST_KEY, Answer, Behaviour, Fault
from tests.unit.client.making import make_settings

WRONG = "wrong-key-9876543210"


@pytest.fixture
def regions(synthflow, monkeypatch):
    """Start a server for each region; give them by name."""
    handles = {name: synthflow() for name in ("global", "us", "eu")}
    urls = {name: handle.url for name, handle in handles.items()}
    monkeypatch.setattr(settings, "REGIONS", urls)
    monkeypatch.setattr(check, "REGIONS", urls)
    return handles


def connection(region=None, host=None, key=TEST_KEY):
    extra = {} if region is None else {"region": region}
    return Settings.from_connection(password=key, host=host, extra=extra)


def knows(handle, key=TEST_KEY):
    """Let a region know one key only."""
    handle.api.behaviour = Behaviour(require_key=frozenset({key}))


def test_a_good_key_is_connected_and_the_host_is_named(synthflow):
    handle = synthflow()
    found = check_connection(make_settings(handle.url))
    assert found == (True, f"Connected to 127.0.0.1:{handle.port}: the API accepts the key.")


def test_the_check_is_one_authenticated_request_for_one_agent_that_costs_nothing(synthflow):
    handle = synthflow()
    check_connection(make_settings(handle.url))
    (received,) = handle.api.requests
    assert (received.method, received.path, received.query) == ("GET", "/v2/assistants/", {"limit": "1"})
    assert received.headers["authorization"] == f"Bearer {TEST_KEY}"


@pytest.mark.parametrize("region", ["global", "us", "eu"])
def test_a_good_key_in_its_region_asks_no_other_one(regions, region):
    good, text = check_connection(connection(region))
    assert (good, text[:9]) == (True, "Connected")
    assert {name: len(handle.api.requests) for name, handle in regions.items()} == {
        name: int(name == region) for name in regions
    }


def test_a_key_of_another_region_is_told_with_that_region(regions):
    for name, handle in regions.items():
        knows(handle, TEST_KEY if name == "eu" else "another")
    good, text = check_connection(connection("us"))
    assert not good
    assert text.startswith("Region: ")
    assert "region 'eu' does. Set the connection's region to 'eu'." in text


def test_a_key_that_another_region_knows_but_does_not_entitle_is_of_that_region(regions):
    for name, handle in regions.items():
        entitled = Behaviour(require_key=frozenset({"another"}), key_not_entitled=frozenset({TEST_KEY}))
        handle.api.behaviour = entitled if name == "us" else Behaviour(require_key=frozenset({"another"}))
    good, text = check_connection(connection("global"))
    assert not good
    assert "Set the connection's region to 'us'." in text


def test_a_key_that_no_region_knows_is_a_wrong_key(regions):
    good, text = check_connection(connection("eu", key=WRONG))
    assert not good
    assert re.match(r"Key: 127\.0\.0\.1:\d+ does not accept the key \(HTTP 401\), and no other region does\.", text)
    assert all(len(handle.api.requests) == 1 for handle in regions.values())


def test_where_another_region_does_not_answer_the_key_is_not_called_wrong_for_sure(regions):
    regions["us"].pause()
    good, text = check_connection(connection("eu", key=WRONG))
    assert not good
    assert text.startswith("Key or region: ")
    assert text.endswith("us could not be asked.")


def test_a_wrong_key_at_a_host_of_ones_own_is_told_with_both_causes(regions, synthflow):
    handle = synthflow()
    good, text = check_connection(connection(host=handle.url, key=WRONG))
    assert not good
    assert text.startswith(f"Key or region: 127.0.0.1:{handle.port} does not accept the key (HTTP 401).")
    assert all(other.api.requests == [] for other in regions.values())


def test_a_host_of_synthflow_in_place_of_a_region_is_told_which_region_takes_the_key(regions):
    for name, handle in regions.items():
        knows(handle, TEST_KEY if name == "eu" else "another")
    good, text = check_connection(connection(host=regions["us"].url))
    assert not good
    assert "region 'eu' does. Set the connection's region to 'eu' and leave its host empty." in text


@pytest.mark.parametrize(
    "host", ["api.us.synthflow.ai", "https://API.us.Synthflow.ai:443/v2", "http://api.us.synthflow.ai"]
)
def test_however_a_host_of_synthflow_is_written_only_the_others_are_asked_and_over_https(monkeypatch, host):
    asked = []

    def refuse(settings):
        asked.append(settings.base_url)
        raise check.SynthflowAuthError("no", status=401)

    monkeypatch.setattr(check, "_ask", refuse)
    own = Settings.from_connection(password=TEST_KEY, host=host, extra={"allow_insecure": True})
    good, _ = check_connection(own)
    assert not good
    assert asked == [own.base_url, "https://api.synthflow.ai/v2", "https://api.eu.synthflow.ai/v2"]


@pytest.mark.parametrize(
    "host", ["api.eu.synthflow.ai.evil.test", "evil.test", "eu.synthflow.ai", "api.eu.synthflow.ai:8443"]
)
def test_no_other_host_is_asked_where_this_one_is_not_synthflows(monkeypatch, host):
    asked = []

    def refuse(settings):
        asked.append(settings.base_url)
        raise check.SynthflowAuthError("no", status=401)

    monkeypatch.setattr(check, "_ask", refuse)
    check_connection(Settings.from_connection(password=TEST_KEY, host=host))
    assert len(asked) == 1


def test_a_key_that_is_not_entitled_is_told_as_such(synthflow):
    handle = synthflow(behaviour=Behaviour(key_not_entitled=frozenset({TEST_KEY})))
    good, text = check_connection(make_settings(handle.url))
    assert not good
    assert "the key is not entitled" in text
    assert "HTTP 403" in text


def test_nobody_listening_is_the_network(synthflow):
    handle = synthflow()
    handle.pause()
    good, text = check_connection(make_settings(handle.url))
    assert not good
    assert text.startswith(f"Network: 127.0.0.1:{handle.port} refused the connection: nothing listens there.")
    assert text.endswith("The key and the region could not be checked.")


def test_an_answer_that_does_not_come_is_the_network(synthflow):
    handle = synthflow(faults=[Fault(kind="timeout_before_headers", route="assistants")])
    good, text = check_connection(make_settings(handle.url, timeout=0.05))
    assert not good
    assert text.startswith("Network: ")
    assert "did not answer within 0.05 s" in text


def test_an_impossible_host_is_the_network():
    good, text = check_connection(make_settings("http://exa mple.test/v2"))
    assert not good
    assert text.startswith("Network: The connection's host is not a valid address")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_reached(synthflow, status):
    handle = synthflow(faults=[Fault(status=status, route="assistants")])
    good, text = check_connection(make_settings(handle.url))
    assert not good
    assert text.startswith(f"127.0.0.1:{handle.port} answers, but with an error: ")
    assert f"HTTP {status}" in text
    assert len(handle.api.requests) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="html"),
        Fault(status=404, error_body="html"),
        Fault(kind="redirect"),
        Fault(kind="empty_body"),
        Fault(kind="no_calls"),
        Fault(status=405),
    ],
    ids=["html", "404", "redirect", "empty", "other json", "405"],
)
def test_what_is_not_the_api_is_told_as_such(synthflow, monkeypatch, fault):
    handle = synthflow(faults=[Fault(**{**vars(fault), "route": "assistants"})])
    if fault.kind == "no_calls":
        monkeypatch.setattr(handle.api, "handle", lambda *_: Answer.of_json(200, {"hello": "world"}))
    good, text = check_connection(make_settings(handle.url))
    assert not good
    assert text.startswith(f"Host: what answers at {handle.url} is not the Synthflow API. ")


@pytest.mark.parametrize(
    "fault", [None, *(Fault(status=status, route="assistants") for status in (403, 404, 429, 500))]
)
@pytest.mark.parametrize("key", [TEST_KEY, WRONG])
def test_no_message_holds_the_key(regions, fault, key):
    for handle in regions.values():
        handle.api.arm(*filter(None, [fault]))
    _, text = check_connection(connection("eu", key=key))
    assert key not in text


def test_the_check_takes_ten_seconds_at_the_most_for_a_request(mocker):
    asked = mocker.patch.object(check, "SynthflowClient", side_effect=check.SynthflowTransientError("down"))
    check_connection(make_settings(timeout=300.0, max_attempts=9))
    check_connection(make_settings(timeout=2.0))
    used = [call.args[0] for call in asked.call_args_list]
    assert [(each.timeout, each.max_attempts) for each in used] == [(10.0, 1), (2.0, 1)]
