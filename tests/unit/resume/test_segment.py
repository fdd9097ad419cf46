# SPDX-License-Identifier: Apache-2.0
"""A piece gives back the pages that it was made of, or is found out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.resume.segment import BrokenSegmentError, KeptPage, seal_segment, unseal_segment

KEY = b"k" * 32
PAGE = KeptPage(100, 250, [b'{"call_id":"a"}', b'{"call_id":"b"}'])

pages = st.builds(KeptPage, st.integers(0, 2**40), st.integers(0, 2**40), st.lists(st.binary(max_size=40), max_size=5))


@given(st.lists(pages, max_size=5))
def test_any_pages_come_back_as_they_were(kept):
    assert unseal_segment(seal_segment(kept, KEY), KEY) == kept


@given(st.data())
def test_a_changed_or_missing_byte_is_found_out(data):
    sound = seal_segment([PAGE], KEY)
    place = data.draw(st.integers(0, len(sound) - 1))
    spoiled = data.draw(
        st.sampled_from([sound[:place], sound[:place] + sound[place + 1 :], sound + b"\0", flipped(sound, place)])
    )

    with pytest.raises(BrokenSegmentError):
        unseal_segment(spoiled, KEY)


def test_what_was_sealed_with_another_key_is_found_out():
    with pytest.raises(BrokenSegmentError):
        unseal_segment(seal_segment([PAGE], KEY), b"j" * 32)


def flipped(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
