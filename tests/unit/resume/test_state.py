# SPDX-License-Identifier: Apache-2.0
"""What the task's state remembers answers one question, for some hours, and names a directory of this package only."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.resume import state as recording
from airflow_provider_synthflow.resume.state import LONGEST_MS, CheckpointState, make_digest, make_key
from airflow_provider_synthflow.window import Window

QUERY = CallsQuery("agent-1", lead_phone_number="+493023125001")
PLAN = WindowPlan(Window(0, 1000), QUERY, 60_000)
SETTINGS = Settings("https://api.synthflow.ai/v2", "a-key-0123456789", hash_key="pepper")
DIGEST = make_digest(PLAN, SETTINGS, Privacy())
SOUND = CheckpointState.begin(DIGEST, 1000)


def test_what_is_remembered_comes_back_from_json():
    assert CheckpointState.of(json.loads(json.dumps(SOUND.value()))) == SOUND


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        {**SOUND.value(), "run": "../../etc/0123456789abcdef0123456789abcdef"},
        {**SOUND.value(), "run": 7},
        {**SOUND.value(), "run": SOUND.run + "\n"},
        {**SOUND.value(), "seal": "short"},
        {**SOUND.value(), "begun_ms": "1000"},
        {**SOUND.value(), "begun_ms": True},
        {**SOUND.value(), "more": 1},
    ],
)
def test_what_is_no_such_record_is_none(value):
    assert CheckpointState.of(value) is None


@pytest.mark.parametrize(
    ("age_ms", "serves"),
    [(0, True), (LONGEST_MS, True), (LONGEST_MS + 1, False), (-60_000, True), (-3_600_000, False)],
)
def test_pages_serve_for_some_hours(age_ms, serves):
    assert SOUND.serves(DIGEST, 1000 + age_ms) is serves


@pytest.mark.parametrize(
    "other",
    [
        make_digest(replace(PLAN, window=Window(0, 1001)), SETTINGS, Privacy()),
        make_digest(replace(PLAN, settle_ms=60_001), SETTINGS, Privacy()),
        make_digest(replace(PLAN, query=CallsQuery("agent-2", lead_phone_number="+493023125001")), SETTINGS, Privacy()),
        make_digest(replace(PLAN, query=CallsQuery("agent-1")), SETTINGS, Privacy()),
        make_digest(replace(PLAN, query=replace(QUERY, call_status="completed")), SETTINGS, Privacy()),
        make_digest(PLAN, replace(SETTINGS, base_url="https://api.eu.synthflow.ai/v2"), Privacy()),
        make_digest(PLAN, replace(SETTINGS, api_key="another-key-0123456789"), Privacy()),
        make_digest(PLAN, SETTINGS, Privacy(["transcript"])),
        make_digest(PLAN, SETTINGS, Privacy((), ["transcript"], key="pepper")),
    ],
)
def test_pages_serve_no_other_question(other):
    assert not SOUND.serves(other, 1000)


def test_pages_serve_no_other_version_of_the_package(monkeypatch):
    monkeypatch.setattr(recording, "__version__", "99.0")

    assert make_digest(PLAN, SETTINGS, Privacy()) != DIGEST


def test_pages_that_were_hashed_with_another_key_do_not_serve():
    privacy = Privacy((), ["transcript"], key="pepper")
    other = make_digest(PLAN, replace(SETTINGS, hash_key="salt"), privacy)

    assert other != make_digest(PLAN, SETTINGS, privacy)


def test_neither_the_digest_nor_the_name_tells_who_was_called():
    stored = json.dumps([make_key(PLAN), CheckpointState.begin(DIGEST, 1000).value()])

    assert "agent-1" not in stored
    assert "493023125001" not in stored
    assert SETTINGS.api_key not in stored


def test_windows_and_agents_have_names_of_their_own():
    plans = [PLAN, replace(PLAN, window=Window(0, 1001)), replace(PLAN, query=CallsQuery("agent-2"))]

    assert len({make_key(plan) for plan in plans}) == 3
