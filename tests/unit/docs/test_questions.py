# SPDX-License-Identifier: Apache-2.0
"""Each statement of docs/howto/questions.md gives what a plain count over the demonstration's calls gives."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import re
from collections import Counter, defaultdict
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_synthflow.client.call import TERMINAL_STATUSES
from airflow_provider_synthflow.output.draft import TablesSpec
from airflow_provider_synthflow.output.publication import Publication, SnapshotPublication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES
from airflow_provider_synthflow.window import Window
from dev.demo.source import make_demo_calls
from tests.synthflow_server.dataset import DAY_MS, agent_ids

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^## (.*?)\n.*?^```sql\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
FORMATS = ("parquet", "jsonl.gz")
NAMES = {agent: f"agent-{number}" for number, agent in enumerate(agent_ids(3))}


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("synthflow_lake", ROOT / "example_dags" / "synthflow_lake.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def publish(lake: Path, output_format: str, records: list[dict[str, Any]], names: dict[str, str]) -> None:
    """Store calls by agents and days, with their tables, the agents' names, and two of three recordings."""
    store = LocalStore(str(lake))
    spec = TablesSpec(tuple(TABLES), ParquetTables) if output_format == "parquet" else None
    windows = defaultdict(list)
    for record in records:
        windows[record["model_id"], int(record["start_time"]) // DAY_MS * DAY_MS].append(record)
    for (agent, day), each in windows.items():
        publication = Publication(store, agent, Window(day, day + DAY_MS), output_format, {}, tables=spec)
        publication.publish([json.dumps(record).encode() for record in each], {"query": {}})
        items = [
            {"call_id": record["call_id"], "status": "stored" if is_stored(record) else "missing"}
            for record in each
            if record["recording_duration"]
        ]
        recordings = Path(publication.path).parent / "recordings"
        recordings.mkdir()
        (recordings / "_recordings.json").write_text(json.dumps({"items": items}), encoding="utf-8")
    agents = [json.dumps({"model_id": agent, "name": name}).encode() for agent, name in names.items()]
    SnapshotPublication(store, "20261123", output_format, full=False).publish(agents, {"query": {}})


def is_stored(record: dict[str, Any]) -> bool:
    return record["call_id"][-1] not in "02468"


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Make the demonstration's lake in two formats, and return where each is, and the calls' records."""
    folder = tmp_path_factory.mktemp("lakes")
    records = [call.record for call in make_demo_calls()]
    for output_format in FORMATS:
        publish(folder / output_format, output_format, records, NAMES)
    return folder, records


@lru_cache(maxsize=4)
def open_views(lake: Path) -> duckdb.DuckDBPyConnection:
    database = duckdb.connect()
    load_example().create_views(database, str(lake))
    return database


def ask(question: str, folder: Path, output_format: str = "parquet") -> list[tuple[Any, ...]]:
    return open_views(folder / output_format).execute(QUESTIONS[question]).fetchall()


def started(record: dict[str, Any]) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(record["start_time"]) / 1000, dt.timezone.utc)


def said(record: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for line in (record["transcript"] or "").split("\n"):
        speaker, mark, text = line.partition(": ")
        if mark and speaker in ("bot", "human"):
            found.append((speaker, text))
        elif found:
            found[-1] = (found[-1][0], f"{found[-1][1]}\n{line}")
    return found


def is_final(record: dict[str, Any]) -> bool:
    return record["call_status"] in TERMINAL_STATUSES


def test_there_are_twelve():
    assert len(QUESTIONS) == 12


@pytest.mark.parametrize("output_format", FORMATS)
def test_calls_a_day_and_agent(lake, output_format):
    folder, records = lake
    counted = Counter((started(record).date(), NAMES[record["model_id"]]) for record in records)

    rows = ask("How many calls a day has each agent?", folder, output_format)

    assert {row[:2]: row[2] for row in rows} == counted


@pytest.mark.parametrize("output_format", FORMATS)
def test_the_share_of_answered_calls(lake, output_format):
    folder, records = lake
    by_agent = defaultdict(list)
    for record in filter(is_final, records):
        by_agent[record["model_id"]].append(record["call_status"] == "completed")

    rows = ask("What share of calls is answered?", folder, output_format)

    assert [row[:2] for row in rows] == [(agent, len(by_agent[agent])) for agent in sorted(by_agent)]
    assert [row[2] for row in rows] == pytest.approx(
        [sum(by_agent[agent]) / len(by_agent[agent]) for agent in sorted(by_agent)], abs=0.001
    )


@pytest.mark.parametrize("output_format", FORMATS)
def test_how_long_calls_take(lake, output_format):
    folder, records = lake
    by_agent = defaultdict(list)
    for record in records:
        if record["call_status"] == "completed":
            by_agent[record["model_id"]].append(record["duration"])

    rows = ask("How long do calls take?", folder, output_format)

    assert [row[0] for row in rows] == sorted(by_agent)
    for agent, average, half, nine_of_ten, longest in rows:
        durations = sorted(by_agent[agent])
        assert average == pytest.approx(sum(durations) / len(durations), abs=0.5)
        assert sum(each <= half for each in durations) >= len(durations) / 2
        assert sum(each < half for each in durations) <= len(durations) / 2
        assert sum(each <= nine_of_ten for each in durations) >= 0.9 * len(durations)
        assert sum(each < nine_of_ten for each in durations) <= 0.9 * len(durations)
        assert longest == durations[-1]


@pytest.mark.parametrize("output_format", FORMATS)
def test_why_calls_end(lake, output_format):
    folder, records = lake
    reasons = (record["end_call_reason"] for record in records)
    counted = Counter("none" if reason is None else reason for reason in reasons)

    assert dict(ask("Why do calls end?", folder, output_format)) == counted


def test_who_talks_more(lake):
    folder, records = lake
    turns: Counter[tuple[str, str]] = Counter()
    characters: Counter[tuple[str, str]] = Counter()
    for record in records:
        for speaker, text in said(record):
            turns[record["model_id"], speaker] += 1
            characters[record["model_id"], speaker] += len(text)

    rows = ask("Who talks more, bot or human?", folder)

    assert {row[:2]: row[2:4] for row in rows} == {key: (turns[key], characters[key]) for key in turns}
    for agent, speaker, _, _, share in rows:
        total = sum(count for (one, _), count in characters.items() if one == agent)
        assert share == pytest.approx(characters[agent, speaker] / total, abs=0.001)


def test_words_a_turn(lake):
    folder, records = lake
    words = defaultdict(list)
    for record in records:
        for speaker, text in said(record):
            if text.strip():
                words[speaker].append(len(text.split()))

    rows = ask("How many words has a turn?", folder)

    assert dict(rows) == pytest.approx({key: sum(each) / len(each) for key, each in words.items()}, abs=0.01)


def test_the_busiest_hours(lake):
    folder, records = lake

    rows = ask("Which hours are the busiest?", folder)

    assert dict(rows) == Counter(started(record).hour for record in records)
    assert [row[1] for row in rows] == sorted((row[1] for row in rows), reverse=True)


def test_actions_that_fail(lake):
    folder, records = lake
    executed: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for record in records:
        for action in (record["executed_actions"] or {}).values():
            executed[action["name"]] += 1
            try:
                returned = json.loads(action["return_value"])
            except ValueError:
                returned = None
            status = returned.get("status", 0) if isinstance(returned, dict) else 0
            failed[action["name"]] += bool(action.get("error_message")) or status >= 400

    rows = ask("Which actions fail?", folder)

    assert {name: (count, wrong) for name, count, wrong in rows} == {
        name: (count, failed[name]) for name, count in executed.items()
    }
    assert sum(failed.values()) > 0


def test_variables_collected(lake):
    folder, records = lake
    found = defaultdict(list)
    for record in records:
        for name, entry in (record["collected_variables"] or {}).items():
            variables = {name: entry} if "collected" in entry else entry
            for each, variable in variables.items():
                found[each].append(variable)

    rows = ask("Which variables are collected?", folder)

    assert {row[0]: row[1:] for row in rows} == {
        name: (
            len(each),
            sum(bool(variable["collected"]) for variable in each),
            len({json.dumps(variable["value"]).strip('"') for variable in each} - {"null"}),
        )
        for name, each in found.items()
    }


def test_judges(lake):
    folder, records = lake
    found = defaultdict(list)
    for record in records:
        for name, value in (record["judge_results"] or {}).items():
            found[record["model_id"], name].append(value)

    rows = ask("How do judges see each agent?", folder)

    assert {row[:2]: row[2] for row in rows} == {key: len(each) for key, each in found.items()}
    for agent, name, _, average, mostly in rows:
        values = found[agent, name]
        numbers = [float(value) for value in values if value.replace(".", "").isdigit()]
        assert (average is None) == (not numbers)
        assert not numbers or average == pytest.approx(sum(numbers) / len(numbers), abs=0.01)
        assert values.count(mostly) == max(Counter(values).values())


@pytest.mark.parametrize("output_format", FORMATS)
def test_calls_that_were_not_final(lake, output_format):
    folder, records = lake

    rows = ask("Which calls were not final when they were stored?", folder, output_format)

    assert {row[1] for row in rows} == {record["call_id"] for record in records if not is_final(record)}
    assert rows


def test_recordings_that_are_missing(lake):
    folder, records = lake
    promised = [record for record in records if record["recording_url"] or float(record["recording_duration"] or 0) > 0]
    missing = [record for record in promised if not (record["recording_duration"] and is_stored(record))]

    rows = ask("Which recordings are missing?", folder)

    assert {row[0]: row[1] for row in rows} == Counter(record["model_id"] for record in promised)
    assert {row[0]: row[2] for row in rows} == Counter(record["model_id"] for record in missing)


def test_a_lake_without_files_has_all_views_and_no_rows(tmp_path):
    for question in QUESTIONS:
        assert ask(question, tmp_path) == []


NOON = 1_709_294_400_000
AT_NOON = dt.datetime.fromisoformat("2024-03-01T12:00:00")
DETAILS = {
    "end_call_reason": None, "transcript": "", "recording_url": None, "recording_duration": None, "duration": None,
}  # fmt: skip


def make_record(number: int, status: Any = "completed", agent: str = "a", **fields: Any) -> dict[str, Any]:
    return {
        **DETAILS,
        "call_id": f"c{number}",
        "model_id": agent,
        "call_status": status,
        "start_time": str(NOON),
        **fields,
    }


@pytest.mark.parametrize(
    ("question", "records", "rows"),
    [
        (
            "How many calls a day has each agent?",
            [make_record(1), make_record(2, agent="b"), make_record(3, agent="c")],
            [(dt.date(2024, 3, 1), "c", 1), (dt.date(2024, 3, 1), "twin", 1), (dt.date(2024, 3, 1), "twin", 1)],
        ),
        (
            "What share of calls is answered?",
            [make_record(1, "Completed"), make_record(2, "FAILED"), make_record(3, None), make_record(4, "queue")],
            [("a", 2, 0.5)],
        ),
        ("What share of calls is answered?", [make_record(1, "queue")], []),
        ("How long do calls take?", [make_record(1), make_record(2, "busy", duration=9)], [("a", *[None] * 4)]),
        ("Why do calls end?", [make_record(1), make_record(2, end_call_reason="")], [("", 1), ("none", 1)]),
        (
            "Who talks more, bot or human?",
            [make_record(1, transcript="bot: \nhuman: "), make_record(2, transcript="nobody")],
            [("a", "bot", 1, 0, None), ("a", "human", 1, 0, None)],
        ),
        (
            "How many words has a turn?",
            [make_record(1, transcript="bot: \t two\n words \n\nhuman:  \nbot: one\n")],
            [("bot", 1.5)],
        ),
        ("Which hours are the busiest?", [make_record(1), make_record(2)], [(12, 2)]),
        (
            "Which actions fail?",
            [
                make_record(1, executed_actions={"k": {"return_value": '{"status":"500"}'}, "l": {"error_message": 7}}),
                make_record(2, executed_actions=["x"]),
                make_record(3, executed_actions={"k": "text", "l": {"return_value": "{", "error_message": ""}}),
            ],
            [("k", 2, 1), ("l", 2, 1)],
        ),
        (
            "Which variables are collected?",
            [make_record(1, collected_variables={"v": {"value": None, "collected": None}}),
             make_record(2, collected_variables={"x": {"v": {"value": "1", "collected": True}}}),
             make_record(3, collected_variables="text")],
            [("v", 2, 1, 1)],
        ),
        (
            "How do judges see each agent?",
            [make_record(1, judge_results={"s": "nan"}), make_record(2, judge_results={"s": "7"}),
             make_record(3, judge_results={"s": "7", "t": None}), make_record(4, judge_results=[])],
            [("a", "s", 3, 7.0, "7"), ("a", "t", 1, None, None)],
        ),
        (
            "Which calls were not final when they were stored?",
            [make_record(1, "Busy"), make_record(2, None), make_record(3, 7)],
            [("a", "c2", None, AT_NOON), ("a", "c3", "7", AT_NOON)],
        ),
        (
            "Which recordings are missing?",
            [make_record(1, recording_duration="00:31"), make_record(2, recording_duration="0"),
             make_record(3, recording_url="https://example.test"), make_record(4, recording_duration=5)],
            [("a", 3, 2)],
        ),
    ],
)  # fmt: skip
def test_what_is_odd_or_not_there_counts_as_it_should(tmp_path, question, records, rows):
    publish(tmp_path / "parquet", "parquet", records, {"a": "twin", "b": "twin"})

    assert ask(question, tmp_path) == rows


def test_hours_elsewhere_are_as_the_page_says(tmp_path):
    publish(tmp_path, "parquet", [make_record(1)], {})
    (elsewhere,) = re.findall(r"`(start_time AT [^`]+)`", TEXT)
    statement = QUESTIONS["Which hours are the busiest?"].replace("start_time", elsewhere)

    assert open_views(tmp_path).execute(statement).fetchall() == [(13, 1)]
