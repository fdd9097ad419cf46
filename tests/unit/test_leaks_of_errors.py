# SPDX-License-Identifier: Apache-2.0
"""No error and no log of the client holds the key, a telephone number or what was said in a call."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import pickle
import traceback

import pytest

from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient, shared_http_client
from airflow_provider_synthflow.client.connection_check import check_connection
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.client.transport import call_path
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.hooks.query import read_query
from tests.synthflow_server import Answer, SynthflowApi, serve
from tests.unit.client.making import make_client, make_settings

KEY = "planted-key-without-digits"
HASH_KEY = "planted-hash-without-digits"
PHONE = "+15550100001"
TALK = "my knee hurts since Tuesday"
SECRETS = (KEY, HASH_KEY, PHONE.removeprefix("+"), "555) 010", TALK)
SENTENCE = f"Bearer {KEY} asked for {PHONE} or (555) 010-0001"

CALL = {"call_id": "c1", "lead_phone_number": PHONE, "transcript": TALK}
PAGE = {"status": "ok", "response": {"calls": [CALL], "pagination": {"total_records": 1}}, "key": KEY}
DETAIL = {"detail": {"description": SENTENCE, "request_id": KEY, "transcript": TALK, "category": PHONE}}
HEADERS = {
    "Location": f"https://other.test/?key={KEY}&lead_phone_number=%2B15550100001&t={TALK}",
    "Retry-After": SENTENCE,
    "X-Echo": f"{SENTENCE} {TALK}",
    "WWW-Authenticate": f"Bearer {KEY}",
}
TEXT = json.dumps(PAGE)

ANSWERS = {
    **{
        str(status): Answer.of_json(status, DETAIL)
        for status in (301, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503)
    },
    "a validation error": Answer.of_json(
        422, {"detail": [{"loc": ["query", SENTENCE], "msg": SENTENCE, "input": TALK}]}
    ),
    "a plain error": Answer.of_json(400, {"detail": SENTENCE, "body": TALK}),
    "an error with a message": Answer.of_json(500, {"error": SENTENCE, "message": SENTENCE, "body": TALK}),
    "an error that is a page": Answer.of_json(400, PAGE),
    "an error that is no json": Answer(503, {}, TEXT.encode()[:-5]),
    "an html error": Answer(502, {"Content-Type": "text/html"}, f"<html>{SENTENCE} {TALK}</html>".encode()),
    "html": Answer(200, {"Content-Type": "text/html"}, f"<html>{SENTENCE} {TALK}</html>".encode()),
    "a text": Answer(200, {}, f"{SENTENCE} {TALK}".encode()),
    "json cut off": Answer.of_json(200, TEXT.encode()[:-5]),
    "json in another encoding": Answer.of_json(200, TEXT.encode("utf-16")),
    "json with a byte that is not utf-8": Answer.of_json(200, TEXT.encode().replace(b"knee", b"knee\xff")),
    "json with what only Python reads": Answer.of_json(200, TEXT.replace('"c1"', "NaN").encode()),
    "json nested without end": Answer.of_json(200, TEXT.replace('"c1"', "[" * 450_000 + "]" * 450_000).encode()),
    "another status word": Answer.of_json(200, {**PAGE, "status": f"{SENTENCE} {TALK}"}),
    "no calls": Answer.of_json(200, {"status": "ok", "response": {"data": [CALL], "key": KEY}}),
    "calls that are no list": Answer.of_json(200, {"status": "ok", "response": {"calls": CALL}}),
    "a call that is no object": Answer.of_json(
        200, {"status": "ok", "response": {"calls": [CALL, f"{SENTENCE} {TALK}"]}}
    ),
    "not compressed": Answer(200, {"Content-Encoding": "gzip"}, TEXT.encode()),
    "compressed and cut off": Answer(200, {"Content-Encoding": "gzip"}, gzip.compress(TEXT.encode() * 99)[:99]),
    "a reset": Answer(200, action="reset"),
    "half of a body": Answer(200, {}, TEXT.encode(), action="truncated_body"),
    "no headers in time": Answer(200, {}, TEXT.encode(), action="timeout_before_headers", seconds=5.0),
    "no body in time": Answer(200, {}, TEXT.encode(), action="timeout_mid_body", seconds=5.0),
    "a header that is broken": Answer(503, {"X-Broken\r\n no colon here": "x"}, action="timeout_mid_body", seconds=5.0),
}
for _name, _answer in ANSWERS.items():
    if _name != "a header that is broken":  # what it holds, and not just the address, is in a warning of urllib3
        _answer.headers |= HEADERS


def chain_of(error):
    """Return an error and all that hang on it, also those that a traceback does not show."""
    found = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def texts_of(error):
    """Return every text that an error may leave behind."""
    for each in chain_of(error):
        yield str(each)
        yield repr(each)
        yield repr(each.args)
        yield repr(vars(each))
        yield from traceback.format_exception(type(each), each, each.__traceback__)
    yield repr(pickle.dumps(error))
    yield json.dumps({name: str(value) for name, value in vars(error).items()})


def texts_of_logs(caplog):
    """Return every text in the logs, of all levels and loggers."""
    formatter = logging.Formatter()
    for record in caplog.records:
        yield formatter.format(record)
        yield repr(record.args)
        yield repr(record.msg)


def leaks(texts):
    """Return the secrets that are in any of some texts."""
    return sorted({secret for text in texts for secret in SECRETS if secret in text})


@pytest.fixture
def everything_logged(caplog):
    """Log all levels of all loggers, as on a machine where someone looks for a bug."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "urllib3.connectionpool", "requests", "httpx", "httpcore", "airflow_provider_synthflow"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


