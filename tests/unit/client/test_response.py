# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import re

import pytest
from requests.structures import CaseInsensitiveDict

from airflow_provider_synthflow.client.response import make_error, read_elements, read_page
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from tests.unit.client.making import make_settings

A, B = b'{"call_id":"a","n":1.10}', b'{ "call_id" : "b" }'
CALLS = b"[" + A + b" ,\n" + B + b"]"
PAGINATION = b'{"total_records":7,"limit":100,"offset":5}'
DEEP = b"[" * 1_000_000 + b"]" * 1_000_000  # Python 3.14 follows JSON as far as its stack reaches
KEY = "a-key-without-digits"
PHONE = "+15550100001"
TALK = "the patient said something private"


def page(body):
    return read_page(body)


def error(status, body=b"", headers=None, **fields):
    return make_error(status, CaseInsensitiveDict(headers or {}), body, make_settings(**fields))


# --- pages


@pytest.mark.parametrize(
    "body",
    [
        b'{"status":"ok","response":{"pagination":%b,"calls":%b}}',
        b'{"status":"success","response":{"pagination":%b,"calls":%b}}',
        b'{"status":" OK ","response":{"pagination":%b,"calls":%b}}',
        b'{"status":null,"response":{"pagination":%b,"calls":%b}}',
        b'{"response":{"pagination":%b,"calls":%b}}',
        b'{"response":{"pagination":%b,"calls":%b,"new":1},"new":{"calls":[]}}',
        b'{"pagination":%b,"calls":%b}',
        b'{"status":"ok","pagination":%b,"response":{"calls":%b}}',
        b'{"status":"ok","pagination":%b,"response":%b}',
        b'{"status":"ok","response":{"response":{"pagination":%b,"calls":%b}}}',
        b'{"status":"ok","response":{"status":"ok","response":{"pagination":%b,"calls":%b}}}',
        b'\xef\xbb\xbf\n {"status":"ok","response":{"pagination":%b,"calls":%b}}\n ',
        b'{"note":"half \\ud83d","status":"ok","response":{"pagination":%b,"calls":%b}}',
    ],
    ids=lambda body: body.decode(errors="replace").replace("%b", ""),
)
def test_every_envelope_that_clients_have_met_gives_the_page(body):
    found = page(body % (PAGINATION, CALLS))
    assert [row.call_id for row in found.rows] == ["a", "b"]
    assert [row.raw for row in found.rows] == [A, B]
    assert (found.total, found.limit, found.offset) == (7, 100, 5)


@pytest.mark.parametrize(
    "body",
    [
        CALLS,
        b" \n" + CALLS + b"\n",
        b'{"calls":%b}' % CALLS,
        b'{"status":"ok","response":%b}' % CALLS,
        b'{"status":"ok","response":{"calls":%b}}' % CALLS,
        b'{"status":"ok","response":{"pagination":null,"calls":%b}}' % CALLS,
        b'{"status":"ok","response":{"pagination":[],"calls":%b}}' % CALLS,
        b'{"status":"ok","response":{"pagination":{},"calls":%b}}' % CALLS,
    ],
    ids=lambda body: body.decode()[:60],
)
def test_a_page_without_pagination_declares_nothing(body):
    found = page(body)
    assert [row.call_id for row in found.rows] == ["a", "b"]
    assert (found.total, found.limit, found.offset) == (None, None, None)


NULL = b'{"status":"ok","response":{"pagination":{"total_records":%b},"calls":null}}'


@pytest.mark.parametrize(("total", "offset"), [(b"0", 0), (b'"0"', 0), (b"0", 100), (b"7", 7), (b"7", 100)])
def test_a_null_list_is_empty_where_nothing_can_be_there(total, offset):
    assert read_page(NULL % total, offset).rows == []
    assert read_elements((NULL % total).replace(b"calls", b"assistants"), "assistants", offset)[0] == []
    assert read_page(b'{"calls":null,"pagination":{"total_records":%b}}' % total, offset).rows == []


@pytest.mark.parametrize(("total", "offset"), [(b"1", 0), (b"7", 6), (b"null", 0), (b"-1", 100), (b'"many"', 100)])
def test_a_null_list_where_calls_are_declared_or_nothing_is_is_an_error(total, offset):
    with pytest.raises(SynthflowProtocolError, match="has no list 'calls'"):
        read_page(NULL % total, offset)


@pytest.mark.parametrize("body", [b"[]", b'{"calls":[]}', b'{"status":"ok","response":{"calls":[]}}'])
def test_an_empty_list_is_a_page_without_calls(body):
    assert page(body).rows == []


