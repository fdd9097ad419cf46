# SPDX-License-Identifier: Apache-2.0
"""A spill gives back the last record of each key, in order, and leaves nothing on the disk."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.extraction.spill import Spill
from tests.following import Following

LARGE = 5 * 1024 * 1024  # beyond what stays in memory


def put(spill, *records):
    """Put records, each with its key and its order in front."""
    spill.put(*map(list, zip(*records, strict=True)))


@pytest.fixture
def spill():
    with Spill() as one:
        yield one


def test_takes_the_records_of_a_page_together_also_those_that_are_to_be_forgotten(spill):
    put(spill, ("a", 1, b"first"), ("b", 2, b"b"))
    put(spill, ("c", 4, b"third"), ("b", 0, None), ("d", 3, b"d"), ("a", 5, b"last"))

    assert list(spill.items()) == [("d", 3, b"d"), ("c", 4, b"third"), ("a", 5, b"last")]


def test_gives_records_back_by_their_order_and_then_by_their_key(spill):
    for key, order in [("b", 2), ("z", 1), ("a", 2), ("c", -5), ("A", 2)]:
        put(spill, (key, order, f"{order}{key}".encode()))

    assert list(spill.records()) == [b"-5c", b"1z", b"2A", b"2a", b"2b"]


def test_keeps_the_last_record_of_a_key_at_its_new_place(spill):
    put(spill, ("a", 1, b"first"))
    put(spill, ("b", 2, b"other"))
    put(spill, ("a", 3, b"second, longer"))

    assert list(spill.records()) == [b"other", b"second, longer"]
    assert (len(spill), spill.size()) == (2, len(b"other" + b"second, longer"))


def test_forgets_what_is_discarded_and_minds_no_unknown_key(spill):
    put(spill, ("a", 1, b"1"))
    put(spill, ("b", 2, b"2"))

    put(spill, ("a", 0, None))
    put(spill, ("nobody", 0, None))

    assert list(spill.records()) == [b"2"]
    assert (len(spill), spill.size()) == (1, 1)


def test_gives_records_more_than_once_and_takes_more_in_between(spill):
    put(spill, ("b", 2, b"2"))
    first = list(spill.records())
    put(spill, ("a", 1, b"1"))

    assert (first, list(spill.records())) == ([b"2"], [b"1", b"2"])


@pytest.mark.parametrize("data", [b"", b"\n", b"\x00\xff" * 10, b"x" * LARGE], ids=["empty", "line", "binary", "large"])
def test_gives_back_the_very_bytes(spill, data):
    put(spill, ("before", 0, b"<"))
    put(spill, ("a", 1, data))
    put(spill, ("after", 2, b">"))

    assert list(spill.records()) == [b"<", data, b">"]


def test_of_nothing_is_empty(spill):
    assert (list(spill.records()), len(spill), spill.size()) == ([], 0, 0)


def test_holds_nothing_once_it_is_closed():
    with Spill() as one:
        put(one, ("a", 1, b"1"))

    assert len(one) == 0
    with pytest.raises(ValueError, match="closed"):
        put(one, ("b", 1, b"1"))


def test_leaves_no_file_that_has_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with Spill() as one:
        put(one, ("a", 1, b"x" * LARGE))
        assert list(tmp_path.iterdir()) == []

    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_goes_to_a_private_file_only_beyond_four_mebibytes(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def modes():
        found = []
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # the listing's own
                if str(tmp_path) in str(each.readlink()):
                    found.append(oct(each.stat().st_mode & 0o777))
        return found

    with Spill() as one:
        put(one, ("a", 1, b"x" * 1024 * 1024))
        assert modes() == []
        put(one, ("b", 1, b"x" * LARGE))
        assert modes() == ["0o600"]
    assert modes() == []


def test_leaves_nothing_when_its_process_is_killed(tmp_path):
    code = (
        "import sys, tempfile, time\n"
        "sys.modules['airflow'] = None\n"
        "from airflow_provider_synthflow.extraction.spill import Spill\n"
        "spill = Spill(); spill.put(['a'], [1], [b'x' * 6_000_000]); print('ready', flush=True); time.sleep(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment) as process:  # noqa: S603 - our own program
        assert process.stdout.readline() == "ready\n"
        process.kill()

    assert list(tmp_path.iterdir()) == []


KEYS = st.text(max_size=3) | st.sampled_from(["a", "b", "\ud800", "\x00", "é", "日本"])


@given(st.lists(st.tuples(KEYS, st.integers(-(2**45), 2**45) | st.integers(0, 3), st.none() | st.binary(max_size=9))))
def test_holds_what_a_dictionary_would_hold_sorted(steps):
    expected = {}
    with Spill() as spill:
        for key, order, data in steps:
            if data is None:
                put(spill, (key, 0, None))
                expected.pop(key, None)
            else:
                put(spill, (key, order, data))
                expected[key] = (order, key, data)
        rows = sorted(expected.values())

        assert list(spill.records()) == [data for _, _, data in rows]
        assert (len(spill), spill.size()) == (len(rows), sum(len(data) for _, _, data in rows))


def test_keeps_order_and_the_last_of_each_key_among_more_than_it_looks_at_in_one_go():
    count = 80_000
    with Spill() as spill:
        for number in range(count):
            put(spill, (f"k{number % 50_000:05}", -number // 7, b"%d" % number))
        last = {f"k{number % 50_000:05}": number for number in range(count)}

        found = [int(record) for record in spill.records()]

    assert found == [number for _, _, number in sorted((-number // 7, key, number) for key, number in last.items())]


def test_writes_what_is_beyond_its_memory_and_reads_it_while_more_comes(spill):
    for number in range(3_000):
        put(spill, (str(number), -number, b"%04d" % number * 500))
    records = spill.records()
    first = next(records)
    put(spill, ("more", -9_999, b"more"))

    assert first == b"2999" * 500
    assert [record[:4] for record in records] == [b"%04d" % number for number in range(2_998, -1, -1)]
    assert next(spill.records()) == b"more"


class TestLeading:
    """A follower gets each record as it comes, as long as that is the order of the records."""

    @pytest.fixture(params=[True, False], ids=["lends", "lends not"])
    def following(self, spill, request):
        following = Following(lends=request.param)
        spill.lead(following)
        return following

    def test_hands_on_what_comes_in_order(self, spill, following):
        for key, order in [("b", -1), ("c", 1), ("a", 2), ("d", 2)]:
            put(spill, (key, order, key.encode()))
            assert following.records[-1] == key.encode()

        assert spill.in_step()
        assert following.records == list(spill.records()) == [b"b", b"c", b"a", b"d"]

    def test_without_records_is_in_step(self, spill, following):
        assert spill.in_step()
        assert following.records == []

    @pytest.mark.parametrize("late", [("a", 0), ("a", 2), ("b", 2)])
    def test_ends_at_a_record_that_belongs_before_another(self, spill, following, late):
        put(spill, ("b", 2, b"1"))
        put(spill, (*late, b"2"))
        put(spill, ("c", 3, b"3"))

        assert not spill.in_step()
        assert following.records == [b"1"]

    @pytest.mark.usefixtures("following")
    @pytest.mark.parametrize("change", [("a", 9, b"new"), ("a", 0, None)])
    def test_of_a_record_that_is_changed_or_discarded_later_is_not_in_step(self, spill, change):
        put(spill, ("a", 1, b"1"))
        put(spill, ("b", 2, b"2"))
        put(spill, change)

        assert not spill.in_step()

    @pytest.mark.usefixtures("following")
    def test_does_not_mind_that_unknown_keys_are_discarded(self, spill):
        put(spill, ("x", 0, None))
        put(spill, ("a", 1, b"1"))
        put(spill, ("y", 0, None))
        put(spill, ("b", 2, b"2"))

        assert spill.in_step()

    @pytest.mark.usefixtures("following")
    @pytest.mark.parametrize("keys", ["abc", "aabc"], ids=["each once", "one twice"])
    def test_told_how_many_keys_there_are_looks_for_repeats_only_where_more_came(self, spill, monkeypatch, keys):
        for order, key in enumerate(keys):
            put(spill, (key, order, key.encode()))
        looked = []
        monkeypatch.setattr(spill._keys, "last_slots", lambda: looked.append(True) or [1, 2, 3])

        spill.expect(3)

        assert list(spill.records()) == [b"a", b"b", b"c"]
        each_once = keys == "abc"
        assert (spill.in_step(), bool(looked)) == (each_once, not each_once)

    def test_that_nobody_follows_is_not_in_step(self, spill):
        assert not spill.in_step()

    def test_keeps_no_second_copy_of_what_the_follower_lends(self, spill, monkeypatch):
        spill.lead(Following(lends=True))
        monkeypatch.setattr(tempfile, "TemporaryFile", None)  # none is made

        for number in range(3):
            put(spill, (f"{number}", number, b"x" * LARGE))

        assert [len(record) for record in spill.records()] == [LARGE] * 3

    @pytest.mark.parametrize("in_memory", [0, 3, 1000])
    @pytest.mark.parametrize("lends", [True, False])
    @given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 4) | st.none()), max_size=12), st.booleans())
    def test_gives_back_what_it_would_without_a_follower(self, in_memory, lends, steps, told):
        following = Following(lends=lends)
        with Spill() as spill, Spill() as alone, pytest.MonkeyPatch.context() as patch:
            patch.setattr("airflow_provider_synthflow.extraction.spill._IN_MEMORY", in_memory)
            spill.lead(following)
            for number, (key, order) in enumerate(steps):
                for one in (spill, alone):
                    if order is None:
                        put(one, (key, 0, None))
                    else:
                        put(one, (key, order, b"%d" % number))
            if told:
                spill.expect(len({key for key, _ in steps}))

            assert list(spill.records()) == list(alone.records())
            assert not spill.in_step() or following.records == list(alone.records())
