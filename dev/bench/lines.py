# SPDX-License-Identifier: Apache-2.0
"""The lines of the table: what is required, what was measured, and whether it is met. Pure arithmetic."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dev.bench.plan import GROWN
from dev.bench.running import Case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.bench.plan import Effort, Runs

__all__ = ["Line", "growth_lines", "import_line", "memory_lines", "speed_lines"]

MOST_MEMORY_MIB = 32
MOST_IMPORT_MS = 10
MOST_TABLES_US = 15
LINEAR = 1.1
"""A call may cost this many times as much in the largest window as in the one before: what the clock's noise gives."""

# what of the operator's: (milliseconds a request, format, [(the other, its format, at least)])
_SPEEDS = (
    *((50, each, (("floor", "jsonl", 0.93), ("async_reader", each, 0.97))) for each in ("jsonl.zst", "parquet")),
    *(
        (
            50,
            each,
            (
                ("floor", "jsonl", 0.93),
                ("async_reader", each, 0.97),
                ("dlt_rest_api", each, 10),
                ("http_operator", "jsonl", 8),
            ),
        )
        for each in ("jsonl", "jsonl.gz")
    ),
    (
        0,
        "jsonl",
        (
            ("async_reader", "jsonl", 1),
            ("urllib3_floor", "jsonl", 0.25),
            ("requests_loop", "jsonl", 3),
            ("dlt_rest_api", "jsonl", 25),
        ),
    ),
    *((0, each, (("async_reader", each, 1.2),)) for each in ("jsonl.gz", "jsonl.zst", "parquet")),
)


@dataclass(frozen=True)
class Line:
    """
    Hold a line of the table.

    :param work: what was done
    :param required: what is required
    :param measured: what was measured; None where it is not available
    :param met: whether it is met; None where it is not available
    """

    work: str
    required: str
    measured: str | None
    met: bool | None

    def row(self) -> str:
        """Return the line as Markdown."""
        word = {True: "met", False: "**not met**", None: "not available"}[self.met]
        return f"| {self.work} | {self.required} | {self.measured or '-'} | {word} |"


def speed_lines(runs: Runs, calls: int) -> Iterator[Line]:
    """
    Yield the lines about speed: of the extraction alone, as a multiple of the other's.

    :param runs: what was run
    :param calls: with how many calls
    """
    for wait_ms, form, others in _SPEEDS:
        ours = Case("ours_operator", form, wait_ms, calls)
        work = f"{f'{wait_ms} ms a request' if wait_ms else 'no latency'}, `{form}`"
        for reader, its_form, least in others:
            ratio = runs.times_as_fast(ours, Case(reader, its_form, wait_ms, calls))
            measured = None if ratio is None else f"{ratio:.2f}{_beside(runs, ours, reader, its_form)}"
            yield Line(
                f"{work}: speed as a multiple of {_named(reader, its_form)}",
                f"at least {least:g}",
                measured,
                None if ratio is None else ratio >= least,
            )


def _beside(runs: Runs, ours: Case, reader: str, its_form: str) -> str:
    """Return what else is worth knowing of a ratio."""
    if reader == "floor":
        ordinary = runs.times_as_fast(ours, replace(ours, reader="urllib3_floor", format=its_form))
        return "" if ordinary is None else f" ({ordinary:.2f} of urllib3's)"
    if ours.wait_ms or "floor" in reader:
        return ""
    # Where nothing waits, this is the ratio that a machine without other work would show.
    other = replace(ours, reader=reader, format=its_form)
    busy = runs.times_as_fast(ours, other, lambda run: float(run.told["cpu"]))
    return f" ({busy:.2f} by processor time)"


def memory_lines(runs: Runs, effort: Effort) -> Iterator[Line]:
    """
    Yield the lines about memory.

    :param runs: what was run
    :param effort: with how many calls
    """
    few, most = min(effort.growth), max(effort.growth)
    for named, (reader, form) in GROWN.items():
        little, much = (runs.median(Case(reader, form, 0, calls), "peak_kib") for calls in (few, most))
        more = None if little is None or much is None else (much - little) / 1024
        yield Line(
            f"peak memory of {most:,} calls over that of {few:,}, {named}",
            f"at most {MOST_MEMORY_MIB} MiB",
            None if more is None else f"{more:.1f} MiB",
            None if more is None else more <= MOST_MEMORY_MIB,
        )


def growth_lines(runs: Runs, effort: Effort) -> Iterator[Line]:
    """
    Yield the lines about memory and processor time.

    :param runs: what was run
    :param effort: with how many calls
    """
    yield from memory_lines(runs, effort)
    middle = sorted(effort.growth)[1:]
    for named, (reader, form) in GROWN.items():
        costs = [_cost(runs, Case(reader, form, 0, calls)) for calls in middle]
        known = [cost for cost in costs if cost is not None]
        whole = len(known) == len(costs)
        yield Line(
            f"processor time a call for {', '.join(f'{calls:,}' for calls in middle)} calls, {named}",
            "linear, or better",
            " → ".join(f"{cost:.1f} µs" for cost in known) if whole else None,
            known[-1] <= known[-2] * LINEAR if whole else None,
        )
    yield _tables_line(runs, middle[-2])


def _tables_line(runs: Runs, calls: int) -> Line:
    """Return the line about what the tables cost."""
    alone, beside = (_cost(runs, Case(reader, "parquet", 0, calls)) for reader in ("ours", "ours_tables"))
    more = None if alone is None or beside is None else beside - alone
    return Line(
        f"processor time a call of all tables beside `parquet`, {calls:,} calls",
        f"at most {MOST_TABLES_US} µs",
        None if more is None else f"{more:.1f} µs",
        None if more is None else more <= MOST_TABLES_US,
    )


def _cost(runs: Runs, case: Case) -> float | None:
    """Return the microseconds of processor that a call of an extraction takes."""
    all_of_them = [run.told["cpu"] for run in runs.of(case)]
    return statistics.median(all_of_them) / case.calls * 1e6 if all_of_them else None


def import_line(milliseconds: list[float]) -> Line:
    """
    Return the line about the import.

    :param milliseconds: what it took in each process
    """
    median = statistics.median(milliseconds)
    return Line(
        "import of the operator above `airflow.sdk`'s own",
        f"at most {MOST_IMPORT_MS} ms",
        f"{median:.1f} ms",
        median <= MOST_IMPORT_MS,
    )


def _named(reader: str, form: str) -> str:
    names = {
        "floor": "the floor's",
        "urllib3_floor": "urllib3's floor's",
        "dlt_rest_api": "dlt's rest_api",
        "http_operator": "`HttpOperator`",
        "requests_loop": "the `requests` loop's",
        "async_reader": "the asyncio reader's",
    }
    return names[reader] + ("" if "floor" in reader or form == "jsonl" else f" (`{form}`)")