def test_the_bytes_of_a_call_are_kept_also_on_a_page_with_half_of_a_surrogate_pair():
    odd = b'{ "call_id":"c" , "n":1.10, "t":"cut \\ud83d" }'
    found = page(b'{"status":"ok","response":{"pagination":%b,"calls":[%b , %b]}}' % (PAGINATION, A, odd))
    assert [row.raw for row in found.rows] == [A, odd]
    assert found.total == 7


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (b"7", 7),
        (b'"7"', 7),
        (b'" 7 "', 7),
        (b"7.0", 7),
        (b"0", 0),
        (b"null", None),
        (b'""', None),
        (b'"many"', None),
        (b"-1", None),
        (b"7.5", None),
        (b"true", None),
        (b"[]", None),
        (b"{}", None),
        (b"1e999", None),
        (b"9" * 5000, None),
    ],
    ids=lambda value: value.decode()[:20] if isinstance(value, bytes) else None,
)
def test_a_count_is_a_number_its_text_or_nothing(value, count):
    body = b'{"response":{"pagination":{"total_records":%b,"limit":%b,"offset":%b},"calls":[]}}' % ((value,) * 3)
    found = page(body)
    assert (found.total, found.limit, found.offset) == (count, count, count)


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"null",
        b"5",
        b'"calls"',
        b'{"status":"ok"}',
        b'{"status":"ok","response":null}',
        b'{"status":"ok","response":{}}',
        b'{"status":"ok","response":{"pagination":%b}}' % PAGINATION,
        b'{"status":"ok","response":{"calls":null}}',
        b'{"status":"ok","response":{"calls":{}}}',
        b'{"status":"ok","response":{"calls":"none"}}',
        b'{"status":"ok","response":{"data":[]}}',
        b'{"calls":null}',
        b'{"response":{"response":{"response":{"response":{"response":{"calls":[]}}}}}}',
        b'{"detail":"Not Found"}',
    ],
    ids=lambda body: body.decode()[:60],
)
def test_a_missing_list_of_calls_is_an_error_and_never_no_calls(body):
    with pytest.raises(SynthflowProtocolError, match="has no list 'calls'") as caught:
        page(body)
    assert caught.value.retriable


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html><h1>Bad gateway</h1>",
        b"upstream says no",
        b'{"status":"ok","response":{"calls":[' + A,
        b'{"calls":[]} trailing',
        b'{"calls":[{"call_id":"a","n":NaN}]}',
        b'{"calls":[{"call_id":"\xff"}]}',
        b'{"response":{"calls":[{"call_id":"a","t":"\xff"}]}}',
        b'{"response":{"calls":[{"call_id":"a","x":%b}]}}' % DEEP,
        DEEP,
        b'{"note":"\\ud83d","calls":[{"call_id":"a","n":Infinity}]}',
    ],
    ids=lambda body: body.decode(errors="replace")[:60],
)
def test_what_is_not_json_is_an_error_that_the_same_request_may_mend(body):
    with pytest.raises(SynthflowProtocolError, match="is not JSON") as caught:
        page(body)
    assert caught.value.retriable
    assert f"({len(body)} bytes)" in str(caught.value)


@pytest.mark.parametrize("word", ["error", "failed", "", "okay", "partial", False, 500, {}, []])
@pytest.mark.parametrize(
    "body",
    [b'{"status":%b,"response":{"calls":[]}}', b'{"status":%b,"calls":[]}', b'{"response":{"status":%b,"calls":[]}}'],
    ids=["standard", "bare", "inner"],
)
def test_a_status_word_other_than_ok_or_success_is_an_error(body, word):
    if body.startswith(b'{"response"'):
        body = body.replace(b'{"response":', b'{"note":1,"response":{"response":').replace(b"]}}", b"]}}}")
    with pytest.raises(SynthflowProtocolError, match="neither ok nor success") as caught:
        page(body % json.dumps(word).encode())
    assert caught.value.retriable


@pytest.mark.parametrize("element", [b"null", b"5", b'"a"', b"[]"])
@pytest.mark.parametrize("body", [b'{"response":{"calls":[%b,%b]}}', b"[%b,%b]"])
def test_a_call_that_is_no_object_is_an_error(body, element):
    with pytest.raises(SynthflowProtocolError, match="a call that is not a JSON object"):
        page(body % (A, element))


# --- other lists


