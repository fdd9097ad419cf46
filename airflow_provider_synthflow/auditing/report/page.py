# SPDX-License-Identifier: Apache-2.0
"""The report of an audit on one page: totals, the map of agents by days, and the findings."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.auditing import FAILING, FINDINGS
from airflow_provider_synthflow.auditing.coverage import STATES
from airflow_provider_synthflow.auditing.finding import Finding, count_findings, plain
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.observability.quantities import to_count, to_size
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_synthflow.auditing.agent_audit import AgentAudit
    from airflow_provider_synthflow.auditing.lake_audit import AuditOutcome
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["check_report", "publish_report", "read_report"]

_DEFAULT_NAME = "synthflow-audit.html"

_CLASSES = "owucxgd"
"""The states as letters, in their order, for the style and the script."""

_MARKS = ("-", "✓", "U", "C", "2", "G", "D")
_TOLD = (
    "not looked at",
    "whole",
    "unsettled: calls that were not final",
    "changed: the API has another total today",
    "doubled: windows overlap, or a call is in two",
    "gap: no window covers it",
    "damaged: a file is missing or not as it was",
)
_HEIGHTS = (0, 8, 12, 15, 18, 20, 22)
_OF_FINDING = {
    "gap": ("g", "G"),
    "overlap": ("x", "2"),
    "damaged": ("d", "D"),
    "duplicate": ("x", "2"),
    "unsettled": ("u", "U"),
    "changed": ("c", "C"),
    "differs": ("n-differs", "≠"),
    "unrecorded": ("n-unrecorded", "R"),
}
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_EPOCH = dt.date(1970, 1, 1)
_OPEN_AT_FIRST = 5
_MANY = 300
"""From so many findings on, the browser draws only those in view."""

_LEAST_SHARE = 250
"""A bar has at least this share of the width, so that one day of years can be seen."""


def check_report(path: str, conn_id: str | None = None, *, name: str = "report_path") -> None:
    """Raise where the report could not be written, which is better known before an audit of hours."""
    _open_store(path, conn_id, name)[0].check_writable()


def publish_report(outcome: AuditOutcome, path: str, conn_id: str | None = None, *, name: str = "report_path") -> str:
    """Write the report, and return its full path."""
    store, file_name = _open_store(path, conn_id, name)
    with store.upload(file_name) as file:
        for part in _write_page(outcome):
            file.write(part.encode("utf-8", "replace"))
    return store.location(file_name)


def read_report(path: str, conn_id: str | None = None, *, name: str = "report_path") -> bytes | None:
    """Return the report at a path, None where there is none."""
    store, file_name = _open_store(path, conn_id, name)
    return store.read(file_name)


def _open_store(path: str, conn_id: str | None, name: str) -> tuple[Store, str]:
    address = FileAddress.parse(path)
    directory, slash, file = path.rpartition("/")
    if not slash and address.is_local:
        directory = "."
    if directory.endswith(":/") or (slash and not directory and not address.is_local):
        msg = f"{name} {path} names no file. Write a path below a bucket, such as s3://bucket/audit.html."
        raise SynthflowConfigError(msg)
    if file and address.is_local and Path(address.key).is_dir():
        msg = f"{name} {path} is a directory. Name a file in it, or put a slash at its end for {path}/{_DEFAULT_NAME}."
        raise SynthflowConfigError(msg)
    return open_store(directory or "/", None if address.is_local else conn_id, name=name), file or _DEFAULT_NAME


def _write_page(outcome: AuditOutcome) -> Iterator[str]:
    """Yield the page in parts."""
    findings = outcome.findings
    counts = count_findings(findings)
    numbers = {agent.model_id: number for number, agent in enumerate(outcome.agents)}
    yield from _head(counts, many=len(findings) > _MANY or len(numbers) > _MANY // 10)
    yield from _verdict(outcome, counts)
    yield from _totals(outcome)
    yield from _kinds(counts)
    yield from _map(outcome.agents)
    yield from _findings(findings, counts, numbers)
    yield from _scope(outcome)
    script = _asset("report.js")
    yield f"</main></div><script>{script}</script></body></html>\n"


def _head(counts: dict[str, int], *, many: bool) -> Iterator[str]:
    style, script = _asset("report.css"), _asset("report.js")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    yield (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="robots" content="noindex">'
        f'<meta name="referrer" content="no-referrer"><title>Synthflow audit: {_headline(counts)}</title>'
        f"<style>{style}</style></head><body{' class=many' if many else ''}>"
        '<a class="skip" href="#findings">Skip to the findings</a>'
        '<div class="page">'
    )


def _verdict(outcome: AuditOutcome, counts: dict[str, int]) -> Iterator[str]:
    bad = any(counts[kind] for kind in FAILING)
    some = any(counts.values()) or outcome.failure is not None
    seal, kind = ("!", "bad") if bad else ("i", "some") if some else ("✓", "all")
    result = outcome.result(0)
    yield (
        f'<header class="card"><div class="seal {kind}" aria-hidden="true">{seal}</div><div>'
        f"<h1>{_headline(counts)}</h1>"
        f"<p>The lake at <code><bdi>{_text(outcome.lake)}</bdi></code></p>"
        f"<p>{_when(result['from_date'])} to {_when(result['to_date'])} (UTC), looked at on "
        f"{_when(format_instant(outcome.started_ms // 60_000 * 60_000))} (UTC)</p></div></header><main>"
    )


def _headline(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "The lake is whole"
    return "One finding" if total == 1 else f"{total:,} findings"


def _totals(outcome: AuditOutcome) -> Iterator[str]:
    result = outcome.result(0)
    amount, unit = to_size(result["bytes"]).split()
    entries = [
        *((name.capitalize(), f"{result[name]:,}", "") for name in ("agents", "windows", "calls", "files")),
        ("Stored", amount, unit),
    ]
    yield '<section aria-labelledby="totals"><h2 id="totals" class="quiet">Totals</h2><dl class="totals">'
    for name, value, unit in entries:
        yield f'<div class="card"><dt>{name}</dt><dd>{value} <small>{unit}</small></dd></div>'
    yield "</dl></section>"


def _kinds(counts: dict[str, int]) -> Iterator[str]:
    yield (
        '<section aria-labelledby="kinds"><h2 id="kinds">What was looked for</h2>'
        '<div class="card"><table class="kinds">'
        '<thead><tr><th scope="col">Finding</th><th scope="col" class="n">Found</th><th scope="col">What it is</th>'
        "</tr></thead><tbody>"
    )
    for kind, what in FINDINGS.items():
        style, mark = _OF_FINDING[kind]
        zero = "" if counts[kind] else " zero"
        yield (
            f'<tr><th scope="row"><span class="mark {style}" aria-hidden="true">{mark}</span> {kind.capitalize()}</th>'
            f'<td class="n{zero}">{counts[kind]:,}</td><td class="hint">{what[0].upper()}{what[1:]}</td></tr>'
        )
    yield "</tbody></table></div></section>"


def _map(agents: list[AgentAudit]) -> Iterator[str]:
    yield (
        '<section aria-labelledby="map"><h2 id="map">Agents by days</h2><p class="hint">'
        "Each line is one agent's time, the higher the worse. Open it for its days; a day with a letter opens its "
        "hours.</p>"
        '<ul class="legend">'
    )
    for number in range(1, len(STATES)):
        yield (
            f'<li><span class="mark {_CLASSES[number]}" aria-hidden="true">{_MARKS[number]}</span> {_TOLD[number]}</li>'
        )
    yield "</ul>"
    first = min((agent.time.first_hour // 24 for agent in agents), default=0)
    maps = [(agent, [(day, max(hours), hours) for day, hours in agent.time.days()]) for agent in agents]
    last = max((days[-1][0] for _, days in maps if days), default=first)
    yield f'<div class="axis"><div><span>{_day(first)}</span><span>{_day(last)}</span></div></div>'
    opened = 0
    for number, (agent, days) in enumerate(maps):
        found = any(level > 1 for _, level, _ in days)
        shown = found and opened < _OPEN_AT_FIRST
        opened += shown
        yield from _agent(number, agent, days, first, last, shown=shown)
    yield "</section>"


def _agent(
    number: int, agent: AgentAudit, days: list[tuple[int, int, bytes]], first: int, last: int, *, shown: bool
) -> Iterator[str]:
    counts = count_findings(agent.findings)
    found = [(kind, count) for kind, count in counts.items() if count]
    tally = "".join(
        f'<span><span class="mark {_OF_FINDING[kind][0]}" aria-hidden="true">{_OF_FINDING[kind][1]}</span>'
        f"{count:,} {kind}</span>"
        for kind, count in found
    )
    tally = tally or '<span><span class="mark w" aria-hidden="true">✓</span>whole</span>'
    yield (
        f'<details class="agent card" data-a="{number}"{" open" if shown else ""}><summary>'
        f'<span class="name"><code><bdi>{_text(agent.model_id)}</bdi></code></span>'
        f'<span class="tally">{tally}</span>{_strip(days, first, last)}</summary>'
        f"<p><code><bdi>{_text(agent.model_id)}</bdi></code>: {to_count(agent.count, 'window')} with "
        f"{to_count(agent.calls, 'call')}, "
        f"{_span(agent.from_ms or 0, agent.to_ms or 0)}</p>"
        '<div class="months">'
    )
    for (year, month), each in groupby(days, lambda day: _date(day[0]).timetuple()[:2]):
        yield from _month(year, month, list(each))
    yield "</div></details>"


def _strip(days: list[tuple[int, int, bytes]], first: int, last: int) -> str:
    """Draw an agent's days as bars: the worse, the higher."""
    width = last - first + 1
    least = width / _LEAST_SHARE
    shapes: list[tuple[int, str]] = []
    totals: dict[str, int] = {}
    for level, run in groupby(days, lambda day: day[1]):
        each = list(run)
        totals[STATES[level]] = totals.get(STATES[level], 0) + len(each)
        if not level:
            continue
        height, long = _HEIGHTS[level], len(each) if level == 1 else max(len(each), least)
        begin = min(each[0][0] - first, width - long)
        shape = f'<rect class="{_CLASSES[level]}" x="{begin:g}" y="{23 - height}" width="{long:g}" height="{height}"/>'
        shapes.append((level, shape))
    told = ", ".join(f"{count:,} {state}" for state, count in totals.items() if state != "outside") or "none"
    drawn = "".join(shape for _, shape in sorted(shapes, key=lambda each: each[0]))
    return (
        f'<svg class="strip" viewBox="0 0 {width} 24" preserveAspectRatio="none" role="img" '
        f'aria-label="Days: {told}">{drawn}</svg>'
    )


