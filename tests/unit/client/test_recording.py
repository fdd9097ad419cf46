# SPDX-License-Identifier: Apache-2.0
"""A recording is downloaded whole or not at all, from where the API leads to, and never with the key."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading

import pytest
from requests.adapters import HTTPAdapter

from airflow_provider_synthflow.client.recording import RecordingDownloader
from airflow_provider_synthflow.client.recording_file import HashedFile
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from tests.synthflow_server import Behaviour, Fault, SimulatedClock, audio, serve_recordings
from tests.synthflow_server.dataset import DAY_MS
from tests.unit.client.making import make_client
from tests.unit.synthflow_server.asking import T0, make_call

HTML = b"<!DOCTYPE html><html><body>Sign in</body></html>"


class Place:
    """Where a recording goes: the bytes of the tries that ended well, and the names' endings."""

    def __init__(self):
        self.stored = []
        self.endings = []

    @contextlib.contextmanager
    def open(self, ending):
        self.endings.append(ending)
        file = io.BytesIO()
        yield HashedFile(file)
        self.stored.append(file.getvalue())


@pytest.fixture
def recorded(synthflow):
    """Give a function that starts an API with recordings on another origin, and makes a client to it."""
    with contextlib.ExitStack() as hosts:

        def start(*, calls=None, behaviour=Behaviour(), max_attempts=3, timeout=5.0, **options):  # noqa: B008
            clock = SimulatedClock(T0 + DAY_MS)
            handle = synthflow(calls or [make_call("a")], behaviour=behaviour, clock=clock, **options)
            host = hosts.enter_context(serve_recordings(handle.api))
            client = make_client(handle.url, max_attempts=max_attempts, timeout=timeout)
            hosts.enter_context(client)
            return handle, host, client

        yield start


def download(client, call_id="a", **options):
    place = Place()
    with RecordingDownloader(client, **options) as downloader:
        return downloader.download(call_id, place.open), place


def failure(client, kind, call_id="a", **options):
    place = Place()
    with RecordingDownloader(client, **options) as downloader, pytest.raises(kind) as caught:
        downloader.download(call_id, place.open)
    assert place.stored == []
    return caught.value


@pytest.mark.parametrize("size", [1, 2, 9, 2000, 200_000, 1_000_001])
@pytest.mark.parametrize("length", ["exact", "absent", "chunked"])
def test_all_bytes_come_with_their_number_and_hash(recorded, size, length):
    _, _, client = recorded(behaviour=Behaviour(recording_bytes=size, recording_length=length))
    recording, place = download(client)
    (stored,) = place.stored
    assert stored == audio("a", size)
    assert recording.bytes == size
    assert recording.sha256 == hashlib.sha256(stored).hexdigest()
    assert recording.content_type == "audio/mpeg"


def test_the_key_goes_to_the_api_and_to_no_other_host(recorded):
    handle, host, client = recorded(behaviour=Behaviour(recording_redirects=3))
    download(client)
    api, *signed = handle.api.requests
    assert api.had_key
    assert len(signed) == 4
    assert {received.headers["host"] for received in signed} == {f"127.0.0.1:{host.port}"}
    assert not any(received.had_key for received in signed)
    assert not any("test-key" in repr(received) for received in signed)


def test_a_netrc_adds_no_password_to_a_signed_address(recorded, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    handle, _, client = recorded()
    download(client)
    assert not any(received.had_key for received in handle.api.requests_to("signed"))


@pytest.mark.parametrize("kind", ["mp3", "wav", "ogg"])
@pytest.mark.parametrize("content_type", ["true", "octet-stream", "absent"])
def test_the_ending_is_told_by_the_type_or_by_the_bytes(recorded, kind, content_type):
    _, _, client = recorded(behaviour=Behaviour(recording_format=kind, recording_type=content_type))
    _, place = download(client)
    assert place.endings == [kind]


@pytest.mark.parametrize("length", ["more", "less"])
@pytest.mark.parametrize("size", [500, 20_000, 300_000])
def test_a_body_of_another_length_than_declared_is_none(recorded, length, size):
    handle, _, client = recorded(behaviour=Behaviour(recording_length=length, recording_bytes=size))
    error = failure(client, SynthflowTransientError)
    assert error.attempts == 3
    assert "\n" not in str(error)
    assert "run the task again" in str(error)
    assert len(handle.api.requests_to("recording")) == 3


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html", HTML),
        ("text/html; charset=utf-8", b"\x00not even readable"),
        ("text/plain", b"Access denied"),
        ("application/json", b'{"detail": "gone"}'),
        ("audio/mpeg", HTML),
        ("audio/mpeg", b"  \n<?xml version='1.0'?><Error/>"),
        ("audio/wav", b'{"detail": "gone"}'),
        ("binary/octet-stream", HTML),
        (None, b"upstream says no"),
        (None, "Zugriff verweigert: später".encode()),
        ("audio/mpeg", b""),
        (None, b""),
    ],
)
def test_a_text_a_page_and_nothing_are_no_recordings(recorded, content_type, body):
    handle, _, client = recorded()
    handle.api.recordings.bodies["a"] = (content_type, body)
    assert failure(client, SynthflowTransientError).attempts == 3


