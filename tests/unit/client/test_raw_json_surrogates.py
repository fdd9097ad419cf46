# SPDX-License-Identifier: Apache-2.0
"""Half of a surrogate pair becomes U+FFFD, and all else keeps its bytes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.client.raw_json import mend_surrogates


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        (rb'"x\ud83d"', rb'"x\ufffd"'),
        (rb'"\uDE00 x"', rb'"\ufffd x"'),
        (rb'"\ude00\ud83d"', rb'"\ufffd\ufffd"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
    ],
)
def test_a_half_is_mended(raw, mended):
    assert mend_surrogates(raw) == mended


@pytest.mark.parametrize("raw", [rb'"\ud83d\ude00"', rb'"\\ud83d"', rb'"\\\\ud83d"', b'"ud83d"', rb'"\u00fc\ufffd\n"'])
def test_what_is_whole_keeps_its_very_bytes(raw):
    assert mend_surrogates(raw) is raw


@given(st.text(st.characters(codec=None)))
def test_any_text_is_as_it_was_but_for_its_halves(text):
    raw = json.dumps(text).encode()

    mended = json.loads(mend_surrogates(raw))

    assert mended == json.loads(raw).encode("utf-16", "surrogatepass").decode("utf-16", "replace") or any(
        0xD800 <= ord(each) <= 0xDFFF for each in text
    )
    mended.encode()  # which a half would not allow
