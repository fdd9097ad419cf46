# SPDX-License-Identifier: Apache-2.0
"""The table and the picture of the bench show each reader's calls a second, and nothing where one was not run."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from dev.bench.picture import draw_speeds, speeds_table
from dev.bench.plan import FORMATS, Runs
from dev.bench.running import Case, Run

SVG = "{http://www.w3.org/2000/svg}"


def made_runs():
    runs = Runs()
    for wait_ms, seconds in ((50, 2.0), (0, 0.5)):
        for form in FORMATS:
            runs.add(Case("ours", form, wait_ms, 1000), 0, Run(seconds, seconds, seconds, 1024, {}))
    runs.add(Case("requests_loop", "jsonl", 0, 1000), 0, Run(4.0, 4.0, 4.0, 1024, {}))
    return runs


def test_the_table_has_the_calls_a_second_of_each_latency_and_format():
    lines = speeds_table(made_runs(), 1000).splitlines()

    assert len(lines) == 2 + 2 * len(FORMATS)
    assert "| 50 ms a request, `parquet` | 500 |  |  |  |  |" in lines
    assert "| no latency, `jsonl` | 2,000 |  | 250 |  |  |" in lines


def test_the_picture_has_a_bar_as_long_as_its_number_for_each_reader_that_was_run():
    picture = ET.fromstring(draw_speeds(made_runs(), 1000))  # noqa: S314 - made here

    bars = picture.findall(f"{SVG}rect")
    assert len(bars) == 2 * len(FORMATS) + 1
    widths = sorted(float(bar.get("width")) for bar in bars)
    assert widths[0] == widths[-1] / 8  # 250 of 2,000
    texts = [text.text for text in picture.findall(f"{SVG}text")]
    assert texts.count("this provider") == 2 * len(FORMATS)
    assert texts.count("2,000") == len(FORMATS)
    assert "asyncio, by hand" not in texts
