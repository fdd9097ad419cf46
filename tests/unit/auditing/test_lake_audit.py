# SPDX-License-Identifier: Apache-2.0
"""A lake that is whole is found whole, and each harm is found, named and given a cure."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil

import pytest

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from tests.unit.auditing.lakes import audit, edit, kinds, make_lake, record, rewrite, write_window
from tests.unit.making import AGENT, DAY, FROM_MS, HOUR, tree_of


def without_manifest(windows):
    (windows[2] / "_manifest.json").unlink()


def broken_manifest(windows):
    (windows[2] / "_manifest.json").write_text('{"model_id": ')


def empty_manifest(windows):
    (windows[2] / "_manifest.json").write_bytes(b"")


def manifest_of_another_kind(windows):
    (windows[2] / "_manifest.json").write_text("[1, 2]")


def manifest_without_hash(windows):
    edit(windows[2], sha256=None)


def manifest_of_another_window(windows):
    shutil.copy(windows[1] / "_manifest.json", windows[2])


def manifest_of_another_agent(windows):
    edit(windows[2], model_id="agent-2")


def deep_manifest(windows):
    (windows[2] / "_manifest.json").write_text("[" * 100_000)


def missing_file(windows):
    (windows[2] / "calls.jsonl.gz").unlink()


def shorter_file(windows):
    path = windows[2] / "calls.jsonl.gz"
    path.write_bytes(path.read_bytes()[:-9])


def longer_file(windows):
    with (windows[2] / "calls.jsonl.gz").open("ab") as file:
        file.write(b"\0")


def empty_file(windows):
    (windows[2] / "calls.jsonl.gz").write_bytes(b"")


def flipped_bit(windows):
    path = windows[2] / "calls.jsonl.gz"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swapped_files(windows):
    (windows[1] / "calls.jsonl.gz").rename(windows[1] / "kept")
    shutil.copy(windows[2] / "calls.jsonl.gz", windows[1])
    (windows[1] / "kept").unlink()


def other_rows(windows):
    edit(windows[2], count=4)


def no_gzip(windows):
    data = b"these are no calls"
    (windows[2] / "calls.jsonl.gz").write_bytes(data)
    edit(windows[2], bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def no_json(windows):
    data = gzip.compress(b"{'call_id'\n" * 3, mtime=0)
    (windows[2] / "calls.jsonl.gz").write_bytes(data)
    edit(windows[2], bytes=len(data), sha256=hashlib.sha256(data).hexdigest())


def stray_file(windows):
    (windows[2] / "calls.jsonl").write_bytes(b"{}\n")


def removed_window(windows):
    shutil.rmtree(windows[2].parent)


def emptied_window(windows):
    for path in windows[2].iterdir():
        path.unlink()


def doubled_call(windows):
    begin = FROM_MS + 3 * DAY
    calls = [record(f"{AGENT}-3-{number}", begin + number * HOUR) for number in range(3)]
    rewrite(windows[3], [record(f"{AGENT}-1-0", FROM_MS + DAY), *calls])


def call_twice_in_a_window(windows):
    begin = FROM_MS + 2 * DAY
    rewrite(windows[2], [record("a", begin), record("a", begin)])


def unsettled_calls(windows):
    edit(windows[2], unsettled=2)


def overlapping_window(windows):
    write_window(windows[0].parents[2], FROM_MS + DAY + HOUR, FROM_MS + DAY + 2 * HOUR, [], extracted_at=None)


def missing_table(windows):
    edit(windows[2], tables={"turns": {"path": "turns.parquet", "rows": 1, "bytes": 3, "sha256": "x", "odd": 0}})


def table_of_other_bytes(windows):
    (windows[2] / "turns.parquet").write_bytes(b"abc")
    missing_table(windows)


def table_without_an_entry(windows):
    (windows[2] / "turns.parquet").write_bytes(b"abc")


HARMS = {
    without_manifest: ["damaged"],
    broken_manifest: ["damaged"],
    empty_manifest: ["damaged"],
    manifest_of_another_kind: ["damaged"],
    manifest_without_hash: ["damaged"],
    manifest_of_another_window: ["damaged"],
    manifest_of_another_agent: ["damaged"],
    deep_manifest: ["damaged"],
    missing_file: ["damaged"],
    shorter_file: ["damaged"],
    longer_file: ["damaged"],
    empty_file: ["damaged"],
    flipped_bit: ["damaged"],
    swapped_files: ["damaged"],
    other_rows: ["damaged"],
    no_gzip: ["damaged"],
    no_json: ["damaged"],
    stray_file: ["damaged"],
    removed_window: ["gap"],
    emptied_window: ["gap"],
    doubled_call: ["duplicate"],
    call_twice_in_a_window: ["duplicate"],
    unsettled_calls: ["unsettled"],
    overlapping_window: ["overlap"],
    missing_table: ["damaged"],
    table_of_other_bytes: ["damaged"],
    table_without_an_entry: ["damaged"],
}


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_each_harm_is_found_with_its_window_and_a_cure_and_nothing_else_is(tmp_path, harm):
    windows = make_lake(tmp_path)
    harm(windows)
    before = tree_of(tmp_path)

    outcome = audit(tmp_path)

    found = [kind for kind in kinds(outcome) if harm is not swapped_files or kind != "duplicate"]
    assert found == HARMS[harm]
    for finding in outcome.findings:
        assert finding.model_id == AGENT
        assert FROM_MS <= finding.from_ms < finding.to_ms <= FROM_MS + 5 * DAY
        assert finding.detail.endswith(".")
        assert finding.cure
    assert tree_of(tmp_path) == before


@pytest.mark.parametrize("output_format", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_a_lake_of_each_format_is_whole_and_a_call_in_two_windows_is_seen_in_each(tmp_path, output_format):
    make_lake(tmp_path, 3, output_format=output_format)
    assert kinds(audit(tmp_path)) == []

    begin = FROM_MS + 3 * DAY
    write_window(tmp_path, begin, begin + DAY, [record(f"{AGENT}-1-0", FROM_MS + DAY)], output_format=output_format)

    outcome = audit(tmp_path)
    assert kinds(outcome) == ["duplicate"]
    assert (outcome.findings[0].from_ms, outcome.findings[0].to_ms) == (begin, begin + DAY)


def test_two_formats_of_one_time_neither_overlap_nor_double(tmp_path):
    make_lake(tmp_path)
    begin = FROM_MS + DAY
    write_window(tmp_path, begin, begin + DAY // 2, [record(f"{AGENT}-1-0", begin)], output_format="jsonl")

    assert kinds(audit(tmp_path)) == []


def test_a_lake_that_was_moved_is_as_whole_as_before(tmp_path):
    make_lake(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")

    assert kinds(audit(tmp_path / "new")) == []


def test_a_manifest_of_the_first_version_is_read(tmp_path):
    for window in make_lake(tmp_path):
        edit(window, asked=None, dag_id=None, task_id=None, run_id=None, logical_date=None)

    outcome = audit(tmp_path)

    assert kinds(outcome) == []
    assert outcome.result()["calls"] == 15


def test_a_damaged_window_covers_its_time(tmp_path):
    windows = make_lake(tmp_path)
    missing_file(windows)

    assert "gap" not in kinds(audit(tmp_path))


class TestRange:
    def test_what_lies_outside_is_not_looked_at(self, tmp_path):
        windows = make_lake(tmp_path)
        missing_file(windows)

        outcome = audit(tmp_path, from_ms=FROM_MS + 3 * DAY, to_ms=FROM_MS + 5 * DAY)

        assert kinds(outcome) == []
        assert outcome.result()["windows"] == 2

    def test_begins_and_ends_with_gaps_where_the_lake_does_not_reach(self, tmp_path):
        make_lake(tmp_path, 2)

        outcome = audit(tmp_path, from_ms=FROM_MS - DAY, to_ms=FROM_MS + 4 * DAY)

        assert [(each.finding, each.from_ms, each.to_ms) for each in outcome.findings] == [
            ("gap", FROM_MS - DAY, FROM_MS),
            ("gap", FROM_MS + 2 * DAY, FROM_MS + 4 * DAY),
        ]

    def test_of_one_end_reaches_to_the_last_window(self, tmp_path):
        make_lake(tmp_path, 2)

        assert kinds(audit(tmp_path, from_ms=FROM_MS - DAY)) == ["gap"]
        assert kinds(audit(tmp_path, to_ms=FROM_MS + DAY)) == []

    def test_without_one_each_agent_is_looked_at_from_its_own_first_to_its_own_last_window(self, tmp_path):
        make_lake(tmp_path, 2)
        begin = FROM_MS + 10 * DAY
        write_window(tmp_path, begin, begin + DAY, [], agent="agent-2")

        outcome = audit(tmp_path)

        assert kinds(outcome) == []
        assert [agent.model_id for agent in outcome.agents] == [AGENT, "agent-2"]

    def test_an_agent_that_is_named_and_has_no_window_is_one_gap(self, tmp_path):
        make_lake(tmp_path, 2)

        outcome = audit(tmp_path, model_ids=("agent-9",), from_ms=FROM_MS, to_ms=FROM_MS + DAY)

        assert kinds(outcome) == ["gap"]


class TestAgents:
    def test_others_are_not_looked_at(self, tmp_path):
        make_lake(tmp_path)
        missing_file(make_lake(tmp_path, agent="agent-2"))

        assert kinds(audit(tmp_path, model_ids=(AGENT,))) == []
        assert kinds(audit(tmp_path, model_ids=("agent-2",))) == ["damaged"]
        assert kinds(audit(tmp_path)) == ["damaged"]

    def test_whose_id_is_the_beginning_of_another_s_is_told_apart(self, tmp_path):
        make_lake(tmp_path, 2, agent="agent")
        make_lake(tmp_path, 3, agent="agent-1")

        assert audit(tmp_path, model_ids=("agent",)).result()["windows"] == 2

    @pytest.mark.parametrize("agent", ["a/b c", "../..", "ü=%2F", "<b>&\"'", "a\u202eb"])
    def test_have_any_id(self, tmp_path, agent):
        make_lake(tmp_path, 2, agent=agent)

        outcome = audit(tmp_path, model_ids=(agent,))

        assert kinds(outcome) == []
        assert [each.model_id for each in outcome.agents] == [agent]

    def test_share_a_call_without_harm(self, tmp_path):
        write_window(tmp_path, FROM_MS, FROM_MS + DAY, [record("a", FROM_MS)])
        write_window(tmp_path, FROM_MS + DAY, FROM_MS + 2 * DAY, [record("a", FROM_MS)], agent="agent-2")

        assert kinds(audit(tmp_path)) == []


class TestWithoutReading:
    def test_sizes_are_compared(self, tmp_path):
        windows = make_lake(tmp_path)
        shorter_file(windows)

        assert kinds(audit(tmp_path, read_files=False)) == ["damaged"]

    def test_it_says_what_was_not_looked_at(self, tmp_path):
        windows = make_lake(tmp_path)
        flipped_bit(windows)

        outcome = audit(tmp_path, read_files=False)

        assert kinds(outcome) == []
        assert any("not read" in note for note in outcome.notes)


class TestRecordings:
    def store(self, window, calls, *, status="stored", audio=b"ID3 audio"):
        folder = window / "recordings"
        folder.mkdir(exist_ok=True)
        items = []
        for call in calls:
            item = {"call_id": call, "status": status}
            if status == "stored":
                (folder / f"{call}.mp3").write_bytes(audio)
                item |= {
                    "file": f"{call}.mp3", "bytes": len(audio), "sha256": hashlib.sha256(audio).hexdigest(),
                    "content_type": "audio/mpeg",
                }  # fmt: skip
            items.append(item)
        (folder / "_recordings.json").write_text(json.dumps({"items": items, "dag_id": "calls", "task_id": "record"}))

    @pytest.fixture
    def windows(self, tmp_path):
        made = []
        for day in range(3):
            begin = FROM_MS + day * DAY
            calls = [
                record(f"c{day}", begin, recording_url="https://a/b", recording_duration="9"),
                record(f"n{day}", begin),
            ]
            made.append(write_window(tmp_path, begin, begin + DAY, calls))
            self.store(made[-1], [f"c{day}"])
        return made

    def test_that_are_whole_are_no_finding(self, tmp_path, windows):
        assert len(windows) == 3
        assert kinds(audit(tmp_path)) == []

    def test_that_were_never_asked_for_are_no_finding_in_a_lake_without_any(self, tmp_path):
        write_window(tmp_path, FROM_MS, FROM_MS + DAY, [record("a", FROM_MS, recording_url="https://a/b")])

        assert kinds(audit(tmp_path)) == []

    @pytest.mark.parametrize(("duration", "found"), [("00:31", ["unrecorded"]), ("00:00", []), (31, ["unrecorded"])])
    def test_are_promised_by_what_the_task_that_stores_them_takes_for_a_promise(
        self, tmp_path, windows, duration, found
    ):
        rewrite(windows[1], [record("c1", FROM_MS + DAY), record("n1", FROM_MS + DAY, recording_duration=duration)])

        assert kinds(audit(tmp_path)) == found

    def test_one_that_is_gone_is_damage_and_its_cure_the_task_that_stores_them(self, tmp_path, windows):
        (windows[1] / "recordings" / "c1.mp3").unlink()

        outcome = audit(tmp_path)

        assert kinds(outcome) == ["damaged"]
        assert "--task-regex record" in outcome.findings[0].cure

    def test_one_with_other_bytes_is_damage(self, tmp_path, windows):
        (windows[1] / "recordings" / "c1.mp3").write_bytes(b"ID3 oudia")

        assert kinds(audit(tmp_path)) == ["damaged"]

    def test_one_that_no_list_names_is_damage(self, tmp_path, windows):
        (windows[1] / "recordings" / "other.mp3").write_bytes(b"x")

        assert kinds(audit(tmp_path)) == ["damaged"]

    def test_without_their_list_or_with_a_broken_one_are_damage(self, tmp_path, windows):
        (windows[0] / "recordings" / "_recordings.json").unlink()
        (windows[1] / "recordings" / "_recordings.json").write_text("{")

        assert kinds(audit(tmp_path, read_files=False)) == ["damaged", "damaged"]

    def test_promised_and_not_stored_are_counted(self, tmp_path, windows):
        shutil.rmtree(windows[1] / "recordings")
        self.store(windows[2], ["c2"], status="missing")
        (windows[2] / "recordings" / "c2.mp3").unlink()

        outcome = audit(tmp_path)

        assert kinds(outcome) == ["unrecorded", "unrecorded"]
        assert all(finding.detail == "Promised and not stored: 1 recording." for finding in outcome.findings)


class TestWhatIsNoLake:
    def test_a_path_that_is_not_there_is_told(self, tmp_path):
        with pytest.raises(SynthflowConfigError, match="holds nothing"):
            audit(tmp_path / "not-there")

    def test_a_lake_of_another_tool_is_told(self, tmp_path):
        (tmp_path / "dt=2024-03-01").mkdir()
        (tmp_path / "dt=2024-03-01" / "part-0.parquet").write_bytes(b"PAR1")

        with pytest.raises(SynthflowConfigError, match="none of them is a window of this package"):
            audit(tmp_path)

    def test_an_agent_without_windows_is_told(self, tmp_path):
        make_lake(tmp_path, 2)

        with pytest.raises(SynthflowConfigError, match="no window of agent agent-9"):
            audit(tmp_path, model_ids=("agent-9",))

    def test_files_of_others_beside_the_windows_are_passed_over_and_counted(self, tmp_path):
        make_lake(tmp_path, 2)
        (tmp_path / "notes.txt").write_text("x")
        (tmp_path / "assistants").mkdir()
        (tmp_path / "assistants" / "_manifest.json").write_text("{}")
        (tmp_path / f"model_id={AGENT}" / "from_date=tomorrow").mkdir()
        (tmp_path / f"model_id={AGENT}" / "from_date=tomorrow" / "x").write_text("x")

        outcome = audit(tmp_path)

        assert kinds(outcome) == []
        assert any(note.startswith("Passed over: 2 files of no window") for note in outcome.notes)

    def test_what_is_not_published_yet_is_no_damage(self, tmp_path):
        windows = make_lake(tmp_path, 2)
        (windows[0] / ".0123456789abcdef.tmp").write_bytes(b"half")

        assert kinds(audit(tmp_path)) == []