@pytest.fixture(scope="module")
def server():
    """Start one server for all answers."""
    with serve(SynthflowApi()) as handle:
        yield handle


@pytest.fixture
def serve_always(server, monkeypatch):
    """Give a function that lets the server answer every request alike, and makes a sender to it."""

    def start(answer):
        monkeypatch.setattr(server.api, "handle", lambda *_: answer)
        patience = 0.05 if (answer.action or "").startswith("timeout") else 5.0
        return make_client(server.url, api_key=KEY, hash_key=HASH_KEY, max_attempts=2, timeout=patience, region="eu")

    return start


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in ANSWERS.items()])
def test_no_error_of_a_page_and_no_log_of_it_tells_a_secret(serve_always, everything_logged, answer):
    client = serve_always(answer)
    query = CallsQuery("agent", lead_phone_number=PHONE)
    with pytest.raises(SynthflowError) as caught:
        client.page(query, 100, 0)
    assert str(caught.value)
    assert leaks(texts_of(caught.value)) == []
    assert leaks(texts_of_logs(everything_logged)) == []
    assert everything_logged.records


async def page_from_an_event_loop(settings, query):
    """Ask for a page as a trigger does, without really waiting between two tries."""

    async def pass_over(seconds):
        assert seconds >= 0

    async with shared_http_client(settings) as client:
        return await AsyncSynthflowClient(settings, client, sleep=pass_over).page(query, 100, 0)


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in ANSWERS.items()])
def test_an_event_loop_gets_the_same_error_and_tells_no_secret_either(serve_always, everything_logged, answer):
    client = serve_always(answer)
    query = CallsQuery("agent", lead_phone_number=PHONE)
    with pytest.raises(SynthflowError) as expected:
        client.page(query, 100, 0)
    with pytest.raises(SynthflowError) as caught:
        asyncio.run(page_from_an_event_loop(client.settings, query))
    assert type(caught.value) is type(expected.value)
    if "network connection" not in f"{expected.value}{caught.value}":  # which names what the library calls it
        assert str(caught.value) == str(expected.value)
    assert leaks(texts_of(caught.value)) == []
    assert leaks(texts_of_logs(everything_logged)) == []


@pytest.mark.parametrize(
    "answer",
    [pytest.param(answer, id=name) for name, answer in ANSWERS.items() if name not in {"301", "302"}],
)
def test_no_error_of_an_address_and_no_log_of_it_tells_a_secret(serve_always, everything_logged, answer):
    client = serve_always(answer)
    with pytest.raises(SynthflowError) as caught:
        client.redirect(call_path("c1", "/recording"))
    assert leaks(texts_of(caught.value)) == []
    assert leaks(texts_of_logs(everything_logged)) == []


@pytest.mark.parametrize("answer", [pytest.param(answer, id=name) for name, answer in ANSWERS.items()])
def test_no_message_of_the_connection_test_tells_a_secret(serve_always, everything_logged, answer):
    client = serve_always(answer)
    good, text = check_connection(make_settings(client.settings.base_url, api_key=KEY, timeout=client.settings.timeout))
    assert not good
    assert leaks([text]) == []
    assert leaks(texts_of_logs(everything_logged)) == []


