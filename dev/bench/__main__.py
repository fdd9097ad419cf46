# SPDX-License-Identifier: Apache-2.0
"""Measure all, or a part alone, and print the table: `python -m dev.bench [--quick] [--write] [--memory]`."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dev.bench.audits import measure_audits
from dev.bench.data import make_dataset
from dev.bench.lines import Line, growth_lines, import_line, memory_lines, speed_lines
from dev.bench.picture import draw_speeds, speeds_table
from dev.bench.plan import Effort, growth_cases, run_rounds, speed_cases
from dev.bench.recordings import recording_cases, recording_lines
from dev.bench.report import machine, seconds_table, table, verdicts
from dev.bench.running import READERS, Bench
from dev.bench.server import run_server
from tests.documents import put_between

if TYPE_CHECKING:
    from dev.bench.plan import Runs
    from dev.bench.running import Case, Run

_ROOT = Path(__file__).resolve().parents[2]
_DOCUMENT = _ROOT / "docs" / "performance.md"
_PICTURE = _ROOT / "docs" / "images" / "speed.svg"
_DEFERRED = Line(
    "1,000 deferred sensors in one triggerer", "every poll on time, under one core", "by itself: make scale", met=None
)


def measure(effort: Effort, folder: Path) -> tuple[str, str, str]:
    """
    Measure all, and return the table and the picture for users, and the report.

    :param effort: how much is done
    :param folder: for data, environments, output
    """
    begun = time.monotonic()
    dataset = make_dataset(folder, max(effort.calls, *effort.growth))
    with run_server(dataset, folder) as server:
        bench = Bench(server, folder)
        for reader in READERS:
            bench.python(reader)
        described = machine(server.kind)
        speeds = run_rounds(list(speed_cases(effort)), bench.run, bench.distinct_calls)
        growth = run_rounds(list(growth_cases(effort)), bench.run, bench.distinct_calls)
        recordings = run_rounds(list(recording_cases(effort)), bench.run, bench.distinct_calls)
        audits = list(measure_audits(bench, effort, folder))
        imports = [
            bench.execute("imports", bench.python("ours"))[0]["seconds"] * 1000 for _ in range(effort.imports + 1)
        ][1:]  # the first one fills the caches
    lines = [
        *speed_lines(speeds, effort.calls),
        *growth_lines(growth, effort),
        *recording_lines(recordings, effort),
        *audits,
        import_line(imports),
        _DEFERRED,
    ]
    said = f"{described} It took {time.monotonic() - begun:.0f} s, with {effort.calls:,} calls where speed is measured."
    print(f"\n{verdicts(lines)}")
    seconds = "\n".join(map(seconds_table, (speeds, growth, recordings)))
    report = f"{table(lines)}\n{_incomplete(speeds, growth, recordings)}{seconds}"
    return f"{speeds_table(speeds, effort.calls)}\n{said}\n", draw_speeds(speeds, effort.calls), report


def measure_around(effort: Effort, folder: Path) -> str:
    """
    Measure the downloads of recordings and the audit alone, and return the report.

    :param effort: how much is done
    :param folder: for data, environments, output
    """
    with run_server(make_dataset(folder, max(effort.calls, 12_000)), folder) as server:
        bench = Bench(server, folder)
        for reader in READERS:
            if "recordings" in reader:
                bench.python(reader)
        described = machine(server.kind)
        runs = run_rounds(list(recording_cases(effort)), bench.run, bench.distinct_calls)
        audits = list(measure_audits(bench, effort, folder))
    lines = [*recording_lines(runs, effort), *audits]
    print(f"\n{verdicts(lines)}")
    return f"{described}\n\n{table(lines)}\n{_incomplete(runs)}{seconds_table(runs)}"


def measure_memory(effort: Effort, folder: Path) -> tuple[str, bool]:
    """
    Measure the memory of our own processes alone, and return the report, and whether all is as it must be.

    :param effort: with how many calls
    :param folder: for data and output
    """
    effort = replace(effort, growth=(min(effort.growth), max(effort.growth)))
    last: dict[str, Run | None] = {}

    def told_count() -> int:
        return 0 if last["run"] is None else int(last["run"].told["count"])

    with run_server(make_dataset(folder, max(effort.growth)), folder) as server:
        bench = Bench(server, folder)

        def run(case: Case) -> Run | None:
            last["run"] = bench.run(case)
            return last["run"]

        runs = run_rounds(list(growth_cases(effort)), run, told_count)
        described = machine(server.kind)
    lines = [*memory_lines(runs, effort)]
    wrong = _incomplete(runs)
    return f"{described}\n\n{verdicts(lines)}\n{wrong}{seconds_table(runs)}", not wrong and all(
        line.met for line in lines
    )


def _incomplete(*all_runs: Runs) -> str:
    """Return a sentence on each reader that failed or whose output was not complete."""
    sentences = []
    for runs in all_runs:
        sentences += [
            f"**{case.reader} `{case.format}` left {distinct} different calls of {case.calls}.**\n\n"
            for case, distinct in runs.distinct.items()
            if distinct != case.calls
        ]
        sentences += [f"**{case.reader} `{case.format}` failed.**\n\n" for case in runs.failed]
    return "".join(sentences)


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m dev.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short form of one or two minutes; less exact")
    parser.add_argument("--write", action="store_true", help="put the report into docs/performance.md")
    parser.add_argument(
        "--memory",
        type=int,
        nargs="*",
        metavar="CALLS",
        help="measure only the memory that the most of these numbers of calls cost over the fewest: 1,000 and 100,000",
    )
    parser.add_argument("--around", action="store_true", help="measure only the downloads of recordings and the audit")
    arguments = parser.parse_args()
    folder = _ROOT / ".cache" / "bench"
    effort = Effort.quick() if arguments.quick else Effort()
    if arguments.memory is not None:
        report, right = measure_memory(replace(effort, growth=tuple(arguments.memory) or effort.growth), folder)
        print(f"\n{report}")
        sys.exit(0 if right else 1)
    if arguments.around:
        print(f"\n{measure_around(effort, folder)}")
        return
    speeds, picture, report = measure(effort, folder)
    print(f"\n{speeds}\n{report}")
    (folder / "report.md").write_text(report, encoding="utf-8")
    if arguments.write:
        put_between(_DOCUMENT, "speed", speeds)
        put_between(_DOCUMENT, "bench", report)
        _PICTURE.write_text(picture, encoding="utf-8")


if __name__ == "__main__":
    main()
