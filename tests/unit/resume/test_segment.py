# SPDX-License-Identifier: Apache-2.0
"""A piece gives back the pages that it was made of, or is found out; pieces are written beside the reading."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.resume.segment import (
    BrokenSegmentError,
    KeptPage,
    SegmentWriter,
    seal_segment,
    segment_name,
    unseal_segment,
)
from tests.unit.resume.keeping import MemoryStore

KEY = b"k" * 32
RUN = "run"
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


class GatedStore(MemoryStore):
    """Take a piece only once it may, as a store that is slow."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.asked = threading.Event()

    def put_private(self, relative: str, data: bytes) -> None:
        self.asked.set()
        assert self.gate.wait(10)
        super().put_private(relative, data)


def page(number: int) -> KeptPage:
    return KeptPage(number, 100, [b"%d" % number])


@pytest.fixture
def store():
    gated = GatedStore()
    yield gated
    gated.gate.set()


@pytest.fixture
def writer(store):
    return SegmentWriter(store, RUN, KEY, written=4, change=lambda row: row + b"!")


def test_a_slow_store_holds_nothing_up_and_one_piece_waits_for_it(store, writer):
    begun = time.monotonic()
    writer.offer([page(1)])
    assert store.asked.wait(10)
    for number in (2, 3, 4):
        writer.offer([page(number)])

    assert time.monotonic() - begun < 5
    store.gate.set()
    writer.close(10)
    assert {name: unseal_segment(data, KEY) for name, data in store.items()} == {
        segment_name(RUN, 5): [KeptPage(1, 100, [b"1!"])],
        segment_name(RUN, 6): [KeptPage(2, 100, [b"2!"])],
    }


def test_a_piece_that_waits_can_be_left_out(store, writer):
    writer.offer([page(1)])
    assert store.asked.wait(10)
    writer.offer([page(2)])
    writer.drop()
    store.gate.set()

    writer.close(10)
    assert list(store) == [segment_name(RUN, 5)]


def test_a_store_that_never_answers_is_not_waited_for(store, writer):
    writer.offer([page(1)])
    assert store.asked.wait(10)

    begun = time.monotonic()
    writer.close(0.05)
    writer.offer([page(2)])
    writer.close(0.05)
    assert time.monotonic() - begun < 5


def test_after_a_failure_nothing_more_is_written(store, writer):
    store.put_private = lambda *_: (_ for _ in ()).throw(OSError("full"))
    writer.offer([page(1)])
    while writer.failure is None:
        time.sleep(0.01)
    del store.put_private
    store.gate.set()
    writer.offer([page(2)])

    writer.close(10)
    assert isinstance(writer.failure, OSError)
    assert dict(store) == {}