@pytest.mark.parametrize(
    ("content_type", "body", "ending"),
    [
        ("text/plain", audio("a", kind="wav"), "wav"),
        ("audio/x-unheard-of", b"some bytes of a format that is yet to come", "bin"),
        ("audio/mpeg; charset=binary", b"plain letters", "mp3"),
        (None, b"\x00\x01\x02\x03", "bin"),
        ("application/octet-stream", b"\xff\xfb\x90\x64" + bytes(100), "mp3"),
        ("", b"\x00\x00\x00\x20ftypM4A ", "m4a"),
    ],
)
def test_what_may_be_audio_is_taken(recorded, content_type, body, ending):
    handle, _, client = recorded()
    handle.api.recordings.bodies["a"] = (content_type, body)
    _, place = download(client)
    assert place.stored == [body]
    assert place.endings == [ending]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(route="signed", kind="status", status=503, times=2),
        Fault(route="signed", kind="status", status=403, times=2),
        Fault(route="signed", kind="truncated_body", times=2),
        Fault(route="signed", kind="reset", times=2),
        Fault(route="signed", kind="html", times=2),
        Fault(route="signed", kind="empty_body", times=2),
        Fault(route="recording", kind="status", status=502, times=2),
    ],
    ids=lambda fault: f"{fault.route}-{fault.kind}-{fault.status}",
)
def test_what_passes_is_tried_again_with_a_new_address(recorded, fault):
    handle, _, client = recorded(faults=[fault])
    _, place = download(client)
    assert place.stored == [audio("a")]
    assert len(handle.api.requests_to("recording")) == 3


def test_what_stalls_is_given_up_after_the_timeout_for_each_read(recorded):
    _, _, client = recorded(
        faults=[Fault(route="signed", kind="timeout_mid_body", seconds=5.0)], timeout=0.2, max_attempts=2
    )
    assert failure(client, SynthflowTransientError).attempts == 2


def test_a_slow_recording_may_take_longer_than_the_timeout(recorded):
    _, _, client = recorded(behaviour=Behaviour(recording_bytes=600_000, recording_pause_s=0.05), timeout=0.3)
    _, place = download(client)
    assert place.stored == [audio("a", 600_000)]


def test_an_address_that_has_expired_is_asked_for_anew(recorded):
    handle, _, client = recorded(behaviour=Behaviour(signed_life_ms=1000))
    api = handle.api
    ask = api.recordings.address

    def address(base, call_id, now_ms, behaviour):
        made = ask(base, call_id, now_ms, behaviour)
        if len(api.requests_to("recording")) == 1:
            api.clock.advance(1000)  # it expires on its way
        return made

    api.recordings.address = address
    _, place = download(client)
    assert place.stored == [audio("a")]
    assert [received.status for received in api.requests_to("signed")] == [403, 200]


@pytest.mark.parametrize(("status", "kind"), [(403, SynthflowAuthError), (404, SynthflowRequestError)])
def test_a_refusal_of_the_api_is_final(recorded, status, kind):
    handle, _, client = recorded()
    handle.api.recordings.statuses["a"] = status
    assert failure(client, kind).status == status
    assert len(handle.api.requests) == 1


def test_an_address_with_nothing_behind_it_is_asked_for_once_more_and_then_no_recording(recorded):
    handle, _, client = recorded(faults=[Fault(route="signed", kind="status", status=404)])
    assert failure(client, SynthflowRequestError).status == 404
    assert len(handle.api.requests_to("recording")) == 2


