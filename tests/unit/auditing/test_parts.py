# SPDX-License-Identifier: Apache-2.0
"""The parts of an audit hold for all inputs: gaps and overlaps, where calls are, and words for a shell."""

from __future__ import annotations

import itertools
import shlex
import subprocess
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.auditing import call_ids
from airflow_provider_synthflow.auditing.call_ids import CallIds
from airflow_provider_synthflow.auditing.coverage import choose_windows, find_gaps, find_overlaps
from airflow_provider_synthflow.auditing.cure import Cures, Origin, quote_word


@dataclass(frozen=True, order=True)
class Span:
    from_ms: int
    to_ms: int
    extracted_ms: int = 0


SPANS = st.lists(st.builds(lambda a, b: Span(min(a, b), max(a, b) + 1), st.integers(0, 40), st.integers(0, 40))).map(
    sorted
)


@settings(deadline=None)
@given(SPANS)
def test_gaps_and_windows_together_are_all_time(spans):
    gaps = find_gaps(spans, 0, 50)

    for moment in range(50):
        covered = any(span.from_ms <= moment < span.to_ms for span in spans)
        assert covered != any(begin <= moment < end for begin, end in gaps)


@settings(deadline=None)
@given(SPANS)
def test_overlaps_are_all_pairs_that_share_time(spans):
    numbered = [Span(span.from_ms, span.to_ms, number) for number, span in enumerate(spans)]
    wanted = {frozenset(pair) for pair in itertools.combinations(numbered, 2) if pair[1].from_ms < pair[0].to_ms}

    assert {frozenset(pair) for pair in find_overlaps(numbered, 1000)} == wanted


@settings(deadline=None)
@given(SPANS.filter(lambda spans: len(spans) <= 8))
def test_the_windows_that_are_kept_do_not_overlap_and_cover_as_much_as_can_be(spans):
    kept = [spans[number] for number in sorted(choose_windows(spans))]

    assert all(one.to_ms <= two.from_ms for one, two in itertools.pairwise(kept))
    best = max(
        sum(span.to_ms - span.from_ms for span in chosen)
        for size in range(len(spans) + 1)
        for chosen in itertools.combinations(spans, size)
        if all(one.to_ms <= two.from_ms for one, two in itertools.pairwise(chosen))
    )
    assert sum(span.to_ms - span.from_ms for span in kept) == best


@pytest.mark.parametrize("in_memory", [16 * 1024 * 1024, 64])
def test_each_repeated_id_is_found_in_memory_and_on_the_disk(monkeypatch, in_memory):
    monkeypatch.setattr(call_ids, "_IN_MEMORY", in_memory)
    odd = ["a\tb", "a\nb", "\\", "ü", "\ud800", ""]
    with CallIds() as ids:
        ids.add(0, [(f"call-{number}", True) for number in range(500)])
        ids.add(1, [*((each, True) for each in odd), ("call-7", False)])
        ids.add(2, [(each, False) for each in odd])

        found = dict(ids.repeated())

    assert found == {"call-7": [(0, True), (1, False)]} | {each: [(1, True), (2, False)] for each in odd}


@settings(max_examples=50, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12))
def test_a_word_reaches_a_command_as_it_is(word):
    done = subprocess.run(["/bin/bash", "-c", f"printf %s {quote_word(word)}"], capture_output=True, check=True)  # noqa: S603

    assert done.stdout.decode() == word
    assert "\x1b" not in quote_word(word)


class TestCures:
    CURES = Cures("s3://lake/calls", lambda path: f"s3://lake/calls/{path}")

    def test_clear_the_run_that_a_manifest_names(self):
        command = self.CURES.clear(Origin("my dag", "group.extract", "r", 86_400_000), 0, 86_400_000)

        assert shlex.split(command) == [
            "airflow", "tasks", "clear", "my dag", "--task-regex", "group.extract",
            "--start-date", "1970-01-02T00:00:00Z", "--end-date", "1970-01-02T00:00:00Z", "--yes",
        ]  # fmt: skip

    def test_ask_the_rest_api_for_a_run_without_a_date(self):
        command = self.CURES.clear(Origin("calls", "extract", "asset__1", None), 0, 1)

        assert command.startswith('curl --fail --request POST "$AIRFLOW_URL/api/v2/dags/calls/clearTaskInstances"')
        assert '"dag_run_id":"asset__1"' in command
        assert '"dry_run":false,"only_failed":false' in command

    def test_backfill_the_runs_of_a_gap_alone_where_the_windows_beside_tell_their_dates(self):
        origin = Origin("calls", "extract")

        assert "--from-date 1970-01-01T00:00:01Z --to-date 1970-01-02" in self.CURES.backfill(
            origin, 0, 86_400_000, ends=True
        )
        assert "--from-date 1970-01-01T00:00:00Z --to-date 1970-01-01T23:59:59Z" in self.CURES.backfill(
            origin, 0, 86_400_000, ends=False
        )

    def test_are_those_of_airflow_2_there(self):
        cures = Cures("/lake", str, "calls", 2)

        assert cures.backfill(Origin(), 0, 1000).startswith("airflow dags backfill --start-date")

    @pytest.mark.parametrize(
        ("location", "command"),
        [
            ("/lake/a b", "rm -r -- '/lake/a b'"),
            ("s3://lake/a", "aws s3 rm --recursive s3://lake/a/"),
            ("gs://lake/a", "gcloud storage rm --recursive gs://lake/a"),
            ("abfss://lake/a", "az storage fs directory delete --yes --file-system lake --name a"),
        ],
    )
    def test_remove_a_directory_by_the_store_s_own_command(self, location, command):
        assert Cures("", lambda _: location).remove(["x"], directories=True) == command