def _month(year: int, month: int, days: list[tuple[int, int, bytes]]) -> Iterator[str]:
    """Draw a month as a calendar, in which a day that is not whole opens its hours."""
    name = dt.date(year, month, 1).strftime("%B %Y")
    heads = "".join(f'<th scope="col" abbr="{each}">{each[0]}</th>' for each in _WEEK)
    yield f'<div class="month"><table><caption>{name}</caption><thead><tr>{heads}</tr></thead><tbody><tr>'
    begin = _date(days[0][0])
    yield "<td></td>" * begin.weekday()
    for day, level, hours in days:
        date = _date(day)
        if date.weekday() == 0 and date != begin:
            yield "</tr><tr>"
        if level <= 1:
            yield f'<td class="{_CLASSES[level]}">{date.day}</td>'
            continue
        letters = "".join(_CLASSES[hour] for hour in hours)
        count = sum(hour > 1 for hour in hours)
        told = f"{date.day} {name}: {STATES[level]}, {count} {'hour' if count == 1 else 'hours'}"
        yield (
            f'<td><button type="button" class="{_CLASSES[level]}" aria-expanded="false" aria-label="{told}" '
            f'data-d="{date.isoformat()}" data-t="{date.day} {name}" data-h="{letters}">'
            f"<span>{date.day}</span><b>{_MARKS[level]}</b></button></td>"
        )
    yield "<td></td>" * (6 - _date(days[-1][0]).weekday()) + "</tr></tbody></table></div>"


