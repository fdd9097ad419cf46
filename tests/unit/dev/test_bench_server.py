# SPDX-License-Identifier: Apache-2.0
"""The fast server of the measurement answers as List calls does, compiled or not."""

from __future__ import annotations

import http.client
import json
import shutil
import time

import pytest

from airflow_provider_synthflow.client.response import read_page
from dev.bench.data import FROM_MS, TO_MS, make_dataset
from dev.bench.server import run_server

COUNT = 250
PAST = f"&from_date={FROM_MS - 1000}&to_date={TO_MS + 60_000}"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("data"), COUNT)


@pytest.fixture(scope="module")
def rows(dataset):
    return json.loads(b"[" + dataset.rows.read_bytes() + b"]")


@pytest.fixture(scope="module", params=["compiled", "python"])
def server(request, dataset, tmp_path_factory):
    compiled = request.param == "compiled"
    if compiled and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C compiler here")
    with run_server(dataset, tmp_path_factory.mktemp("server"), compiled=compiled) as running:
        assert running.kind.startswith("C" if compiled else "Python")
        yield running


@pytest.fixture
def ask(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)

    def get(target, key="Bearer x"):
        connection.request("GET", target, headers={"Authorization": key} if key else {})
        response = connection.getresponse()
        return response.status, response.read()

    yield get
    connection.close()


@pytest.mark.parametrize(
    ("limit", "offset"), [(100, 0), (100, 99), (1, 249), (7, 13), (100, 198), (100, 250), (5, 999)]
)
def test_a_page_has_the_rows_from_any_offset_on(ask, rows, limit, offset):
    status, body = ask(f"/v2/calls?model_id=all&limit={limit}&offset={offset}")
    page = read_page(body)

    assert status == 200
    assert (page.total, page.limit, page.offset) == (COUNT, limit, offset)
    assert [row.record() for row in page.rows] == rows[offset : offset + limit]


def test_without_a_limit_there_are_twenty(ask):
    assert len(read_page(ask("/v2/calls?model_id=all")[1]).rows) == 20


@pytest.mark.parametrize(
    ("first", "total"), [("/first-100", 100), ("/wait-1/first-0", 0), ("/first-9999", COUNT), ("", COUNT)]
)
def test_as_many_calls_are_there_as_the_path_says(ask, rows, first, total):
    page = read_page(ask(f"{first}/v2/calls?model_id=all&limit=100&offset=0{PAST}")[1])

    assert page.total == total
    assert [row.call_id for row in page.rows] == [row["call_id"] for row in rows[: min(total, 100)]]


def test_the_bounds_are_kept_and_both_inclusive(ask, rows):
    newest, oldest = rows[10]["start_time"], rows[30]["start_time"]
    page = read_page(ask(f"/v2/calls?model_id=all&limit=100&from_date={oldest}&to_date={newest}")[1])

    assert page.total == 21
    assert [row.call_id for row in page.rows] == [row["call_id"] for row in rows[10:31]]


def test_nothing_lies_outside_of_the_window(ask):
    page = read_page(ask(f"/v2/calls?model_id=all&from_date={TO_MS}&to_date={TO_MS + 1}")[1])

    assert (page.total, page.rows) == (0, [])


@pytest.mark.parametrize(
    ("target", "key", "status"),
    [
        ("/v2/calls?model_id=all&limit=101", "Bearer x", 400),
        ("/v2/calls?model_id=all&limit=0", "Bearer x", 400),
        ("/v2/calls?limit=10", "Bearer x", 400),
        ("/v2/calls?model_id=all", None, 401),
        ("/v2/others?model_id=all", "Bearer x", 404),
    ],
)
def test_what_the_api_refuses_is_refused(ask, target, key, status):
    answered, body = ask(target, key)

    assert answered == status
    assert json.loads(body)["detail"]["description"]


def test_an_answer_waits_as_long_as_its_path_says(ask):
    begun = time.monotonic()
    page = read_page(ask("/wait-50/v2/calls?model_id=all&limit=1")[1])

    assert time.monotonic() - begun >= 0.05
    assert len(page.rows) == 1


def test_a_recording_is_led_to_and_has_as_many_bytes_as_its_call_s_id_says(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request("GET", "/wait-1/v2/calls/call-000007-5000/recording")
    led = connection.getresponse()
    led.read()
    connection.request("GET", led.headers["Location"].partition(str(server.port))[2])
    recording = connection.getresponse()
    body = recording.read()
    connection.close()

    assert (led.status, recording.status, recording.headers["Content-Type"]) == (302, 200, "audio/mpeg")
    assert (len(body), body[:3]) == (5000, b"ID3")


def test_the_records_are_of_five_kilobytes_and_in_the_window(rows, dataset):
    assert dataset.rows.stat().st_size / COUNT == pytest.approx(5000, rel=0.1)
    assert all(FROM_MS <= int(row["start_time"]) < TO_MS for row in rows)
    assert len({row["call_id"] for row in rows}) == COUNT
