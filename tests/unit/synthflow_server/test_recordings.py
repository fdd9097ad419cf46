# SPDX-License-Identifier: Apache-2.0
"""The test server's recordings: signed addresses of another origin, and every way in which their bytes may come."""

from __future__ import annotations

import pytest
import requests

from tests.synthflow_server import Behaviour, Fault, SimulatedClock, SynthflowApi, audio, serve_recordings
from tests.synthflow_server.dataset import DAY_MS
from tests.unit.synthflow_server.asking import AUTH, T0, ask, make_call, row_of

HOUR_MS = 3_600_000


@pytest.fixture
def recorded(synthflow):
    """Give a function that starts an API with one call, and its recordings on another origin."""
    hosts = []

    def start(**options):
        clock = SimulatedClock(T0 + HOUR_MS)
        handle = synthflow([make_call("a")], clock=clock, **options)
        host = serve_recordings(handle.api)
        hosts.append(host)
        host.__enter__()
        return handle, clock

    yield start
    for host in hosts:
        host.__exit__(None, None, None)


def address_of(handle):
    answer = requests.get(f"{handle.url}/calls/a/recording", headers=AUTH, timeout=5, allow_redirects=False)
    return answer.headers["Location"]


def test_recordings_are_on_an_origin_of_their_own(recorded):
    handle, _ = recorded()
    address = address_of(handle)
    assert not address.startswith(handle.url.removesuffix("/v2"))
    answer = requests.get(address, timeout=5)
    assert answer.headers["Content-Type"] == "audio/mpeg"
    assert answer.content == audio("a")
    assert requests.get(address.partition("/signed")[0] + "/v2/calls", headers=AUTH, timeout=5).status_code == 404


def test_an_address_is_the_same_for_a_day_and_then_dead(recorded):
    handle, clock = recorded()
    first = address_of(handle)
    clock.advance(DAY_MS - 1)
    assert address_of(handle) == first
    assert requests.get(first, timeout=5).status_code == 200
    clock.advance(1)
    assert requests.get(first, timeout=5).status_code == 403
    second = address_of(handle)
    assert second != first
    assert requests.get(second, timeout=5).status_code == 200
    assert requests.get(second.replace("Signature=", "Signature=0"), timeout=5).status_code == 403


@pytest.mark.parametrize(("kind", "head"), [("mp3", b"ID3"), ("wav", b"RIFF"), ("ogg", b"OggS")])
@pytest.mark.parametrize("content_type", ["true", "octet-stream", "absent"])
def test_a_recording_may_be_of_any_format_with_or_without_its_type(recorded, kind, head, content_type):
    handle, _ = recorded(behaviour=Behaviour(recording_format=kind, recording_type=content_type))
    answer = requests.get(address_of(handle), timeout=5)
    assert answer.content.startswith(head)
    assert len(answer.content) == 2000
    given = answer.headers.get("Content-Type")
    assert {"true": (given or "").startswith("audio/"), "octet-stream": given == "binary/octet-stream"}.get(
        content_type, given is None
    )


def test_a_length_may_be_wrong_or_missing(recorded):
    handle, _ = recorded()
    lengths = {}
    for length in ("exact", "more", "less", "absent", "chunked"):
        handle.api.behaviour = Behaviour(recording_length=length)
        with requests.get(address_of(handle), timeout=5, stream=True) as answer:
            lengths[length] = answer.headers.get("Content-Length")
            if length == "more":
                with pytest.raises(requests.exceptions.ChunkedEncodingError):
                    _ = answer.content
            else:
                assert len(answer.content) == (1990 if length == "less" else 2000)
    assert lengths == {"exact": "2000", "more": "2010", "less": "1990", "absent": None, "chunked": None}


def test_an_address_may_lead_on_through_a_chain(recorded):
    handle, _ = recorded(behaviour=Behaviour(recording_redirects=3))
    answer = requests.get(address_of(handle), timeout=5)
    assert answer.content == audio("a")
    assert len(answer.history) == 3


def test_a_recording_may_come_late():
    clock = SimulatedClock(T0 + 60_000)
    api = SynthflowApi([make_call("a")], clock=clock, behaviour=Behaviour(recordings_after_ms=1000))
    assert ask(api, "/v2/calls/a/recording").status == 404
    clock.advance(1000)
    assert ask(api, "/v2/calls/a/recording").status == 302


@pytest.mark.parametrize("form", ["absent", "null"])
def test_the_field_goes_and_the_recordings_stay(form):
    api = SynthflowApi([make_call("a")])
    assert row_of(api, "a")["recording_url"]
    api.behaviour = Behaviour(recording_urls=form)
    row = row_of(api, "a")
    assert row.get("recording_url") is None
    assert ("recording_url" in row) == (form == "null")
    assert ask(api, "/v2/calls/a").json()["response"]["calls"][0].get("recording_url") is None
    assert ask(api, "/v2/calls/a/recording").status == 302


def test_single_calls_have_a_status_a_size_or_a_body_of_their_own(recorded):
    handle, _ = recorded()
    handle.api.recordings.sizes["a"] = 200_000
    assert requests.get(address_of(handle), timeout=5).content == audio("a", 200_000)
    handle.api.recordings.bodies["a"] = ("text/html", b"<html>no</html>")
    assert requests.get(address_of(handle), timeout=5).text == "<html>no</html>"
    handle.api.recordings.statuses["a"] = 403
    assert ask(handle.api, "/v2/calls/a/recording").status == 403


def test_faults_hit_signed_addresses_too(recorded):
    handle, _ = recorded(faults=[Fault(route="signed", kind="status", status=503, times=1)])
    address = address_of(handle)
    assert [requests.get(address, timeout=5).status_code for _ in range(2)] == [503, 200]


def test_slow_bytes_come_in_the_end(recorded):
    handle, _ = recorded(behaviour=Behaviour(recording_pause_s=0.001, recording_bytes=200_000))
    assert requests.get(address_of(handle), timeout=5).content == audio("a", 200_000)
