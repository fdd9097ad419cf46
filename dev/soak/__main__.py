# SPDX-License-Identifier: Apache-2.0
"""Search at random for a call that is lost or doubled: ``make soak MINUTES=10``."""

from __future__ import annotations

import argparse
import logging
import random
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from dev.soak.chance import ChancePicker
from dev.soak.regressions import save_regression
from dev.soak.scenario import make_scenario
from dev.soak.trial import try_scenario

if TYPE_CHECKING:
    from dev.soak.scenario import Scenario

_REPORT_SECONDS = 10.0


def main() -> int:
    """Run the search, and return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to search")
    parser.add_argument("--seed", type=int, default=None, help="where to begin; default: by chance")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    seed = random.randrange(10**9) if arguments.seed is None else arguments.seed  # noqa: S311 - guards nothing
    print(f"Searching for {arguments.minutes:g} minutes from seed {seed}.", flush=True)
    counts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    found: list[str] = []
    begun = reported = time.monotonic()
    while time.monotonic() - begun < arguments.minutes * 60:
        found += _try_one(seed, counts, reasons)
        seed += 1
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            print(f"  {_line(counts)}", flush=True)
    print(_line(counts))
    for reason, count in reasons.most_common():
        print(f"  {count:>8,} refused: {reason}")
    for told in found:  # once more, where whoever sees only the end of a log finds it
        print(told)
    return 1 if found else 0


def _try_one(seed: int, counts: Counter[str], reasons: Counter[str]) -> list[str]:
    """Try the scenario of a seed, and return what is wrong with what came of it."""
    scenario = make_scenario(ChancePicker(seed))
    concurrency = 1 + 3 * (seed % 2)
    outcome = try_scenario(scenario, concurrency=concurrency)
    counts["tried"] += 1
    counts["windows"] += len(scenario.cuts) - 1
    counts["requests"] += outcome.requests
    counts["placed"] += outcome.placed
    counts["lost"] += len(outcome.lost)
    counts["doubled"] += len(outcome.doubled)
    counts["misplaced"] += len(outcome.misplaced)
    counts["wrong"] += len(outcome.garbled) + len(outcome.miscounted)
    counts["refused"] += len(outcome.refused)
    for error in outcome.refused:
        reasons[f"{type(error).__name__}, {_why(scenario)}"] += 1
    if outcome.right:
        return []
    path = save_regression(scenario, f"seed-{seed}")
    wrong = f"{outcome.lost} lost, {outcome.doubled} doubled, {outcome.misplaced} misplaced, "
    wrong += f"{outcome.garbled} garbled, {outcome.miscounted} miscounted"
    told = f"seed {seed}, {concurrency} in flight: {wrong} -> {path}"
    print(f"  {told}", flush=True)
    return [told]


def _why(scenario: Scenario) -> str:
    """Name what of a scenario stood in the way of completeness."""
    causes = []
    if scenario.behaviour.order in {"random", "unstable_ties"}:
        causes.append("the order is not stable")
    if scenario.movements:
        causes.append("calls come and go")
    if scenario.faults:
        causes.append("wrong answers")
    if scenario.behaviour.ignore_agent or (scenario.behaviour.ignore_status and scenario.call_status):
        causes.append("filters are ignored")
    if not causes and scenario.behaviour.running_matches:
        causes.append("calls end while they are read")
    return " + ".join(causes) or "nothing named"


def _line(counts: Counter[str]) -> str:
    return (
        f"{counts['tried']:,} combinations, {counts['windows']:,} windows, {counts['requests']:,} requests: "
        f"{counts['placed']:,} calls placed, {counts['lost']:,} lost, {counts['doubled']:,} doubled, "
        f"{counts['misplaced']:,} in a wrong window, {counts['wrong']:,} garbled or miscounted; "
        f"{counts['refused']:,} windows refused"
    )


if __name__ == "__main__":
    sys.exit(main())