def _findings(findings: list[Finding], counts: dict[str, int], numbers: dict[str, int]) -> Iterator[str]:
    yield '<section aria-labelledby="findings"><h2 id="findings" tabindex="-1">Findings</h2>'
    if not findings:
        yield '<p class="card empty">Nothing was found.</p></section>'
        return
    yield (
        '<p class="hint">Each with the command that cures it.</p><fieldset class="tools"><legend>Show</legend>'
        '<button type="button" aria-pressed="true" data-k="">All</button>'
    )
    for kind, count in counts.items():
        if count:
            yield f'<button type="button" aria-pressed="false" data-k="{kind}">{kind.capitalize()} {count:,}</button>'
    yield (
        '<label>Agent <input type="search" autocomplete="off" spellcheck="false"></label>'
        '<span id="shown" class="when" role="status"></span></fieldset><ol class="findings">'
    )
    for number, each in enumerate(findings):
        style, mark = _OF_FINDING[each.finding]
        yield (
            f'<li class="card" id="f{number}" data-k="{each.finding}" data-a="{numbers[each.model_id]}" '
            f'data-f="{each.from_ms}" data-t="{each.to_ms}"><h3>'
            f'<span class="mark {style}" aria-hidden="true">{mark}</span> {each.finding.capitalize()} '
            f"<code><bdi>{_text(each.model_id)}</bdi></code> "
            f'<span class="when">{_span(each.from_ms, each.to_ms)}</span></h3>'
            f"<p>{_text(each.detail)}</p>"
            f'<div class="cure"><pre><code>{_text(each.cure)}</code></pre>'
            '<button type="button">Copy</button></div></li>'
        )
    yield "</ol></section>"


def _scope(outcome: AuditOutcome) -> Iterator[str]:
    for title, name, sentences in (
        ("What was looked at", "looked", outcome.checked),
        ("What was not looked at", "not-looked", outcome.notes),
    ):
        if sentences:
            yield f'<section aria-labelledby="{name}"><h2 id="{name}">{title}</h2><ul class="card looked">'
            yield from (f"<li>{_text(sentence)}</li>" for sentence in sentences)
            yield "</ul></section>"
    yield (
        f"<footer>Made by airflow-provider-synthflow {_text(__version__)} in {outcome.seconds:,.0f} seconds. "
        "Nothing of a call's content is on this page.</footer>"
    )


def _asset(name: str) -> str:
    return files(__package__ or "").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _text(value: Any) -> str:
    return escape(plain(str(value)))


def _when(instant: str) -> str:
    """Format an instant, without its time where it is midnight."""
    date, _, time = instant.partition("T")
    time = time.removesuffix("Z").removesuffix(".000").removesuffix(":00")
    return f'<time datetime="{instant}">{date}{"" if time == "00:00" else f" {time}"}</time>'


def _span(from_ms: int, to_ms: int) -> str:
    return f"{_when(format_instant(from_ms))} to {_when(format_instant(to_ms))}"


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=day)


def _day(day: int) -> str:
    return _date(day).isoformat()
