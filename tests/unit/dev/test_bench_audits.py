# SPDX-License-Identifier: Apache-2.0
"""The audit and DuckDB are measured over the same lake, with the same answer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dev.bench.audits import measure_audits
from dev.bench.plan import Effort
from dev.bench.running import Bench
from dev.bench.server import BenchServer


@pytest.mark.long
def test_both_find_the_same_on_a_disk_and_in_s3(tmp_path):
    bench = Bench(BenchServer(0, "none"), tmp_path)

    lines = list(measure_audits(bench, replace(Effort(), rounds=1, windows=24), Path(tmp_path)))

    assert [place for line in lines for place in ("disk", "S3") if place in line.work] == ["disk", "S3"]
    assert all(line.measured and "DuckDB" in line.measured for line in lines)
