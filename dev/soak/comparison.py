# SPDX-License-Identifier: Apache-2.0
"""
Compare the extraction with a plain loop over pages, for many ways of a server, and print a Markdown table.

Both read the same calls in daily windows. The loop starts a minute after its window's end, as a daily schedule does;
the extraction after ``settle``, as the operator does. What comes of each call is counted over all windows.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import requests

from airflow_provider_synthflow.client.call import decode_record
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowError
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.window import Window
from dev.soak.cases import CASES
from dev.soak.plain_loop import EndlessLoopError, LoopbackAdapter, list_calls
from dev.soak.scenario import AGENT, BASE_MS
from tests.loopback import LoopbackSender
from tests.synthflow_server import Call, Change, SimulatedClock, SynthflowApi, make_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dev.soak.cases import Case

    Reader = Callable[[SynthflowApi, Window], list[str]]

__all__ = ["Comparison", "Tally", "compare", "table_of"]

_DAY = 86_400_000
_MINUTE = 60_000
_SETTLE = 60 * _MINUTE
_KEPT = ("call_id", "model_id", "call_status", "start_time", "duration", "telephony_start", "telephony_end")
_HEAD = """\
| What the server does | loop: lost | doubled | windows failed | provider: lost | doubled | windows refused |
|---|--:|--:|--:|--:|--:|--:|"""


@dataclass
class Tally:
    """
    Count what came of the calls.

    :param lost: calls that came in no window, those of windows that failed left aside
    :param doubled: calls that came more than once
    :param failed: windows that ended with an error, and so without a result
    :param ended: whether the reading came to an end by itself
    """

    lost: int = 0
    doubled: int = 0
    failed: int = 0
    ended: bool = True

    def cells(self) -> list[str]:
        """Return the numbers as the table shows them."""
        if not self.ended:
            return ["never ends", "-", "-"]
        return [f"{number:,}" for number in (self.lost, self.doubled, self.failed)]


@dataclass(frozen=True)
class Comparison:
    """
    Hold one line of the table.

    :param case: what the server does
    :param loop: what came of the calls with the plain loop
    :param ours: what came of them with the extraction
    """

    case: Case
    loop: Tally
    ours: Tally


def compare(
    cases: Sequence[Case] = CASES, *, count: int = 10_000, days: int = 14, seed: int = 1
) -> Iterator[Comparison]:
    """
    Yield the comparison of each case.

    :param cases: what the servers do
    :param count: how many calls there are
    :param days: over how many daily windows
    :param seed: equal seeds give equal numbers
    """
    for case in cases:
        calls = list(_calls(case, count, days, seed))
        yield Comparison(
            case,
            loop=_tally(case, calls, days, _MINUTE, _by_loop(count)),
            ours=_tally(case, calls, days, _SETTLE, _by_extraction),
        )


def table_of(comparisons: Sequence[Comparison]) -> str:
    """
    Return the Markdown table.

    :param comparisons: its lines
    """
    lines = [f"| {' | '.join([each.case.name, *each.loop.cells(), *each.ours.cells()])} |" for each in comparisons]
    return "\n".join([_HEAD, *lines])


def _calls(case: Case, count: int, days: int, seed: int) -> Iterator[Call]:
    """Make the calls; none starts in the last second, so that a start read a little later is in a window too."""
    made = make_calls(
        seed,
        count,
        agents=[AGENT],
        from_ms=BASE_MS,
        to_ms=BASE_MS + days * _DAY - 1_000,
        unfinished=case.stuck,
        telephony_lag_ms=(100, 900),
    )
    for call in made:
        earlier = call.start_ms % case.starts_every_ms
        record = {name: call.record[name] for name in _KEPT} | {"start_time": str(call.start_ms - earlier)}
        listed = call.end_ms if case.listed_at_end else None
        yield replace(call, start_ms=call.start_ms - earlier, listed_ms=listed, record=record)


def _by_loop(count: int) -> Reader:
    def read(api: SynthflowApi, window: Window) -> list[str]:
        with requests.Session() as session:
            session.mount("http://", LoopbackAdapter(api, most_requests=count // 100 + 20))
            calls = list_calls(session, "http://127.0.0.1/v2", AGENT, window.from_ms, window.to_ms)
        return [call["call_id"] for call in calls]

    return read


def _by_extraction(api: SynthflowApi, window: Window) -> list[str]:
    client = LoopbackSender(api)
    plan = WindowPlan(window, CallsQuery(AGENT), _SETTLE, concurrency=1)
    with Spill() as spill:
        extract_window(client, plan, spill, sleep=client.pass_time)
        return [decode_record(data)["call_id"] for data in spill.records()]


def _tally(case: Case, calls: Sequence[Call], days: int, wait_ms: int, read: Reader) -> Tally:
    clock = SimulatedClock(BASE_MS)
    windows = [Window(BASE_MS + day * _DAY, BASE_MS + (day + 1) * _DAY) for day in range(days)]
    late = {call.call_id: call for window in windows for call in _newest(calls, window, len(case.arrivals))}
    api = SynthflowApi([call for call in calls if call.call_id not in late], behaviour=case.behaviour, clock=clock)
    tally = Tally()
    found: Counter[str] = Counter()
    failed: list[Window] = []
    for window in windows:
        clock.set(max(clock.now_ms(), window.to_ms + wait_ms))
        arriving = [call for call in late.values() if call.start_ms in window]
        api.arm(
            *case.faults,
            *(Change(at=(at,), add=(call,)) for at, call in zip(case.arrivals, arriving, strict=True)),
            *(Change(at=(at,), remove_at=7) for at in case.departures),
        )
        try:
            found.update(read(api, window))
        except (SynthflowError, requests.RequestException):
            failed.append(window)
        except EndlessLoopError:
            return Tally(ended=False)
        api.disarm()
    there = {call.call_id for call in api.all_calls(AGENT)}
    tally.failed = len(failed)
    tally.doubled = sum(times > 1 for times in found.values())
    tally.lost = sum(
        call.call_id in there and not found[call.call_id] and not any(call.start_ms in window for window in failed)
        for call in calls
    )
    return tally


def _newest(calls: Sequence[Call], window: Window, count: int) -> list[Call]:
    if not count:
        return []
    return sorted((call for call in calls if call.start_ms in window), key=lambda call: call.start_ms)[-count:]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m dev.soak.comparison", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help="how many calls there are")
    parser.add_argument("--days", type=int, default=14, help="how many daily windows")
    parser.add_argument("--seed", type=int, default=1, help="where chance begins")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    print(table_of(list(compare(count=arguments.calls, days=arguments.days, seed=arguments.seed))))


if __name__ == "__main__":
    main()
