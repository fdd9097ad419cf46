# SPDX-License-Identifier: Apache-2.0
"""Only a retry of a run that nobody cleared finds what its earlier tries have finished."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from airflow_provider_synthflow.operators.context import is_last, is_retry, published_since

BEGUN = dt.datetime(2024, 3, 2, 1, tzinfo=dt.timezone.utc)
BEGUN_MS = int(BEGUN.timestamp() * 1000)


def context(*, number=2, limit=3, retries=3, begun=BEGUN):
    return {
        "ti": SimpleNamespace(try_number=number, max_tries=limit),
        "task": SimpleNamespace(retries=retries),
        "dag_run": SimpleNamespace(start_date=begun),
    }


@pytest.mark.parametrize("number", [2, 3, 4])
def test_a_retry_finds_what_was_written_since_the_run_began(number):
    assert published_since(context(number=number)) == BEGUN_MS


@pytest.mark.parametrize(
    "changed",
    [
        {"number": 1},  # the first try
        {"number": 2, "limit": 4, "retries": 3},  # cleared after one try: 1 + 3
        {"number": 2, "limit": 1, "retries": 0},  # cleared, and no retries at all
        {"begun": None},
        {"begun": dt.datetime(2024, 3, 2)},  # noqa: DTZ001 - just this must not be trusted
        {"number": None},
        {"limit": None},
    ],
)
def test_anything_else_finds_nothing(changed):
    assert published_since(context(**changed)) is None


@pytest.mark.parametrize("empty", [None, {}, {"ti": None}, {"ti": object(), "dag_run": None}])
def test_a_context_without_a_task_finds_nothing(empty):
    assert published_since(empty) is None


@pytest.mark.parametrize(
    ("changed", "retry", "last"),
    [
        ({"number": 1}, False, False),
        ({"number": 2}, True, False),
        ({"number": 4}, True, True),
        ({"number": 2, "limit": 4}, False, False),  # cleared
        ({"number": 1, "limit": 0, "retries": 0}, False, True),
        ({"begun": None}, True, False),
        ({"number": None}, False, False),
    ],
)
def test_which_try_it_is_and_whether_another_follows(changed, retry, last):
    assert (is_retry(context(**changed)), is_last(context(**changed))) == (retry, last)


@pytest.mark.parametrize("empty", [None, {}, {"ti": None}, {"ti": object()}])
def test_a_context_without_a_task_is_neither_a_retry_nor_the_last_try(empty):
    assert (is_retry(empty), is_last(empty)) == (False, False)