def test_other_lists_are_read_from_the_same_envelopes():
    body = b'{"status":"ok","response":{"pagination":%b,"assistants":[{"model_id":"m","n":"\\ud83d"}]}}' % PAGINATION
    assert read_elements(body, "assistants") == ([{"model_id": "m", "n": "\ufffd"}], 7)
    assert read_elements(b'[{"model_id":"m"}]', "assistants") == ([{"model_id": "m"}], None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b'{"status":"ok","response":{"calls":[]}}', "has no list 'assistants'"),
        (b'{"status":"ok","response":{"assistants":[5]}}', "an element of assistants that is not a JSON object"),
        (b'{"status":"ok","response":{"assistants":[["\\ud83d"]]}}', "an element of assistants that is not"),
        (b'{"status":"error","response":{"assistants":[]}}', "neither ok nor success"),
        (b"<html>", "is not JSON"),
    ],
)
def test_other_lists_have_the_same_errors(body, text):
    with pytest.raises(SynthflowProtocolError, match=text):
        read_elements(body, "assistants")


# --- errors


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_an_answer_in_the_200s_is_no_error(status):
    assert error(status, b"anything") is None


@pytest.mark.parametrize(
    ("statuses", "kind"),
    [
        ([401, 403], SynthflowAuthError),
        ([400, 402, 404, 405, 409, 410, 413, 414, 418, 422, 451, 499], SynthflowRequestError),
        ([408, 425, 429, 500, 501, 502, 503, 504, 520, 524, 599], SynthflowTransientError),
        ([100, 199, 300, 301, 302, 303, 304, 307, 308], SynthflowProtocolError),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_every_status_has_its_class(statuses, kind):
    for status in statuses:
        found = error(status)
        assert type(found) is kind
        assert str(status) in str(found)
        assert getattr(found, "status", status) == status


SENTENCE = "Limit must be between 1 and 100."


@pytest.mark.parametrize(
    ("body", "request_id", "sentence", "parameters"),
    [
        ({"detail": {"status": "error", "description": SENTENCE, "request_id": "req-1"}}, "req-1", SENTENCE, ["limit"]),
        ({"detail": {"message": SENTENCE}}, None, SENTENCE, ["limit"]),
        ({"detail": "Not Found"}, None, "Not Found", []),
        ({"error": "bad_request", "message": SENTENCE}, None, SENTENCE, ["limit"]),
        ({"message": "No such model_id.", "request_id": "r:1"}, "r:1", None, ["model_id"]),
        (
            {"detail": [{"loc": ["query", "to_date"], "msg": "not an integer"}, {"msg": "odd call_status"}, 5]},
            None,
            None,
            ["to_date", "call_status"],
        ),
        ({"detail": [{"loc": "limit"}]}, None, None, ["limit"]),
        ({"detail": []}, None, None, []),
        ({"detail": {}}, None, None, []),
        ({"detail": None}, None, None, []),
        ({"detail": {"description": 5, "request_id": 5}}, None, None, []),
        ({"detail": {"description": "x", "request_id": "spaces are no id"}}, None, None, []),
        ({"detail": {"description": "x", "request_id": "r" * 200}}, None, None, []),
        ([], None, None, []),
        ("text", None, None, []),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, (dict, list)) else None,
)
def test_of_an_error_the_id_known_sentences_and_our_parameters_names_are_told(body, request_id, sentence, parameters):
    found = error(400, json.dumps(body).encode())
    assert (found.request_id, list(found.parameters)) == (request_id, parameters)
    assert (f"(request {request_id})" in str(found)) is (request_id is not None)
    assert (f"It says: {sentence}" in str(found)) is (sentence is not None)
    assert (f"It names {', '.join(parameters)}." in str(found)) is bool(parameters)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422, 429, 500])
@pytest.mark.parametrize(
    "told",
    [
        TALK,
        f"{SENTENCE} {TALK}",
        f"Not Found: {PHONE}",
        "+49/157/1234567",
        "0157_1234567",
        "call 0049 (0) 157 - 12 34 56 7 back",
        "one five five five, zero one",
        "\x1b[31mred\x1b[0m and \x00 and \u202eevil",
        json.dumps({"call_id": "c", "transcript": TALK}),
        "Jane Doe, born 1970",
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda told: {"detail": {"description": told, "request_id": told}},
        lambda told: {"detail": told},
        lambda told: {"error": told, "message": told},
        lambda told: {"detail": [{"loc": ["query", told], "msg": told, "input": told}]},
        lambda told: {"detail": {"description": {"text": told}, "message": [told], "error": told}},
    ],
    ids=["detail", "plain", "message", "loc", "nested"],
)
def test_nothing_else_that_the_api_says_leaves_with_an_error(status, told, make):
    found = error(status, json.dumps(make(told)).encode())
    plain = error(status)
    assert re.sub(r" It names (limit|call_id)\.", "", str(found)) == str(plain)
    for name, value in vars(found).items():
        assert value == getattr(plain, name) or (name == "parameters" and value in {("limit",), ("call_id",)})