@pytest.mark.parametrize("port", [9, 99999])
def test_no_error_of_a_host_that_is_not_there_tells_a_secret(everything_logged, port):
    client = make_client(f"http://127.0.0.1:{port}/v2", api_key=KEY, max_attempts=2)
    with pytest.raises(SynthflowError) as caught:
        client.page(CallsQuery("agent", lead_phone_number=PHONE), 100, 0)
    assert leaks(texts_of(caught.value)) == []
    assert leaks(texts_of_logs(everything_logged)) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda: Settings.from_connection(password=f"{KEY} {KEY}"),
        lambda: Settings.from_connection(password=KEY, host=f"https://user:{HASH_KEY}@host.test"),
        lambda: Settings.from_connection(password=KEY, host=f"host.test?key={HASH_KEY}"),
        lambda: Settings.from_connection(password=KEY, host="host.test", schema="http"),
        lambda: Settings.from_connection(password=KEY, extra={"region": "mars", "hash_key": HASH_KEY}),
        lambda: Settings.from_connection(password=KEY, extra={"timeout": HASH_KEY, "hash_key": HASH_KEY}),
        lambda: Settings.from_connection(password=KEY, extra={"max_attempts": HASH_KEY}),
        lambda: Settings.from_connection(password=KEY, extra={"allow_insecure": HASH_KEY}),
        lambda: Privacy(hash_fields=[PHONE]),
        lambda: Privacy(drop_fields=[5, PHONE], key=HASH_KEY),
    ],
)
def test_no_error_of_a_setting_tells_a_secret(make):
    with pytest.raises(SynthflowConfigError) as caught:
        make()
    assert leaks(texts_of(caught.value)) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"lead_phone_number": [PHONE]},
        {"call_status": [TALK]},
        {"duration_min": PHONE + "x"},
        {"from_date": f"{PHONE} {TALK}"},
        {"model_id": [KEY]},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_no_error_of_a_query_repeats_what_was_given(fields):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its text is looked at below
        read_query(**{"model_id": "agent", **fields})
    assert leaks([str(caught.value), repr(caught.value)]) == []


# --- the guards: what the tests above would find


def test_a_planted_secret_in_an_error_is_found():
    for error in (SynthflowError(KEY), SynthflowError(PHONE), SynthflowError(f"x {TALK}")):
        assert len(leaks(texts_of(error))) == 1
    field = SynthflowError("clean")
    field.body = TALK
    assert leaks(texts_of(field)) == [TALK]


def test_a_planted_secret_in_an_error_that_hangs_on_another_is_found():
    def fail(suppress):
        try:
            int(KEY)
        except ValueError as error:
            msg = "clean"
            if suppress:
                raise SynthflowError(msg) from None
            raise SynthflowError(msg) from error

    for suppress in (False, True):
        with pytest.raises(SynthflowError) as caught:
            fail(suppress)
        assert leaks(texts_of(caught.value)) == [KEY]


def test_a_planted_secret_in_a_log_is_found(everything_logged):
    logging.getLogger("urllib3.connectionpool").debug("GET %s", f"/v2/calls?transcript={TALK}")
    logging.getLogger("airflow_provider_synthflow.client.client").info("key %s", KEY)
    logging.getLogger("somebody.else").debug("%s", PHONE)
    assert leaks(texts_of_logs(everything_logged)) == sorted([KEY, TALK, PHONE.removeprefix("+")])


def test_httpx_tells_of_a_request_without_the_number(synthflow, everything_logged):
    handle = synthflow()
    asyncio.run(page_from_an_event_loop(make_settings(handle.url), CallsQuery("agent", lead_phone_number=PHONE)))

    (received,) = handle.api.requests
    assert received.query["lead_phone_number"] == PHONE
    told = [record.getMessage() for record in everything_logged.records if record.name == "httpx"]
    assert any("lead_phone_number=***" in each for each in told)
    assert leaks(texts_of_logs(everything_logged)) == []


def test_the_requests_were_sent_with_the_secrets_and_urllib3_told_of_them(synthflow, everything_logged):
    handle = synthflow(faults=[])
    client = make_client(handle.url, api_key=KEY, max_attempts=1)
    with pytest.raises(SynthflowError, match="HTTP 401"):
        client.page(CallsQuery("agent", lead_phone_number=PHONE), 100, 0)
    (received,) = handle.api.requests
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.query["lead_phone_number"] == PHONE
    told = [record.getMessage() for record in everything_logged.records if record.name == "urllib3.connectionpool"]
    assert any(
        "GET /v2/calls?model_id=agent&limit=100&offset=0&lead_phone_number=*** HTTP/1.1" in each for each in told
    )
