# SPDX-License-Identifier: Apache-2.0
"""Whatever the server does, and whenever a try is killed: what the next try publishes is right, or it is refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.resume import checkpoint as resuming
from dev.soak.chance import ChancePicker
from dev.soak.scenario import make_scenario
from dev.soak.searching import search
from dev.soak.trial import try_scenario
from tests.effort import count_examples
from tests.unit.extraction.test_every_call_once import scenarios
from tests.unit.resume.keeping import KilledError, MemoryState, MemoryStore, PatientWriter, checkpoint_for

if TYPE_CHECKING:
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from dev.soak.scenario import Scenario
    from tests.loopback import LoopbackSender

_EXAMPLES = count_examples(100)
_SEEDS = count_examples(150)


@pytest.fixture(autouse=True, scope="module")
def small_pieces():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resuming, "_PIECE", 1)  # each page is one
        patch.setattr(resuming, "SegmentWriter", PatientWriter)
        yield


@dataclass
class KilledReader:
    """
    Read each window in tries of which all but the last are killed.

    :param kills: after how many requests, one number for each killed try
    :param pause: how much time passes before the next try, in seconds
    """

    kills: tuple[int, ...]
    pause: float
    killed: int = 0
    taken_up: int = 0
    state: MemoryState = field(default_factory=MemoryState)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __call__(self, client: LoopbackSender, plan: WindowPlan, spill: Spill, **options: Any) -> None:
        for number, kill in enumerate(self.kills):
            limit = client.requests + kill
            answer = client.answer

            def until_killed(*arguments: Any, answer=answer, limit=limit) -> Any:
                if client.requests >= limit:
                    raise KilledError
                return answer(*arguments)

            client.answer = until_killed
            try:
                with Spill() as lost:
                    self._try(client, plan, lost, retry=number > 0, **options)
            except KilledError:
                self.killed += 1
                client.pass_time(self.pause)
            finally:
                client.answer = answer
        self._try(client, plan, spill, retry=bool(self.kills), **options)
        assert not self.store
        assert not self.state

    def _try(self, client: Any, plan: WindowPlan, spill: Spill, *, retry: bool, **options: Any) -> None:
        resume = checkpoint_for(plan, client.settings, store=self.store, state=self.state, retry=retry)
        with resume:
            self.taken_up += extract_window(client, plan, spill, resume=resume, **options).recalled


def tamed(scenario: Scenario) -> Scenario:
    """Return a scenario in which pages can be taken up: they declare a total, and most calls are over."""
    cuts = (scenario.cuts[0], max(scenario.cuts[-1], 60_000))
    calls = tuple(
        replace(call, start=call.start % cuts[1], end=call.start % cuts[1], listed=0, status="completed")
        if number % 16
        else call
        for number, call in enumerate(scenario.calls)
    )
    behaviour = replace(
        scenario.behaviour,
        order="oldest" if scenario.behaviour.order == "oldest" else "newest",
        envelope="standard",
        pagination="present",
        max_rows=2 + len(calls) % 3,
        largest_offset=None,
        ignore_agent=False,
        ignore_status=False,
    )
    return replace(scenario, cuts=cuts, calls=calls, behaviour=behaviour, call_status=None)


@search(_EXAMPLES)
@given(scenarios(), st.lists(st.integers(1, 12), min_size=1, max_size=2), st.sampled_from([0, 60, 3600]))
def test_each_call_comes_in_exactly_the_window_of_its_start_after_kills_at_any_page(scenario, kills, pause):
    for each in (scenario, tamed(scenario)):
        outcome = try_scenario(each, read=KilledReader(tuple(kills), pause))

        assert outcome.right, outcome


@pytest.mark.parametrize("concurrency", [1, 4])
def test_each_call_comes_once_after_kills_also_where_many_pages_are_taken_up(concurrency):
    taken_up = moved = 0
    for seed in range(_SEEDS):
        pick = ChancePicker(seed)
        scenario = tamed(make_scenario(pick))
        kills = tuple(pick.number(2, 12) for _ in range(pick.number(1, 3)))
        reader = KilledReader(kills, pick.one_of([0, 60, 3600]))

        outcome = try_scenario(scenario, concurrency=concurrency, read=reader)

        assert outcome.right, (seed, outcome)
        taken_up += reader.taken_up > 0
        moved += reader.taken_up > 0 and bool(scenario.movements)

    assert taken_up > _SEEDS / 3
    assert moved > _SEEDS * 2 / 15