@pytest.mark.parametrize("limit", [b"60", b"99999"])
def test_the_limit_that_a_429_tells_is_passed_on(limit):
    body = b'{"detail":"429: Rate limit exceeded. Your rate limit per minute is %b."}' % limit
    assert f"Your rate limit per minute is {limit.decode()}." in str(error(429, body))
    assert "per minute" not in str(error(429, body.replace(limit, b"4915712345678")))


@pytest.mark.parametrize(
    ("request_id", "shown"),
    [
        ("req-00000002", True),
        ("5f3c1f0a-6f0d-4d0e-9c55-2f6a1b0c7d11", True),
        ("550e8400-e29b-41d4-a716-446655440000", True),
        ("550e8400e29b41d4a716446655440000", True),
        ("a.b:c_d", True),
        ("4915712345678", False),
        ("0157_1234567", False),
        ("00004915-7123-4567-0000-000000000000", False),
        ("0157-123-4567", False),
        ("555.0100", False),
        ("tel:4915712345678", False),
        ("caller_0157-1234567", False),
        ("+4915712345678", False),
        ("", False),
        ("a\u202e", False),
        ("a\n", False),
    ],
)
def test_a_request_id_is_told_only_where_it_is_one_and_no_number(request_id, shown):
    found = error(400, json.dumps({"detail": {"request_id": request_id}}).encode())
    assert found.request_id == (request_id if shown else None)
    assert ("request " + request_id in str(found)) is shown or not request_id


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Bad gateway</html>", b"\xff\xfe", b'{"detail":', b'{"detail":"\\ud83d"}', b'{"detail":%b}' % DEEP],
)
def test_an_error_whose_body_is_not_understood_is_the_same_error_without_a_sentence(status, body):
    found = error(status, body)
    assert found.request_id is None
    assert getattr(found, "description", None) is None
    assert type(found) is type(error(status))
    assert "gateway" not in str(found)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 422, 429, 500])
@pytest.mark.parametrize(
    "make",
    [
        lambda text: {"detail": {"description": text, "request_id": text, "transcript": TALK, "category": text}},
        lambda text: {"detail": {"description": "x", "request_id": text.split()[0]}, "transcript": TALK},
        lambda text: {"detail": text, "transcript": TALK},
        lambda text: {"error": text, "message": text, "transcript": TALK},
        lambda text: {"detail": [{"loc": ["query", text], "msg": text, "input": TALK}]},
    ],
    ids=["detail", "id", "plain", "message", "loc"],
)
def test_no_error_holds_the_key_a_number_or_the_body(status, make):
    text = f"{KEY} was used to ask for {PHONE} and (555) 010-0002, Bearer {KEY}"
    headers = {"X-Key": KEY, "Location": f"https://x.test/?k={KEY}"}
    found = error(status, json.dumps(make(text)).encode(), headers, api_key=KEY)
    shown = " ".join([str(found), repr(found), repr(vars(found))])
    for secret in (KEY, "5550100001", "010-0002", TALK):
        assert secret not in shown


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"region": "eu"}, "api.synthflow.test (region 'eu')"),
        ({"region": None}, "api.synthflow.test"),
    ],
)
@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_told_with_the_place_that_refused_it(status, fields, told):
    assert told in str(error(status, **fields))


def test_a_401_names_both_causes_the_key_and_the_region():
    text = str(error(401, region="eu"))
    assert "the API key is wrong" in text
    assert "another region" in text
    assert "Test button" in text


def test_a_403_tells_that_the_key_is_not_entitled():
    assert "not entitled" in str(error(403))


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
@pytest.mark.parametrize("status", [429, 503])
def test_what_the_server_asks_to_wait_is_kept(status, name):
    assert error(status, headers={name: "7"}).retry_after == 7.0
    assert error(status).retry_after is None


def test_a_redirect_is_told_without_the_address_it_points_to():
    text = str(error(302, headers={"Location": "https://evil.test/steal"}))
    assert "Redirects are not followed" in text
    assert "evil" not in text


@pytest.mark.parametrize("lead", range(8_140, 8_200))
def test_utf8_is_looked_at_in_pieces_that_may_part_a_character(lead):
    """The pieces are 8 KB long; somewhere in here a character of four bytes lies across their border."""
    whole = b'{"response":{"calls":[{"name":"%b%b"}]}}' % (b"x" * lead, "\U0001f600é".encode())
    cut = whole.replace("\U0001f600".encode(), "\U0001f600".encode()[:3])

    assert len(read_page(whole).rows) == 1
    with pytest.raises(SynthflowProtocolError, match="not JSON"):
        read_page(cut)
