# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_synthflow.client.redaction import redact

KEY = "sk-test-abc"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Limit must be between 1 and 100.", "Limit must be between 1 and 100."),
        (f"{KEY} is no key", "*** is no key"),
        (f"Bearer {KEY},{KEY}", "Bearer ***,***"),
        ("+15550100001 is unknown", "*** is unknown"),
        ("call 15550100001.", "call ***."),
        ("call +1 (555) 010-0001 now", "call *** now"),
        ("call +49 30 231 250 01", "call ***"),
        ("call 555.010.0001", "call ***"),
        ("555-0101 and +4930231250", "*** and ***"),
        ("on one\n\tline  only", "on one line only"),
        (f"split\n{KEY}", "split ***"),
        ("123456 is short", "123456 is short"),
        ("agent 5f3c1f0a", "agent 5f3c1f0a"),
        ("", ""),
    ],
)
def test_secrets_and_telephone_numbers_are_taken_out_and_the_rest_stays(text, expected):
    assert redact(text, (KEY,)) == expected


@pytest.mark.parametrize("secrets", [(), ("",), ("", "not there")])
def test_nothing_to_take_out_leaves_the_text(secrets):
    assert redact("a plain text", secrets) == "a plain text"


@pytest.mark.parametrize(("length", "kept"), [(200, 200), (201, 200), (5000, 200)])
def test_a_text_is_cut_to_200_characters(length, kept):
    text = redact("x" * length)
    assert len(text) == kept
    assert text.endswith("…") is (length > 200)


def test_a_secret_at_the_cut_leaves_no_part_of_itself():
    text = redact("x" * 195 + KEY, (KEY,))
    assert text == "x" * 195 + "***"


def test_a_number_at_the_cut_leaves_no_part_of_itself():
    assert redact("x " * 97 + "+15550100001") == "x " * 97 + "***"
