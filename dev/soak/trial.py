# SPDX-License-Identifier: Apache-2.0
"""Carry out a scenario: extract its windows one after the other, as daily runs do, and count what came of each call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.call import decode_record
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowError
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.result import WindowResult
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.window import Window
from dev.soak.scenario import AGENT, BASE_MS, RECEIVER
from tests.following import Following
from tests.loopback import LoopbackSender
from tests.synthflow_server import SimulatedClock, SynthflowApi

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.soak.scenario import Scenario
    from tests.synthflow_server import Call

__all__ = ["Outcome", "try_scenario"]


@dataclass
class Outcome:
    """
    Tell what came of a scenario.

    :param placed: calls that came in exactly the window of their start
    :param lost: ids of calls that stayed in the list all the time and came in no window
    :param doubled: ids of calls that came more than once
    :param misplaced: ids of calls that came in a window in which they did not start, or were not asked for
    :param garbled: ids of calls whose text is not what was sent, or half of a surrogate pair
    :param miscounted: windows whose result counts other calls as mended or mismatched than came, or that were refused
        for filters that the server keeps to
    :param refused: the errors of the windows that were refused
    :param requests: requests sent
    """

    placed: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    garbled: list[str] = field(default_factory=list)
    miscounted: list[Window] = field(default_factory=list)
    refused: list[SynthflowError] = field(default_factory=list)
    requests: int = 0

    @property
    def right(self) -> bool:
        """Tell whether no call was lost, doubled, misplaced or garbled, and each counted as what it is."""
        return not (self.lost or self.doubled or self.misplaced or self.garbled or self.miscounted)


def try_scenario(scenario: Scenario, *, concurrency: int = 1, read: Callable[..., Any] = extract_window) -> Outcome:
    """
    Carry out a scenario.

    :param scenario: what is there and what happens
    :param concurrency: pages in flight
    :param read: reads a window, and takes what ``extract_window`` takes
    """
    calls, changes = scenario.build()
    clock = SimulatedClock(BASE_MS)
    api = SynthflowApi(calls, behaviour=scenario.behaviour, faults=scenario.faults, changes=changes, clock=clock)
    known = {call.call_id: call for call in [*calls, *(call for each in changes for call in each.add)]}
    outcome = Outcome()
    found: Counter[str] = Counter()
    refused: list[Window] = []
    for low, high in zip(scenario.cuts, scenario.cuts[1:], strict=False):
        window = Window(BASE_MS + low, BASE_MS + high)
        clock.set(max(clock.now_ms(), window.to_ms + scenario.settle))
        client = LoopbackSender(api)
        plan = WindowPlan(
            window,
            CallsQuery(AGENT, call_status=scenario.call_status),
            scenario.settle,
            include_mismatched=scenario.include_mismatched,
            concurrency=concurrency,
        )
        ahead = Following(lends=concurrency > 1)
        with Spill() as spill:
            spill.lead(ahead)
            try:
                result = read(client, plan, spill, sleep=client.pass_time)
            except SynthflowError as error:
                outcome.refused.append(error)
                ignores = scenario.behaviour.ignore_agent or scenario.behaviour.ignore_status
                if "filters" in str(error) and not ignores:
                    outcome.miscounted.append(window)
                refused.append(window)
            else:
                records = [decode_record(data) for data in (ahead.records if spill.in_step() else spill.records())]
                found.update(record["call_id"] for record in records)
                _check(outcome, scenario, window, records=records, known=known, result=result)
        outcome.requests += client.requests
    stayed = {call.call_id for call in api.all_calls()} & {call.call_id for call in calls}
    for call in calls:
        due = _is_due(call, scenario) and call.call_id in stayed
        if due and not found[call.call_id] and not any(call.start_ms in window for window in refused):
            outcome.lost.append(call.call_id)
    outcome.doubled = [call_id for call_id, times in found.items() if times > 1]
    outcome.placed = sum(times == 1 for times in found.values())
    return outcome


def _check(
    outcome: Outcome,
    scenario: Scenario,
    window: Window,
    *,
    records: list[dict[str, Any]],
    known: Mapping[str, Call],
    result: Any,
) -> None:
    """Compare what came in a window with what is there."""
    mended = others = 0
    for record in records:
        call_id = record["call_id"]
        call = known[call_id]
        is_other = not _is_asked_for(call, scenario)
        others += is_other
        if call.start_ms not in window or (is_other and not scenario.include_mismatched):
            outcome.misplaced.append(call_id)
        text = call.record["transcript"]
        if scenario.behaviour.half_pairs:
            text = text.replace(RECEIVER, "\N{REPLACEMENT CHARACTER}")
        mended += record["transcript"] is not None and text != call.record["transcript"]
        if record["transcript"] not in {text, None}:  # it comes late
            outcome.garbled.append(call_id)
    if isinstance(result, WindowResult) and (result.mended, result.mismatched) != (mended, others):
        outcome.miscounted.append(window)


def _is_asked_for(call: Call, scenario: Scenario) -> bool:
    statuses = scenario.call_status and scenario.call_status.split(",")
    return call.model_id == AGENT and (not statuses or call.record["call_status"] in statuses)


def _is_due(call: Call, scenario: Scenario) -> bool:
    """
    Tell whether a call has to come: it starts in the windows, and the server can be made to show it.

    A server that bounds the end of a call, and leaves out those that have none, shows a call that never ends in no
    answer to a bounded request; one whose ``from_date`` bounds the time at which a call was put on the list leaves
    out a call that was put there long before it started.
    """
    behaviour = scenario.behaviour
    if not _is_asked_for(call, scenario):
        return False
    if not BASE_MS + scenario.cuts[0] <= call.start_ms < BASE_MS + scenario.cuts[-1]:
        return False
    bounds_ends = "end" in {behaviour.filter_from_on, behaviour.filter_to_on}
    if call.end_ms is None and bounds_ends and not behaviour.running_matches:
        return False
    early = call.listed_ms is not None and call.listed_ms < call.start_ms
    return not (early and behaviour.filter_from_on == "listed")
