# SPDX-License-Identifier: Apache-2.0
"""Each statement of docs/howto/questions.md gives what a plain count over the calls gives."""

from __future__ import annotations

import datetime as dt
import importlib.util
import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import duckdb
import pytest

from airflow_provider_synthflow.client.call import TERMINAL_STATUSES
from airflow_provider_synthflow.operators.synthflow import SynthflowListAssistantsOperator, SynthflowListCallsOperator
from tests.synthflow_server import SynthflowApi, serve
from tests.synthflow_server.dataset import DAY_MS, DEFAULT_FROM_MS, agent_ids, make_calls

ROOT = Path(__file__).resolve().parents[3]
TEXT = (ROOT / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")
QUESTIONS = dict(re.findall(r"^## (.*?)\n.*?^```sql\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
AGENTS = agent_ids(3)
NAMES = {agent: f"agent-{number + 1}" for number, agent in enumerate(sorted(AGENTS))}
DAYS = 3


def load_example() -> Any:
    spec = importlib.util.spec_from_file_location("synthflow_lake", ROOT / "example_dags" / "synthflow_lake.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Make a lake of three days of three agents, in both formats, and return where each is, and the calls' records."""
    folder = tmp_path_factory.mktemp("lakes")
    calls = make_calls(9, 400, agents=AGENTS, to_ms=DEFAULT_FROM_MS + DAYS * DAY_MS, unfinished=0.03)
    with serve(SynthflowApi(calls)) as server, pytest.MonkeyPatch.context() as patch:
        connection = {"conn_type": "synthflow", "host": server.url, "password": "test-key-0123456789"}
        patch.setenv("AIRFLOW_CONN_SYNTHFLOW_DEFAULT", json.dumps(connection))
        for output_format in ("parquet", "jsonl.gz"):
            where = {"output_path": folder / output_format, "output_format": output_format}
            SynthflowListAssistantsOperator(task_id="agents", **where).execute({})
            for day in range(DAYS):
                SynthflowListCallsOperator(
                    task_id="calls",
                    model_id=AGENTS,
                    from_date=DEFAULT_FROM_MS + day * DAY_MS,
                    to_date=DEFAULT_FROM_MS + (day + 1) * DAY_MS,
                    tables="all",
                    **where,
                ).execute({})
    records = [call.record for call in calls]
    for number, record in enumerate(record for record in records if record["recording_duration"]):
        directory = next((folder / "parquet").glob(f"model_id={record['model_id']}/*/*")) / "recordings"
        directory.mkdir(exist_ok=True)
        manifest = directory / "_recordings.json"
        stored = json.loads(manifest.read_bytes()) if manifest.exists() else {"items": []}
        status = "stored" if number % 3 else "missing"
        stored |= {"model_id": record["model_id"]}
        stored["items"].append({"call_id": record["call_id"], "status": status})
        manifest.write_text(json.dumps(stored), encoding="utf-8")
    return folder, records


def ask(question: str, folder: Path, output_format: str = "parquet") -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        load_example().create_views(database, str(folder / output_format))
        return database.execute(QUESTIONS[question]).fetchall()


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


@pytest.mark.parametrize("output_format", ["parquet", "jsonl.gz"])
def test_calls_a_day_and_agent(lake, output_format):
    folder, records = lake
    counted = Counter((started(record).date(), NAMES[record["model_id"]]) for record in records)

    rows = ask("How many calls a day has each agent?", folder, output_format)

    assert {row[:2]: row[2] for row in rows} == counted


@pytest.mark.parametrize("output_format", ["parquet", "jsonl.gz"])
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


@pytest.mark.parametrize("output_format", ["parquet", "jsonl.gz"])
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


@pytest.mark.parametrize("output_format", ["parquet", "jsonl.gz"])
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

    assert {row[0]: row[1:3] for row in rows} == {
        name: (len(each), sum(bool(variable["collected"]) for variable in each)) for name, each in found.items()
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


@pytest.mark.parametrize("output_format", ["parquet", "jsonl.gz"])
def test_calls_that_were_not_final(lake, output_format):
    folder, records = lake

    rows = ask("Which calls were not final when they were stored?", folder, output_format)

    assert {row[1] for row in rows} == {record["call_id"] for record in records if not is_final(record)}
    assert rows


def test_recordings_that_are_missing(lake):
    folder, records = lake
    promised = [record for record in records if float(record["recording_duration"] or 0) > 0]
    numbered = [record["call_id"] for record in records if record["recording_duration"]]

    rows = ask("Which recordings are missing?", folder)

    assert {agent: count for agent, count, _ in rows} == Counter(record["model_id"] for record in promised)
    assert sum(row[2] for row in rows) == sum(numbered.index(each["call_id"]) % 3 == 0 for each in promised) > 0


def test_a_lake_without_files_has_all_views_and_no_rows(tmp_path):
    for question in QUESTIONS:
        assert ask(question, tmp_path) == []
