# SPDX-License-Identifier: Apache-2.0
"""The report in Markdown: the machine, the table, and the seconds of every reader."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import statistics
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from dev.bench.server import clients_core, server_core

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dev.bench.lines import Line
    from dev.bench.plan import Runs

__all__ = ["machine", "seconds_table", "table", "verdicts"]


def machine(server: str) -> str:
    """
    Describe this machine.

    :param server: how the server was made
    """
    cores = os.cpu_count() or 1
    first, last = server_core(), clients_core()
    memory = ""
    name = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        name = found[1] if found else name
        memory = f", {int(Path('/proc/meminfo').read_text().split()[1]) / 2**20:.0f} GiB of memory"
    pinned = "all on any core" if first is None else f"the server on core {first}, every client on core {last}"
    return (
        f"Measured on {dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC: {name}, {cores} cores{memory}, "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"Airflow {version('apache-airflow')}; server: {server}; {pinned}. "
        f"Load of the machine over the last minute: {os.getloadavg()[0]:.1f}."
    )


def table(lines: Iterable[Line]) -> str:
    """
    Return the table of what was measured, as users read it.

    :param lines: its lines
    """
    head = "| work | measured |\n| --- | --- |\n"
    return head + "".join(f"| {line.work} | {line.measured} |\n" for line in lines if line.measured)


def verdicts(lines: Iterable[Line]) -> str:
    """
    Return the table of what the project requires of itself and what was measured, which is its own business.

    :param lines: its lines
    """
    head = "| work | required | measured | |\n| --- | --- | --- | --- |\n"
    return head + "\n".join(line.row() for line in lines) + "\n"


def seconds_table(runs: Runs) -> str:
    """
    Return what every reader took: medians over its rounds.

    :param runs: what was run
    """
    names = (
        "latency calls reader format extraction_s calls/s its_processor_s process_s processor_s peak_MiB rounds output"
    )
    right = "---: ---: --- --- ---: ---: ---: ---: ---: ---: ---: ---"
    rows = [f"| {' | '.join(line.split()).replace('_', ' ')} |" for line in (names, right)]
    for case in runs.cases():
        seconds = runs.median(case)
        assert seconds is not None
        figures = [runs.median(case, figure) or 0 for figure in ("wall", "cpu", "peak_kib")]
        extraction_cpu = statistics.median(run.told["cpu"] for run in runs.of(case))
        distinct = runs.distinct.get(case)
        whole = "thrown away" if distinct is None else ("complete" if distinct == case.calls else f"only {distinct}")
        form = "-" if distinct is None else f"`{case.format}`"
        cells = [
            *(f"{case.wait_ms} ms", f"{case.calls:,}", case.reader, form),
            *(f"{seconds:.3f}", f"{case.calls / seconds:,.0f}", f"{extraction_cpu:.3f}"),
            *(f"{figures[0]:.2f}", f"{figures[1]:.2f}", f"{figures[2] / 1024:.0f}", str(len(runs.of(case))), whole),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"
