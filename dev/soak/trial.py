# SPDX-License-Identifier: Apache-2.0
"""Carry out a scenario: extract its windows one after the other, as daily runs do, and count what came of each call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_synthflow.client.call import decode_record
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowError
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.window import Window
from dev.soak.scenario import AGENT, BASE_MS
from tests.following import Following
from tests.loopback import LoopbackSender
from tests.synthflow_server import SimulatedClock, SynthflowApi

if TYPE_CHECKING:
    from collections.abc import Callable

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
    :param misplaced: ids of calls that came in a window in which they did not start
    :param refused: the errors of the windows that were refused
    :param requests: requests sent
    """

    placed: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    misplaced: list[str] = field(default_factory=list)
    refused: list[SynthflowError] = field(default_factory=list)
    requests: int = 0

    @property
    def right(self) -> bool:
        """Tell whether no call was lost, doubled or misplaced."""
        return not (self.lost or self.doubled or self.misplaced)


def try_scenario(scenario: Scenario, *, concurrency: int = 1, read: Callable[..., None] = extract_window) -> Outcome:
    """
    Carry out a scenario.

    :param scenario: what is there and what happens
    :param concurrency: pages in flight
    :param read: reads a window, and takes what ``extract_window`` takes
    """
    calls, changes = scenario.build()
    clock = SimulatedClock(BASE_MS)
    api = SynthflowApi(calls, behaviour=scenario.behaviour, faults=scenario.faults, changes=changes, clock=clock)
    starts = {call.call_id: call.start_ms for call in [*calls, *(call for each in changes for call in each.add)]}
    outcome = Outcome()
    found: Counter[str] = Counter()
    refused: list[Window] = []
    for low, high in zip(scenario.cuts, scenario.cuts[1:], strict=False):
        window = Window(BASE_MS + low, BASE_MS + high)
        clock.set(max(clock.now_ms(), window.to_ms + scenario.settle))
        client = LoopbackSender(api)
        plan = WindowPlan(window, CallsQuery(AGENT), scenario.settle, concurrency=concurrency)
        ahead = Following(lends=concurrency > 1)
        with Spill() as spill:
            spill.lead(ahead)
            try:
                read(client, plan, spill, sleep=client.pass_time)
            except SynthflowError as error:
                outcome.refused.append(error)
                refused.append(window)
            else:
                records = ahead.records if spill.in_step() else list(spill.records())
                ids = [decode_record(data)["call_id"] for data in records]
                found.update(ids)
                outcome.misplaced += [call_id for call_id in ids if starts[call_id] not in window]
        outcome.requests += client.requests
    stayed = {call.call_id for call in api.all_calls(AGENT)} & {call.call_id for call in calls}
    for call in calls:
        due = _is_due(call, scenario) and call.call_id in stayed
        if due and not found[call.call_id] and not any(call.start_ms in window for window in refused):
            outcome.lost.append(call.call_id)
    outcome.doubled = [call_id for call_id, times in found.items() if times > 1]
    outcome.placed = sum(times == 1 for times in found.values())
    return outcome


def _is_due(call: Call, scenario: Scenario) -> bool:
    """
    Tell whether a call has to come: it starts in the windows, and the server can be made to show it.

    A server that bounds the end of a call, and leaves out those that have none, shows a call that never ends in no
    answer to a bounded request; one whose ``from_date`` bounds the time at which a call was put on the list leaves
    out a call that was put there long before it started.
    """
    behaviour = scenario.behaviour
    if not BASE_MS + scenario.cuts[0] <= call.start_ms < BASE_MS + scenario.cuts[-1]:
        return False
    bounds_ends = "end" in {behaviour.filter_from_on, behaviour.filter_to_on}
    if call.end_ms is None and bounds_ends and not behaviour.running_matches:
        return False
    early = call.listed_ms is not None and call.listed_ms < call.start_ms
    return not (early and behaviour.filter_from_on == "listed")
