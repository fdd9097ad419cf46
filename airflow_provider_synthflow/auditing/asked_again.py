# SPDX-License-Identifier: Apache-2.0
"""The API's present total for each window: one small request a window, the newest first."""

from __future__ import annotations

import heapq
import itertools
import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.auditing.finding import plain
from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowRequestError
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import MARGIN_MS, WindowPlan
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.observability.quantities import to_count
from airflow_provider_synthflow.parameters import FILTERS
from airflow_provider_synthflow.window.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_synthflow.auditing.agent_audit import AgentAudit
    from airflow_provider_synthflow.auditing.progress import Progress
    from airflow_provider_synthflow.auditing.window_check import CheckedWindow
    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["AskedAgain"]

log = logging.getLogger(__name__)

_IN_FLIGHT = 4
_GUESSED_SETTLE_MS = 3_600_000
_MOST_WALKED = 20_000


@dataclass
class AskedAgain:
    """The windows whose totals are asked for again, and the outcome."""

    most: int  # of more, the newest
    asked: int = 0
    beyond: int = 0
    undeclared: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    failure: SynthflowError | None = None
    _due: list[tuple[int, int, AgentAudit, CheckedWindow]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def offer(self, agent: AgentAudit) -> None:
        """Add the windows of an agent."""
        for window in agent.windows:
            if window.origin is None:
                continue  # without a manifest nothing tells what was asked
            if window.total is None:
                self.undeclared += 1
                continue
            window.origin = agent.origin(window)  # while the windows beside it are there
            each = (window.to_ms, next(self._numbers), agent, window)
            if len(self._due) < self.most:
                heapq.heappush(self._due, each)
            else:
                self.beyond += 1
                if self.most:
                    heapq.heappushpop(self._due, each)

    def run(self, client: SynthflowClient, progress: Progress) -> None:
        """Send the requests, and add a finding for each window whose total has changed."""
        due = deque(sorted(self._due, reverse=True))
        self._due.clear()
        progress.begin("Windows asked for again", len(due))
        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            running: deque[Any] = deque()
            while due or running:
                while due and len(running) < 2 * _IN_FLIGHT and self.failure is None:
                    _, _, agent, window = due.popleft()
                    running.append((agent, window, pool.submit(_ask, client, agent.model_id, window)))
                if not running:
                    self.beyond += len(due)
                    return
                agent, window, answer = running.popleft()
                self._settle(agent, window, answer)
                progress.advance()

    def notes(self) -> list[str]:
        """Return a sentence for what was not asked, and why."""
        said = []
        if self.beyond:
            why = "after the API failed" if self.failure is not None else f"beyond the newest {self.most:,}"
            said.append(f"Not asked for again: {to_count(self.beyond, 'window')} {why}.")
        if self.undeclared:
            said.append(
                f"Not asked for again: {to_count(self.undeclared, 'window')} for which the API declared no total."
            )
        for model_id, count in self.refused.items():
            said.append(
                f"Not compared: {to_count(count, 'window')} of agent {plain(model_id)}, which the API refuses to list."
            )
        if self.failure is not None:
            said.append(f"The API could not be asked to the end: {self.failure}")
        return said

    def _settle(self, agent: AgentAudit, window: CheckedWindow, answer: Any) -> None:
        try:
            now, guessed = answer.result()
        except SynthflowRequestError:
            self.refused[agent.model_id] = self.refused.get(agent.model_id, 0) + 1
            return
        except SynthflowError as error:
            self.failure = self.failure or error
            self.beyond += 1
            return
        self.asked += 1
        if now is None:
            self.undeclared += 1
        elif now != (window.calls if guessed else window.total):
            agent.add_changed(window, now, guessed=guessed)


def _ask(client: SynthflowClient, model_id: str, window: CheckedWindow) -> tuple[int | None, bool]:
    """Return the API's present total for a window, and whether it counts only the calls that start in it."""
    filters = {name: value for name, value in (window.filters or {}).items() if name in FILTERS}
    query = CallsQuery(model_id=model_id, **filters)
    guess = max(0, window.from_ms - MARGIN_MS), window.to_ms + _GUESSED_SETTLE_MS
    total = client.page(query.between(*(window.asked or guess)), 1, 0).total
    if window.asked is not None or total is None or total == window.total or total > _MOST_WALKED:
        return total, False
    # An older manifest does not tell how long the window was given to settle: only its calls themselves compare.
    plan = WindowPlan(Window(window.from_ms, window.to_ms), query, _GUESSED_SETTLE_MS, include_unplaced=True)
    with Spill() as spill:
        return extract_window(client, plan, spill).count, True
