# SPDX-License-Identifier: Apache-2.0
"""Packed ids are the very ids, counted and compared as sets would be, however many there are."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.pagination.packed_ids import KeyLog, distinct_count, fingerprint, ids_gone, pack, unpack

IDS = st.lists(st.text(max_size=4) | st.sampled_from(["a", "b", "c", "\ud800", "\x00", "\n"]), max_size=20)
GROUPS = st.lists(IDS, max_size=6)
COUNTS = st.sampled_from([0, 32_767, 32_768, 100_000])  # in one part, and in several


def different(groups):
    return {each for ids in groups for each in ids}


@given(IDS)
def test_ids_come_back_as_they_were(ids):
    assert unpack(pack(ids)) == tuple(ids)


@given(GROUPS, COUNTS)
def test_different_ids_are_counted_in_one_part_or_in_several(groups, count):
    assert distinct_count([pack(ids) for ids in groups], count) == len(different(groups))


@given(GROUPS, GROUPS, COUNTS)
def test_fingerprints_are_the_same_for_the_same_ids_alone(left, right, count):
    one, other = (fingerprint([pack(ids) for ids in groups], count) for groups in (left, right))

    assert (one == other) is (different(left) == different(right))
    assert one == fingerprint([pack(sorted(different(left)))], count)


@given(GROUPS, GROUPS, COUNTS)
def test_what_is_gone_is_what_was_there_and_is_not_any_more(before, now, count):
    gone = list(ids_gone([pack(ids) for ids in before], [pack(ids) for ids in now], count))

    assert sorted(gone) == sorted(different(before) - different(now))


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 1_000, 70_000])
def test_a_log_gives_each_key_and_the_last_slot_of_each(count):
    keys = [f"k{number * 7 % 40_000}" for number in range(count)]
    log = KeyLog()
    for at in range(0, count, 99):
        log.extend(keys[at : at + 99])

    assert len(log) == count
    assert [log[slot] for slot in range(0, count, 97)] == keys[::97]
    assert sorted(log.last_slots()) == sorted({key: slot for slot, key in enumerate(keys)}.values())


def test_packed_ids_take_about_as_much_memory_as_they_are_long():
    ids = [f"{number:032x}-abc" for number in range(100)]

    assert sys.getsizeof(pack(ids)) < 100 * 43
