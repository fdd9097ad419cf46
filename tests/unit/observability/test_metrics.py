# SPDX-License-Identifier: Apache-2.0
"""What the metrics hold, as a statsd server on loopback receives it is in tests/integration; here, what is sent."""

from __future__ import annotations

import datetime as dt

import pytest

from airflow_provider_synthflow.exceptions import SynthflowIncompleteError
from airflow_provider_synthflow.observability import metrics

TAGS = {"dag_id": "lake", "task_id": "calls"}


@pytest.fixture
def sent(mocker):
    """Return what is handed to Airflow's metrics, whose server is not there."""
    from airflow.providers.common.compat.sdk import Stats  # noqa: PLC0415 - as the module does

    found = []
    mocker.patch.object(Stats, "incr", lambda name, count=1, **more: found.append((name, count, more["tags"])))
    mocker.patch.object(Stats, "timing", lambda name, value, **more: found.append((name, value, more["tags"])))
    return found


def test_each_number_goes_to_its_own_counter_and_the_time_to_a_timer(sent):
    counts = {"calls": 7, "pages": 2, "requests": 4, "retries": 1, "waits": 3, "walks": 1}

    metrics.emit(counts, 1.5, TAGS)

    assert sent == [
        ("synthflow.calls", 7, TAGS),
        ("synthflow.pages", 2, TAGS),
        ("synthflow.requests", 4, TAGS),
        ("synthflow.retries", 1, TAGS),
        ("synthflow.waits", 3, TAGS),
        ("synthflow.walks", 1, TAGS),
        ("synthflow.duration", dt.timedelta(seconds=1.5), TAGS),
    ]


def test_a_window_that_failed_is_counted_with_the_class_of_its_error_and_not_its_text(sent):
    metrics.emit_failure(SynthflowIncompleteError("of +15550100001"), {"requests": 9}, TAGS)

    assert sent == [
        ("synthflow.requests", 9, TAGS),
        ("synthflow.failures", 1, {**TAGS, "error": "SynthflowIncompleteError"}),
    ]
