# SPDX-License-Identifier: Apache-2.0
"""What is run, how often, and in which order: one round after the other, so that all see the same machine."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dev.bench.running import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.bench.running import Run

__all__ = ["FORMATS", "GROWN", "Effort", "Runs", "growth_cases", "run_rounds", "speed_cases"]

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet")
GROWN = {**{f"`{each}`": ("ours", each) for each in FORMATS}, "`parquet` with all tables": ("ours_tables", "parquet")}
"""What is measured over different numbers of calls: the reader and the format."""
_WAITS = (50, 0)
_FLOORS = ("floor", "urllib3_floor")
_FAST = {"async_reader": FORMATS}
_SLOW_WHERE_WAITING = {"requests_loop": ("jsonl", "jsonl.gz"), "http_operator": ("jsonl",)}
_SLOW = {"dlt_rest_api": ("jsonl", "jsonl.gz", "parquet")}


@dataclass(frozen=True)
class Effort:
    """
    Say how much is done.

    :param calls: calls that are read where speed is measured
    :param rounds: rounds of the fast readers
    :param slow_rounds: rounds of those that need ten seconds and more
    :param growth: numbers of calls over which memory and processor time are compared: the first for the memory that
        is there anyway, the last for what is added
    :param imports: processes in which the import is timed
    :param recordings: recordings that are downloaded
    :param windows: windows of an hour that are audited
    """

    calls: int = 20_000
    rounds: int = 5
    slow_rounds: int = 2
    growth: tuple[int, ...] = (1_000, 5_000, 20_000, 100_000)
    imports: int = 9
    recordings: int = 400
    windows: int = 1_008

    @classmethod
    def quick(cls) -> Effort:
        """Return the short form."""
        return cls(
            calls=4_000, rounds=2, slow_rounds=1, growth=(1_000, 5_000, 20_000), imports=3, recordings=80, windows=240
        )


class Runs:
    """Hold the runs of each case, by round."""

    def __init__(self) -> None:
        self._runs: dict[Case, dict[int, Run]] = {}
        self.distinct: dict[Case, int] = {}
        self.failed: dict[Case, str] = {}

    def add(self, case: Case, number: int, run: Run) -> None:
        """
        Keep a run.

        :param case: what was run
        :param number: in which round
        :param run: how it went
        """
        self._runs.setdefault(case, {})[number] = run

    def of(self, case: Case) -> list[Run]:
        """Return the runs of a case; none where it is not there."""
        return list(self._runs.get(case, {}).values())

    def cases(self) -> list[Case]:
        """Return the cases in the order in which they were first run."""
        return list(self._runs)

    def median(self, case: Case, figure: str = "seconds") -> float | None:
        """
        Return the median of a figure over the rounds; None where the case is not there.

        :param case: what was run
        :param figure: a field of :class:`~dev.bench.running.Run`
        """
        runs = self.of(case)
        return statistics.median(getattr(run, figure) for run in runs) if runs else None

    def times_as_fast(
        self, case: Case, other: Case, seconds: Callable[[Run], float] = lambda run: run.seconds
    ) -> float | None:
        """
        Return how many times as fast a case is as another: the median of the ratios within the rounds of both.

        :param case: what was run
        :param other: what it is compared with
        :param seconds: the time of a run that is compared
        """
        mine, theirs = self._runs.get(case, {}), self._runs.get(other, {})
        ratios = [seconds(theirs[n]) / seconds(mine[n]) for n in mine if n in theirs]
        return statistics.median(ratios) if ratios else None


def speed_cases(effort: Effort) -> Iterator[tuple[Case, int]]:
    """
    Yield what is run to measure speed, and in how many rounds.

    :param effort: how much is done
    """
    for wait_ms in _WAITS:
        least = Case("", "jsonl", wait_ms, effort.calls)
        for reader in _FLOORS:
            yield replace(least, reader=reader), effort.rounds
        for each in FORMATS:
            for reader in ("ours", "ours_operator"):
                yield replace(least, reader=reader, format=each), effort.rounds
        for readers, rounds in (
            (_FAST, effort.rounds),
            (_SLOW_WHERE_WAITING, effort.slow_rounds if wait_ms else effort.rounds),
            (_SLOW, effort.slow_rounds),
        ):
            for reader, formats in readers.items():
                for each in formats:
                    if not wait_ms or readers is _FAST or each in {"jsonl", "jsonl.gz"}:
                        yield replace(least, reader=reader, format=each), rounds


def growth_cases(effort: Effort) -> Iterator[tuple[Case, int]]:
    """
    Yield what is run to see how memory and processor time grow.

    :param effort: how much is done
    """
    for calls in effort.growth:
        for reader, form in GROWN.values():
            yield Case(reader, form, 0, calls), 3


def run_rounds(
    plan: list[tuple[Case, int]],
    run: Callable[[Case], Run | None],
    count_distinct: Callable[[], int],
    *,
    told: Callable[[str], None] = print,
) -> Runs:
    """
    Run the cases one after the other, and again, until each had its rounds.

    :param plan: the cases and their rounds
    :param run: runs a case; None where there is no such thing
    :param count_distinct: counts the different calls of the last output
    :param told: is told how far it is
    """
    runs = Runs()
    missing: set[Case] = set()
    for number in range(max(rounds for _, rounds in plan)):
        for case, rounds in plan:
            if number >= rounds or case in missing:
                continue
            try:
                one = run(case)
            except RuntimeError as error:  # the others' figures are worth having all the same
                told(str(error))
                runs.failed[case] = str(error)
                one = None
            if one is None:
                missing.add(case)
                continue
            runs.add(case, number, one)
            if number == 0 and "floor" not in case.reader:
                runs.distinct[case] = count_distinct()
            told(
                f"round {number + 1}: {case.reader} {case.format}, {case.calls} calls, {case.wait_ms} ms: "
                f"{one.seconds:.3f} s, process {one.wall:.2f} s, {one.peak_kib / 1024:.0f} MiB"
            )
    return runs
