# SPDX-License-Identifier: Apache-2.0
"""Draw the answers to the questions of docs/howto/questions.md over the demonstration's calls: `make pictures`."""

from __future__ import annotations

import json
import tempfile
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from airflow_provider_synthflow.output.draft import TablesSpec
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES
from airflow_provider_synthflow.window import Window
from dev.demo.questions import open_lake, read_questions
from dev.demo.source import make_demo_calls
from tests.synthflow_server.dataset import DEFAULT_FROM_MS, DEFAULT_TO_MS

__all__ = ["PICTURES", "draw_all"]

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images" / "questions"
_MOST = 24
_WIDTH, _LINE, _LEFT, _BARS = 720, 20, 260, 330
_COLOURS = ("#3b6fb6", "#d98032", "#4f9a66")
_MISSING = 20  # of so many recordings one is not stored


class _Chart(NamedTuple):
    """What is drawn of a result: the columns that name a bar, and those that are bars, or the parts of one bar."""

    file: str
    names: tuple[str, ...]
    bars: tuple[str, ...] = ()
    part: str | None = None


_CHARTS = {
    "How many calls a day has each agent?": _Chart("calls-a-day", ("day",), ("calls",), "agent"),
    "What share of calls is answered?": _Chart("answered", ("model_id",), ("answered",)),
    "How long do calls take?": _Chart("duration", ("model_id",), ("half", "nine_of_ten", "longest")),
    "Why do calls end?": _Chart("end-reasons", ("reason",), ("calls",)),
    "Who talks more, bot or human?": _Chart("talk-share", ("model_id",), ("share",), "speaker"),
    "How many words has a turn?": _Chart("words", ("speaker",), ("words",)),
    "Which hours are the busiest?": _Chart("hours", ("hour_of_day",), ("calls",)),
    "Which actions fail?": _Chart("actions", ("action",), ("executed", "failed")),
    "Which variables are collected?": _Chart("variables", ("name",), ("asked", "collected")),
    "How do judges see each agent?": _Chart("judges", ("model_id", "name"), ("average",)),
    "Which calls were not final when they were stored?": _Chart("unsettled", ("call_id", "call_status", "start_time")),
    "Which recordings are missing?": _Chart("recordings", ("model_id",), ("promised", "missing")),
}


def draw_all() -> dict[str, str]:
    """Return the pictures as SVG, by their files' names."""
    questions = read_questions()
    with tempfile.TemporaryDirectory() as folder:
        _make_lake(Path(folder))
        with open_lake(Path(folder)) as database:
            drawn = {}
            for question, chart in _CHARTS.items():
                answer = database.execute(questions[question])
                columns = [column[0] for column in answer.description or ()]
                rows = [dict(zip(columns, row, strict=True)) for row in answer.fetchall()]
                drawn[f"{chart.file}.svg"] = _draw(question, chart, rows)
    return drawn


def _make_lake(folder: Path) -> None:
    """Store the demonstration's calls, the names of their agents, and most recordings' entries."""
    window = Window(DEFAULT_FROM_MS, DEFAULT_TO_MS)
    by_agent: dict[str, list[dict[str, Any]]] = {}
    for call in make_demo_calls():
        by_agent.setdefault(call.record["model_id"], []).append(call.record)
    spec = TablesSpec(tuple(TABLES), ParquetTables)
    agents = folder / "assistants" / "snapshot_date=20261123"
    agents.mkdir(parents=True)
    names = [json.dumps({"model_id": agent, "name": f"Agent {agent[:4]}"}) for agent in by_agent]
    (agents / "assistants.jsonl").write_text("\n".join(names), encoding="utf-8")
    for agent, records in by_agent.items():
        publication = Publication(LocalStore(str(folder)), agent, window, "parquet", {}, tables=spec)
        published = publication.publish([json.dumps(record).encode() for record in records], {"query": {}})
        recordings = Path(published["path"]).parent / "recordings"
        recordings.mkdir()
        items = [
            {"call_id": record["call_id"], "status": "stored" if number % _MISSING else "missing"}
            for number, record in enumerate(records)
            if record["recording_duration"]
        ]
        stored = json.dumps({"model_id": agent, "items": items})
        (recordings / "_recordings.json").write_text(stored, encoding="utf-8")


def _collect(chart: _Chart, rows: list[dict[str, Any]]) -> dict[str, list[tuple[str, float]]]:
    """Return the parts of each bar by its name, of rows that have all numbers."""
    bars: dict[str, list[tuple[str, float]]] = {}
    for row in rows:
        name = " · ".join([_name(column, row[column]) for column in chart.names])
        if any(row[column] is None for column in chart.bars):
            continue
        if not chart.bars:
            bars[name] = []
        for column in chart.bars:
            part = str(row[chart.part]) if chart.part else column
            bars.setdefault(f"{name} · {column}" if len(chart.bars) > 1 else name, []).append((part, row[column]))
    return bars


def _draw(question: str, chart: _Chart, rows: list[dict[str, Any]]) -> str:
    """Draw each row as a line of text with its bars, or rows of one name as the parts of a bar."""
    bars = _collect(chart, rows)
    parts = [*dict.fromkeys(part for each in bars.values() for part, _ in each)]
    shown = dict(list(bars.items())[:_MOST])
    most = max((sum(value for _, value in each) for each in shown.values()), default=0) or 1
    body, y = [_text(12, 22, question, weight="bold")], 48
    if chart.part:
        for number, part in enumerate(parts):
            body += [_bar(12 + 160 * number, y - 11, 12, part, parts), _text(30 + 160 * number, y, part)]
        y += _LINE + 4
    for name, each in shown.items():
        body.append(_text(12, y, name))
        x = float(_LEFT)
        for part, value in each:
            width = value / most * _BARS
            body.append(_bar(x, y - 11, width, part, parts))
            x += width
        if each:
            body.append(_text(x + 6, y, " + ".join([_number(value) for _, value in each])))
        y += _LINE
    if more := len(bars) - len(shown):
        body.append(_text(12, y, f"… and {more} more"))
        y += _LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" width="{_WIDTH}" height="{y}" '
        f'font-family="sans-serif" font-size="13">\n<rect width="{_WIDTH}" height="{y}" fill="#fff"/>\n'
        + "\n".join(body)
        + "\n</svg>\n"
    )


def _name(column: str, value: Any) -> str:
    """Return a value as text, of an id its first signs."""
    return f"{value[:8]}…" if column.endswith("_id") else str(value)[:19] if column == "start_time" else str(value)


def _number(value: float) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def _text(x: float, y: float, text: str, *, weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y}" font-weight="{weight}" fill="#222">{escape(text)}</text>'


def _bar(x: float, y: float, width: float, part: str, parts: list[str]) -> str:
    return f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="14" fill="{_COLOURS[parts.index(part) % 3]}"/>'


if __name__ == "__main__":
    PICTURES.mkdir(parents=True, exist_ok=True)
    for file, drawn in draw_all().items():
        (PICTURES / file).write_text(drawn, encoding="utf-8")
