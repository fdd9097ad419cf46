# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
import time

import pytest
import requests

from tests.synthflow_server import Behaviour, Fault, SynthflowApi
from tests.unit.synthflow_server.asking import AGENT, AUTH, ask, ids, make_call, page

CALLS = [make_call(f"c{n:03}", -n) for n in range(50)]


@pytest.fixture
def get(synthflow):
    """Ask a server with one fault for one page over HTTP."""

    def ask_it(fault, timeout=5.0, **query):
        handle = synthflow(CALLS, faults=[fault])
        query = {"model_id": AGENT, "limit": 10, **query}
        return requests.get(f"{handle.url}/calls", params=query, headers=AUTH, timeout=timeout, allow_redirects=False)

    return ask_it


@pytest.mark.parametrize("status", [400, 408, 429, 500, 502, 503, 504, 599])
def test_any_status_can_be_answered(get, status):
    answer = get(Fault(status=status, headers={"Retry-After": "7"}))
    assert answer.status_code == status
    assert answer.headers["Retry-After"] == "7"
    assert set(answer.json()["detail"]) >= {"description", "request_id"}


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("detail", b'{"detail":{"status"'),
        ("plain", b'{"detail":"'),
        ("error_message", b'{"error":'),
        ("loc", b'{"detail":[{"loc"'),
        ("html", b"<!DOCTYPE html>"),
        ("empty", b""),
    ],
)
def test_errors_have_any_of_the_known_bodies(get, form, start):
    answer = get(Fault(error_body=form))
    assert answer.content.startswith(start)
    assert bool(answer.content) == bool(start)


def test_a_page_of_html_comes_with_200_or_with_an_error(get):
    for fault, status in ((Fault(kind="html"), 200), (Fault(kind="html_error"), 502)):
        answer = get(fault)
        assert (answer.status_code, answer.headers["Content-Type"][:9]) == (status, "text/html")


def test_the_body_can_be_empty(get):
    answer = get(Fault(kind="empty_body"))
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("kind", ["not_json", "truncated_json"])
def test_the_body_can_be_no_json_though_all_of_it_came(get, kind):
    answer = get(Fault(kind=kind))
    assert answer.status_code == 200
    assert len(answer.content) == int(answer.headers["Content-Length"]) > 0
    with pytest.raises(json.JSONDecodeError):
        answer.json()


def test_the_envelope_can_lack_its_calls(get):
    assert list(get(Fault(kind="no_calls")).json()["response"]) == ["pagination"]


def test_the_envelope_can_tell_of_an_error(get):
    body = get(Fault(kind="bad_status_word", word="failed")).json()
    assert body["status"] == "failed"
    assert len(body["response"]["calls"]) == 10


def test_the_connection_can_be_reset(get):
    with pytest.raises(requests.ConnectionError, match=r"reset by peer"):
        get(Fault(kind="reset"))


def test_the_body_can_end_too_early(get):
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        get(Fault(kind="truncated_body"))


@pytest.mark.parametrize("kind", ["timeout_before_headers", "timeout_mid_body"])
def test_the_answer_can_stall(get, kind):
    with pytest.raises((requests.ReadTimeout, requests.ConnectionError), match="timed out"):
        get(Fault(kind=kind, seconds=30), timeout=0.2)


@pytest.mark.parametrize("kind", ["timeout_before_headers", "timeout_mid_body"])
def test_an_answer_that_stalls_comes_in_the_end(get, kind):
    begin = time.monotonic()
    assert len(get(Fault(kind=kind, seconds=0.15)).json()["response"]["calls"]) == 10
    assert time.monotonic() - begin >= 0.15


def test_the_answer_can_point_elsewhere(get):
    answer = get(Fault(kind="redirect", location="http://elsewhere.test/v2/calls"))
    assert (answer.status_code, answer.headers["Location"]) == (302, "http://elsewhere.test/v2/calls")


# --- faults of the page


def api_of(fault):
    return SynthflowApi(CALLS, faults=[fault])


@pytest.mark.parametrize(("lie", "told"), [(True, 10), (False, 30)])
def test_a_page_can_be_another_one_and_lie_about_it(lie, told):
    response = page(api_of(Fault(kind="wrong_page", shift=20, lie=lie)), limit=10, offset=10)
    assert response["calls"][0]["call_id"] == "c030"
    assert response["pagination"]["offset"] == told


def test_another_page_that_is_not_there_is_the_first():
    assert ids(api_of(Fault(kind="wrong_page", shift=100)), limit=2, offset=10) == ["c000", "c001"]


def test_a_page_can_be_empty_though_the_total_says_otherwise():
    response = page(api_of(Fault(kind="empty_page")))
    assert (response["calls"], response["pagination"]["total_records"]) == ([], 50)


def test_a_page_can_be_too_short():
    assert ids(api_of(Fault(kind="short_page", rows=3)), limit=5) == ["c000", "c001"]


def test_a_page_can_repeat_rows_in_place_of_others():
    assert ids(api_of(Fault(kind="duplicate_rows", rows=2)), limit=5) == ["c000", "c001", "c002", "c000", "c001"]
    assert ids(api_of(Fault(kind="duplicate_rows")), limit=1) == ["c000", "c000"]


def test_a_fault_leaves_the_next_request_alone():
    api = api_of(Fault(kind="truncated_json", at=1))
    ask(api)
    assert len(ids(api, limit=10)) == 10


def test_a_broken_connection_is_remembered():
    api = api_of(Fault(kind="reset"))
    assert ask(api).action == api.requests[0].action == "reset"


def test_a_fault_comes_before_the_key_is_looked_at():
    api = SynthflowApi(CALLS, behaviour=Behaviour(wrong_region=True), faults=[Fault(status=503, at=1)])
    assert [ask(api).status, ask(api).status] == [503, 401]
