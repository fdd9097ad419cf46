# SPDX-License-Identifier: Apache-2.0
"""The command that docs/formats.md names for the memory measures whole processes, and fails where it is too much."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from dev.bench.lines import memory_lines
from dev.bench.plan import Effort, Runs
from dev.bench.running import Case, Run

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.long
def test_the_memory_alone_is_measured_in_every_format():
    command = [sys.executable, "-m", "dev.bench", "--memory", "50", "300"]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)  # noqa: S603

    for named in ("`jsonl`", "`jsonl.gz`", "`jsonl.zst`", "`parquet`", "`parquet` with all tables"):
        (line,) = [line for line in done.stdout.splitlines() if f"over that of 50, {named} |" in line]
        assert line.endswith("| met |")


def test_more_than_the_limit_is_not_met():
    runs = Runs()
    runs.add(Case("ours", "jsonl", 0, 50), 0, Run(1.0, 1.0, 1.0, 100_000))
    runs.add(Case("ours", "jsonl", 0, 300), 0, Run(1.0, 1.0, 1.0, 100_000 + 33 * 1024))

    first, *others = memory_lines(runs, Effort(growth=(50, 300)))

    assert (first.measured, first.met) == ("33.0 MiB", False)
    assert {line.met for line in others} == {None}
