# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest

from airflow_provider_synthflow.client.call import TERMINAL_STATUSES, is_terminal, read_call

TERMINAL = [
    "completed",
    "failed",
    "no-answer",
    "busy",
    "canceled",
    "user-canceled",
    "hangup_on_voicemail",
    "left_voicemail",
]
OTHERS = ["pending", "ringing", "in-progress", "spam", "paused", "registered", "checking", "queue", "initiated"]


def test_the_final_statuses_are_those_of_the_documentation():
    assert sorted(TERMINAL_STATUSES) == sorted(TERMINAL)


@pytest.mark.parametrize("status", [*TERMINAL, "COMPLETED", " Failed "])
def test_a_final_status_is_final_however_it_is_written(status):
    assert is_terminal(status)


@pytest.mark.parametrize("status", [*OTHERS, "brand-new", "", "complete", None, 0, True, ["completed"], {}])
def test_every_other_status_is_not_final_unknown_ones_included(status):
    assert not is_terminal(status)


@pytest.mark.parametrize(("status", "final"), [("completed", True), ("in-progress", False), (None, False)])
def test_a_call_read_of_its_bytes_knows_whether_it_is_final(status, final):
    assert read_call(json.dumps({"call_id": "a", "call_status": status}).encode()).final is final
