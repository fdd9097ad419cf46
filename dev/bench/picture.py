# SPDX-License-Identifier: Apache-2.0
"""What users get of the speed: one table and one picture of calls a second, by latency, format and reader."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from dev.bench.plan import FORMATS
from dev.bench.running import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.bench.plan import Runs

__all__ = ["draw_speeds", "speeds_table"]

_READERS = {
    "ours": "this provider",
    "async_reader": "asyncio, by hand",
    "requests_loop": "requests loop",
    "http_operator": "HttpOperator",
    "dlt_rest_api": "dlt rest_api",
}
_LATENCIES = {50: "50 ms a request", 0: "no latency"}
_COLOURS = {"ours": "#1f6feb", "async_reader": "#8b949e"}
_OTHERS = "#c4cad1"
_WIDTH, _LABEL, _NAME, _BAR, _GAP, _HEAD = 760, 70, 210, 16, 10, 44
_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#1f2328}.head{font-weight:600;font-size:15px}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}}"
)


def _speeds(runs: Runs, calls: int, wait_ms: int, format_name: str) -> Iterator[tuple[str, float | None]]:
    """Yield each reader's calls a second; None where it was not run."""
    for reader in _READERS:
        seconds = runs.median(Case(reader, format_name, wait_ms, calls))
        yield reader, None if seconds is None else calls / seconds


def speeds_table(runs: Runs, calls: int) -> str:
    """
    Return a table of calls a second.

    :param runs: what was run
    :param calls: how many calls each read
    """
    rows = [f"| calls a second | {' | '.join(_READERS.values())} |", f"| --- |{' ---: |' * len(_READERS)}"]
    for wait_ms, latency in _LATENCIES.items():
        for format_name in FORMATS:
            speeds = [speed for _, speed in _speeds(runs, calls, wait_ms, format_name)]
            cells = " | ".join("" if speed is None else f"{speed:,.0f}" for speed in speeds)
            rows.append(f"| {latency}, `{format_name}` | {cells} |")
    return "\n".join(rows) + "\n"


def draw_speeds(runs: Runs, calls: int) -> str:
    """
    Return the table's numbers as bars, in SVG, a part for each latency with a scale of its own.

    :param runs: what was run
    :param calls: how many calls each read
    """
    parts: list[str] = []
    y = 0
    for wait_ms, latency in _LATENCIES.items():
        groups = {
            each: [pair for pair in _speeds(runs, calls, wait_ms, each) if pair[1] is not None] for each in FORMATS
        }
        most = max((speed or 0 for group in groups.values() for _, speed in group), default=1)
        y += _HEAD
        parts.append(f'<text class="head" x="8" y="{y - 16}">{latency}: calls a second</text>')
        for format_name, group in groups.items():
            parts.append(f'<text x="8" y="{y + 13}">{escape(format_name)}</text>')
            for reader, speed in group:
                length = (_WIDTH - _NAME - _LABEL) * (speed or 0) / most
                parts.append(f'<text x="{_NAME - 8}" y="{y + 13}" text-anchor="end">{_READERS[reader]}</text>')
                colour = _COLOURS.get(reader, _OTHERS)
                parts.append(f'<rect x="{_NAME}" y="{y}" width="{length:.1f}" height="{_BAR}" fill="{colour}"/>')
                parts.append(f'<text x="{_NAME + length + 6:.1f}" y="{y + 13}">{speed:,.0f}</text>')
                y += _BAR + 3
            y += _GAP
    size = f'width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}"'
    title = f"Calls a second by latency, format and reader, of {calls:,} calls"
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img"><title>{title}</title>'
        f"<style>{_STYLE}</style>\n{body}\n</svg>\n"
    )
