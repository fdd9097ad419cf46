# SPDX-License-Identifier: Apache-2.0
"""The lake's days beside the API's own daily counts."""

from __future__ import annotations

import pytest

from airflow_provider_synthflow.auditing.analytics import read_days
from airflow_provider_synthflow.exceptions import SynthflowProtocolError
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from tests.synthflow_server import Behaviour
from tests.unit.auditing.lakes import audit, kinds, make_lake, record, write_window
from tests.unit.making import AGENT, DAY, FROM_MS, HOUR, make_call


@pytest.fixture
def serve(synthflow, connect):
    """Start a server that has a lake's calls, three a day, and others besides."""

    def start(days, *others, **options):
        calls = [
            make_call(f"{AGENT}-{day}-{number}", day * DAY + number * HOUR)
            for day in range(days)
            for number in range(3)
        ]
        server = synthflow([*calls, *others], **options)
        connect(server.url)
        return server

    return start


def compare(lake, **plan):
    with SynthflowHook() as hook:
        return audit(lake, hook.client, by_day=True, max_requests=0, **plan)


@pytest.mark.parametrize("series", ["both", "call_status_stat", "duration_metrics"])
def test_a_day_with_another_count_differs_and_no_other_does(tmp_path, serve, series):
    make_lake(tmp_path, 4)
    serve(4, make_call("late", 2 * DAY + 1), behaviour=Behaviour(analytics_series=series))

    outcome = compare(tmp_path)

    (finding,) = outcome.findings
    assert (finding.finding, finding.from_ms, finding.to_ms) == ("differs", FROM_MS + 2 * DAY, FROM_MS + 3 * DAY)
    assert "3 calls" in finding.detail
    assert "count 4" in finding.detail
    assert finding.cure.startswith("python -m airflow_provider_synthflow.audit")


def test_no_request_asks_for_more_than_120_days(tmp_path, serve):
    write_window(
        tmp_path, FROM_MS, FROM_MS + 300 * DAY, [record(f"{AGENT}-0-{n}", FROM_MS + n * HOUR) for n in range(3)]
    )
    server = serve(1)

    assert kinds(compare(tmp_path)) == []
    assert len(server.api.requests_to("analytics")) == 3
    assert {request.status for request in server.api.requests_to("analytics")} == {200}


def test_days_that_a_gap_or_damage_touches_are_not_compared(tmp_path, serve):
    windows = make_lake(tmp_path, 4)
    (windows[1] / "calls.jsonl.gz").unlink()
    serve(4, make_call("late", DAY + 1))

    assert kinds(compare(tmp_path)) == ["damaged"]


def test_a_day_that_two_windows_share_is_not_compared(tmp_path, serve):
    make_lake(tmp_path, 3)
    write_window(tmp_path, FROM_MS, FROM_MS + HOUR, [record(f"{AGENT}-0-0", FROM_MS)])
    serve(3)

    assert kinds(compare(tmp_path)) == ["overlap"]


def test_an_answer_without_days_is_told(tmp_path, serve):
    make_lake(tmp_path, 2)
    serve(2, behaviour=Behaviour(analytics_series="none"))

    outcome = compare(tmp_path)

    assert outcome.findings == []
    assert any("no counts by day" in note for note in outcome.notes)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"duration_metrics": []}', b"[" * 100_000])
def test_what_is_no_answer_is_an_error(body):
    with pytest.raises(SynthflowProtocolError):
        read_days(body)


def test_a_series_of_any_shape_is_read_as_far_as_it_goes():
    body = (
        b'{"duration_metrics": {"series": [{"date": "2024-03-01T00:00:00Z", "total_calls": 2}, {"date": 7}, null, 3]}}'
    )

    assert read_days(body) == {FROM_MS // DAY: 2}
