# SPDX-License-Identifier: Apache-2.0
"""The demonstration ends with questions and their answers."""

from __future__ import annotations

import json

from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window
from dev.demo.questions import answer_questions
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, make_calls


def test_three_questions_are_answered_from_the_files(tmp_path):
    calls = make_calls(1, 50, agents=["agent-a"], to_ms=DEFAULT_FROM_MS + DAY_MS)
    window = Window(DEFAULT_FROM_MS, DEFAULT_FROM_MS + DAY_MS)
    records = [json.dumps(call.record).encode() for call in calls]
    Publication(LocalStore(str(tmp_path)), "agent-a", window, "jsonl.gz", {}).publish(records, {"query": {}})

    told = answer_questions(tmp_path)

    assert told.count("?\n") == 3
    assert told.count("agent-a") == 2
    assert "human_goodbye" in told