def test_an_address_may_lead_on_three_times_and_no_more(recorded):
    handle, _, client = recorded(behaviour=Behaviour(recording_redirects=3))
    _, place = download(client)
    assert place.stored == [audio("a")]
    handle.api.behaviour = Behaviour(recording_redirects=4, signed_base=handle.api.behaviour.signed_base)
    assert "more than 3 times" in str(failure(client, SynthflowProtocolError))


@pytest.mark.parametrize(
    "address",
    [
        "http://store.test/a.mp3?X-Sig=planted",
        "ftp://store.test/a.mp3?X-Sig=planted",
        "file:///etc/passwd",
        "https://user:planted@store.test/a.mp3",
        "https:///a.mp3?X-Sig=planted",
        "https://store.test:port/a.mp3?X-Sig=planted",
        "http://10.0.0.1/a.mp3?X-Sig=planted",
    ],
)
@pytest.mark.parametrize("route", ["recording", "signed"])
def test_an_address_that_is_not_https_is_not_asked(recorded, address, route):
    _, _, client = recorded(faults=[Fault(route=route, kind="redirect", location=address)])
    error = failure(client, SynthflowProtocolError)
    assert "not https" in str(error)
    assert "planted" not in str(error)


def test_a_recording_above_max_bytes_is_refused_before_it_is_read_where_its_length_is_told(recorded):
    _, _, client = recorded(behaviour=Behaviour(recording_bytes=5000))
    error = failure(client, SynthflowConfigError, max_bytes=4999)
    assert "max_bytes" in str(error)
    _, place = download(client, max_bytes=5000)
    assert place.stored == [audio("a", 5000)]


@pytest.mark.parametrize("length", ["absent", "chunked"])
def test_a_recording_above_max_bytes_is_refused_without_a_length_too(recorded, length):
    _, _, client = recorded(behaviour=Behaviour(recording_bytes=1_000_000, recording_length=length))
    failure(client, SynthflowConfigError, max_bytes=999_999)


def test_a_failure_of_the_place_it_goes_to_is_not_tried_again(recorded):
    handle, _, client = recorded()

    for error in (SynthflowTransientError("The store failed."), OSError(28, "full"), RuntimeError()):

        @contextlib.contextmanager
        def open_sink(_, error=error):
            yield HashedFile(io.BytesIO())
            raise error

        before = len(handle.api.requests)
        with RecordingDownloader(client) as downloader, pytest.raises(type(error)) as caught:
            downloader.download("a", open_sink)
        assert caught.value is error
        assert len(handle.api.requests) == before + 2


def test_closing_ends_what_is_under_way_at_once(recorded):
    _, _, client = recorded(behaviour=Behaviour(recording_bytes=10_000_000, recording_pause_s=30.0), timeout=60.0)
    begun, errors = threading.Event(), []
    downloader = RecordingDownloader(client)
    send = HTTPAdapter.send

    def run():
        try:
            downloader.download("a", Place().open)
        except SynthflowError as error:
            errors.append(error)

    def sent(self, *arguments, **options):
        answer = send(self, *arguments, **options)
        if "/signed/" in answer.request.url:
            begun.set()
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPAdapter, "send", sent)
        thread = threading.Thread(target=run)
        thread.start()
        assert begun.wait(10)
        client.close()
        while thread.is_alive():  # it may be between its answer and the first read
            downloader.close()
            thread.join(0.05)
    assert len(errors) == 1


def test_a_connection_serves_one_recording_after_the_other(recorded):
    calls = [make_call(name) for name in "abc"]
    handle, host, client = recorded(calls=calls)
    accepted = []
    serve = host._server.process_request
    host._server.process_request = lambda *arguments: (accepted.append(1), serve(*arguments))[1]
    with RecordingDownloader(client) as downloader:
        for name in "abc":
            place = Place()
            downloader.download(name, place.open)
            assert place.stored == [audio(name)]
    assert len(accepted) == 1
    assert len(handle.api.requests_to("signed")) == 3


def test_the_bytes_are_told_while_they_come(recorded):
    _, _, client = recorded(behaviour=Behaviour(recording_bytes=1_000_000))
    told = []
    download(client, on_bytes=told.append)
    assert sum(told) == 1_000_000
    assert len(told) > 1
