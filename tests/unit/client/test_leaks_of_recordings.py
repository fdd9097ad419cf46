# SPDX-License-Identifier: Apache-2.0
"""No error, log, result or manifest of a recording holds the key, or any part of the signed address but its host."""

from __future__ import annotations

import contextlib
import io
import json
import logging

import pytest

from airflow_provider_synthflow.client.recording import RecordingDownloader
from airflow_provider_synthflow.client.recording_file import HashedFile
from airflow_provider_synthflow.exceptions import SynthflowError
from tests.synthflow_server import Behaviour, Fault, serve_recordings
from tests.unit.client.making import make_client
from tests.unit.recordings.keeping import make_job, never_wait, recorded_calls, write_calls
from tests.unit.test_leaks_of_errors import texts_of, texts_of_logs

KEY = "planted-key-without-digits"
SIGNATURE = "X-Amz-Signature"
SECRETS = (KEY, SIGNATURE, "/signed/", "=planted")
ELSEWHERE = f"http://store.test/signed/a.mp3?{SIGNATURE}=planted"

FAULTS = {
    "none": [],
    **{f"HTTP {status}": [Fault(route="signed", kind="status", status=status)] for status in (403, 404, 410, 500, 503)},
    **{
        kind: [Fault(route="signed", kind=kind, seconds=5.0)]
        for kind in ("html", "empty_body", "not_json", "truncated_body", "reset", "timeout_mid_body")
    },
    "no headers in time": [Fault(route="signed", kind="timeout_before_headers", seconds=5.0)],
    "an address that is not https": [Fault(route="recording", kind="redirect", location=ELSEWHERE)],
    "a redirect that is not https": [Fault(route="signed", kind="redirect", location=ELSEWHERE)],
    "an address that is none": [Fault(route="recording", kind="redirect", location=f"https://[/?{SIGNATURE}=planted")],
    "a host that is not there": [
        Fault(route="recording", kind="redirect", location=f"http://127.0.0.1:9/signed/a.mp3?{SIGNATURE}=planted")
    ],
    "redirects without end": [Fault(route="signed", kind="redirect", location=f"/signed/x?{SIGNATURE}=planted")],
}


def leaks(texts):
    return sorted({secret for text in texts for secret in SECRETS if secret in text})


@pytest.fixture
def everything_logged(caplog):
    """Log all levels of all loggers, as on a machine where someone looks for a bug."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "urllib3.util.retry", "requests", "airflow_provider_synthflow"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.fixture
def serve(synthflow):
    with contextlib.ExitStack() as things:

        def start(calls, **options):
            behaviour = Behaviour(require_key=frozenset({KEY}), **options.pop("behaviour", {}))
            handle = synthflow(calls, behaviour=behaviour, **options)
            things.enter_context(serve_recordings(handle.api))
            client = make_client(handle.url, api_key=KEY, max_attempts=2, timeout=1.0)
            return handle, things.enter_context(client)

        yield start


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS.keys())
def test_no_error_and_no_log_of_a_download_tells_a_secret(serve, everything_logged, faults):
    _, client = serve(recorded_calls(1), faults=faults)
    error = None
    with RecordingDownloader(client) as downloader:
        try:
            downloader.download("call-0000", lambda _: contextlib.nullcontext(HashedFile(io.BytesIO())))
        except SynthflowError as caught:
            error = caught
    assert (error is None) == (not faults)
    assert error is None or leaks(texts_of(error)) == []
    assert leaks(texts_of_logs(everything_logged)) == []
    assert everything_logged.records


@pytest.mark.parametrize("length", ["more", "less"])
def test_no_error_of_a_wrong_length_tells_a_secret(serve, everything_logged, length):
    _, client = serve(recorded_calls(1), behaviour={"recording_length": length})
    with RecordingDownloader(client) as downloader, pytest.raises(SynthflowError) as caught:
        downloader.download("call-0000", lambda _: contextlib.nullcontext(HashedFile(io.BytesIO())))
    assert leaks(texts_of(caught.value)) == []
    assert leaks(texts_of_logs(everything_logged)) == []


def test_no_result_no_manifest_and_no_log_of_a_window_tells_a_secret(serve, everything_logged, tmp_path):
    calls = recorded_calls(4)
    handle, client = serve(calls)
    handle.api.recordings.statuses |= {"call-0001": 404, "call-0002": 403}
    result = make_job(write_calls(tmp_path, calls), str(tmp_path / "audio")).run(client, wait=never_wait)
    assert leaks([json.dumps(result)]) == []
    files = [path for path in (tmp_path / "audio").rglob("*") if path.is_file() and path.suffix != ".mp3"]
    assert files
    assert leaks(path.read_text(encoding="utf-8") for path in files) == []
    assert leaks(texts_of_logs(everything_logged)) == []


# --- the guards: what the tests above would find


def test_the_addresses_were_signed_and_the_library_told_of_them(serve, everything_logged):
    handle, client = serve(recorded_calls(1))
    with RecordingDownloader(client) as downloader:
        downloader.download("call-0000", lambda _: contextlib.nullcontext(HashedFile(io.BytesIO())))
    (received,) = handle.api.requests_to("signed")
    assert SIGNATURE in received.target
    assert KEY not in repr(received)
    told = [record.getMessage() for record in everything_logged.records if record.name == "urllib3.connectionpool"]
    assert any('"GET *** HTTP/1.1" 200' in each for each in told)


def test_without_the_hiding_they_would_be_found(serve, everything_logged, monkeypatch):
    monkeypatch.setattr("airflow_provider_synthflow.client.recording.hide_addresses", contextlib.nullcontext)
    _, client = serve(recorded_calls(1))
    with RecordingDownloader(client) as downloader:
        downloader.download("call-0000", lambda _: contextlib.nullcontext(HashedFile(io.BytesIO())))
    assert {SIGNATURE, "/signed/"} <= set(leaks(texts_of_logs(everything_logged)))
