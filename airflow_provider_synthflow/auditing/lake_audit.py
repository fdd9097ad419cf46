# SPDX-License-Identifier: Apache-2.0
"""The audit of a whole lake: each agent's windows, then the API's present totals."""

from __future__ import annotations

import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.auditing.agent_audit import AgentAudit
from airflow_provider_synthflow.auditing.analytics import compare_days
from airflow_provider_synthflow.auditing.asked_again import AskedAgain
from airflow_provider_synthflow.auditing.call_ids import CallIds
from airflow_provider_synthflow.auditing.finding import Finding, count_findings, plain
from airflow_provider_synthflow.auditing.journal import encode_window
from airflow_provider_synthflow.auditing.lake import Lake, WindowFiles
from airflow_provider_synthflow.auditing.window_check import WindowCheck
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.observability.quantities import to_count
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.timestamps import format_instant, now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_synthflow.auditing.cure import Cures
    from airflow_provider_synthflow.auditing.journal import Journal, WholeWindow
    from airflow_provider_synthflow.auditing.progress import Progress
    from airflow_provider_synthflow.auditing.window_check import CheckedWindow
    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.exceptions import SynthflowError
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["AuditOutcome", "AuditPlan", "audit_lake"]

log = logging.getLogger(__name__)

_MOST_IN_RESULT = 100
_LOCAL_READERS = 2
_READERS = 8


@dataclass(frozen=True)
class AuditPlan:
    """The scope of an audit."""

    model_ids: tuple[str, ...] = ()  # empty: all
    from_ms: int | None = None  # None: the start of each agent's first window
    to_ms: int | None = None  # None: the end of each agent's last window
    read_files: bool = True  # False: only their sizes are compared
    by_day: bool = False  # for the API's analytics
    max_requests: int = 10_000  # one a window, the newest first


@dataclass
class AuditOutcome:
    """The outcome of an audit."""

    lake: str
    agents: list[AgentAudit]
    started_ms: int
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)  # sentences on what was left out
    checked: list[str] = field(default_factory=list)  # sentences on what was checked
    failure: SynthflowError | None = None  # of the API
    report: str | None = None

    @property
    def findings(self) -> list[Finding]:
        """Return all findings, by agent and time."""
        return [
            finding
            for agent in self.agents
            for finding in sorted(agent.findings, key=lambda each: (each.from_ms, each.to_ms, each.finding))
        ]

    def named(self, kinds: Sequence[str]) -> list[Finding]:
        """Return the findings of some kinds."""
        return [finding for finding in self.findings if finding.finding in kinds]

    def result(self, most: int | None = _MOST_IN_RESULT) -> dict[str, Any]:
        """Return the result, with at most so many findings."""
        begins = [agent.from_ms for agent in self.agents if agent.from_ms is not None]
        ends = [agent.to_ms for agent in self.agents if agent.to_ms is not None]
        findings = self.findings
        return {
            "output_path": self.lake,
            "from_date": format_instant(min(begins)),
            "to_date": format_instant(max(ends)),
            "agents": len(self.agents),
            "windows": sum(agent.count for agent in self.agents),
            "calls": sum(agent.calls for agent in self.agents),
            "files": sum(agent.files for agent in self.agents),
            "bytes": sum(agent.bytes for agent in self.agents),
            "counts": count_findings(findings),
            "report": self.report,
            "notes": self.notes,
            "audited_at": format_instant(self.started_ms),
            "provider_version": __version__,
            "findings": [finding.as_dict() for finding in findings[:most]],
        }


def audit_lake(
    store: Store,
    plan: AuditPlan,
    cures: Cures,
    progress: Progress,
    *,
    client: SynthflowClient | None = None,
    journal: Journal | None = None,
) -> AuditOutcome:
    """Audit a lake, and the API too where a client is given; windows that a journal has as they are need no reading."""
    begun, started_ms = time.monotonic(), now_ms()
    asks = client is not None and plan.max_requests > 0
    lake, again = Lake(store, plan.model_ids), AskedAgain(plan.max_requests)
    audits: dict[str, AgentAudit] = {}
    progress.begin("Windows checked", None)
    reading = _Reading(store, plan, progress, journal)
    for model_id, windows in lake.agents():
        audit = audits[model_id] = reading.audit_agent(model_id, windows, cures)
        if asks:
            again.offer(audit)
        audit.release(by_day=plan.by_day)
    _check_found(lake, plan, audits, cures)
    outcome = AuditOutcome(cures.lake, list(audits.values()), started_ms)
    if client is not None:
        if asks:
            again.run(client, progress)
        outcome.failure = again.failure
        if plan.by_day and again.failure is None:
            outcome.notes += compare_days(client, outcome.agents, progress)
    outcome.notes += [*again.notes(), *_notes(lake, plan, audits, asked=asks)]
    outcome.checked = _describe_scope(plan, again, asked=asks)
    if journal is not None and journal.used:
        outcome.checked.append(
            f"Not read again, since an earlier try found them whole: {to_count(journal.used, 'window')}."
        )
    outcome.seconds = time.monotonic() - begun
    return outcome


@dataclass
class _Reading:
    """The reading of a lake's windows, several at a time."""

    store: Store
    plan: AuditPlan
    progress: Progress
    journal: Journal | None

    def audit_agent(self, model_id: str, windows: Iterator[WindowFiles], cures: Cures) -> AgentAudit:
        """Audit the windows of one agent."""
        plan, recorded = self.plan, False
        with CallIds() if plan.read_files else nullcontext() as ids:

            def within() -> Iterator[WindowFiles]:
                nonlocal recorded
                for window in windows:
                    recorded = recorded or any(name.startswith("recordings/") for name in window.listed)
                    if (plan.from_ms is None or window.window.to_ms > plan.from_ms) and (
                        plan.to_ms is None or window.window.from_ms < plan.to_ms
                    ):
                        yield window

            checked = list(self._check_all(within(), ids))
            audit = AgentAudit(model_id, cures, checked, plan.from_ms, plan.to_ms, recorded)
            audit.check(ids)
        return audit

    def _check_all(self, windows: Iterator[WindowFiles], ids: CallIds | None) -> Iterator[CheckedWindow]:
        """Check windows, and yield them in their order."""
        readers = _LOCAL_READERS if isinstance(self.store, LocalStore) else _READERS
        journal = None if ids is None else self.journal
        with ThreadPoolExecutor(readers, thread_name_prefix="synthflow-audit") as pool:
            running: deque[Any] = deque()
            for number, window in enumerate(windows):
                if ids is not None and journal and (whole := journal.find(window, by_day=self.plan.by_day)):
                    running.append(pool.submit(_recall, whole, number, ids))
                else:
                    check = WindowCheck(
                        self.store, window, number, ids, self.plan.by_day, keeps_ids=journal is not None
                    )
                    running.append(pool.submit(_check, check))
                if len(running) >= 2 * readers:
                    yield from self._finish(running.popleft().result())
            while running:
                yield from self._finish(running.popleft().result())

    def _finish(self, found: tuple[CheckedWindow | None, bytes | None]) -> Iterator[CheckedWindow]:
        """Advance the progress, and yield a window unless its directory holds recordings alone."""
        checked, line = found
        if line is not None and self.journal is not None:
            self.journal.add(line)
        if checked is None:
            self.progress.advance()
        else:
            self.progress.advance(checked.calls, checked.bytes)
            yield checked


def _check(check: WindowCheck) -> tuple[CheckedWindow | None, bytes | None]:
    """Check a window, and again where a task has published it meanwhile; return it with its line for the journal."""
    checked = check.run()
    if checked is None or not checked.damages:
        return checked, encode_window(check, checked) if checked is not None and check.keeps_ids else None
    window = check.found
    again = next(Lake(check.store).list_windows(f"{window.directory}/"), None)
    again = again or WindowFiles(window.model_id, window.window, window.directory, {})
    if again.listed == window.listed:
        return checked, None
    with CallIds() if check.ids is not None else nullcontext() as others:
        return WindowCheck(check.store, again, check.number, others, check.by_day).run(), None


def _recall(whole: WholeWindow, number: int, ids: CallIds) -> tuple[CheckedWindow, None]:
    """Return a window of the journal under its present number."""
    for some in whole.ids:
        ids.add(number, some)
    whole.checked.number = number
    return whole.checked, None


def _check_found(lake: Lake, plan: AuditPlan, audits: dict[str, AgentAudit], cures: Cures) -> None:
    """Raise where there are no windows; an agent that was named and has none is one gap."""
    bounded = plan.from_ms is not None and plan.to_ms is not None
    for model_id in plan.model_ids:
        if model_id not in audits and bounded:
            audits[model_id] = AgentAudit(model_id, cures, [], plan.from_ms, plan.to_ms)
            audits[model_id].check(None)
    if not any(audit.count for audit in audits.values()) and not (audits and bounded and _holds_windows(lake)):
        if plan.model_ids and _holds_windows(lake):
            msg = f"{cures.lake} has no window of {_list(plan.model_ids)}. Name an agent that it has, or none for all."
        elif audits:
            msg = f"{cures.lake} has no window between these dates. Name others, or none."
        else:
            what = "files, and none of them is" if lake.others else "nothing, or nothing that is"
            msg = (
                f"{cures.lake} holds {what} a window of this package (model_id=…/from_date=…/to_date=…). "
                "Name the output_path that the calls were written to."
            )
        raise SynthflowConfigError(msg)


def _holds_windows(lake: Lake) -> bool:
    """Tell whether the lake has a window of any agent."""
    return any(True for _, windows in Lake(lake.store).agents() for _ in windows)


def _list(model_ids: Sequence[str]) -> str:
    return f"agent {plain(model_ids[0])}" if len(model_ids) == 1 else f"any of {len(model_ids)} agents"


def _notes(lake: Lake, plan: AuditPlan, audits: dict[str, AgentAudit], *, asked: bool) -> list[str]:
    """Return sentences on what was left out."""
    notes = []
    if not asked:
        notes.append("The API was not asked: late and deleted calls do not show.")
    if not plan.read_files:
        notes.append("Files were not read: their sizes were compared, their bytes and calls were not.")
    unread = sum(audit.unread for audit in audits.values())
    if unread:
        notes.append(
            f"Hashed and not looked into: {to_count(unread, 'file')} whose format needs the extra parquet or zstd here."
        )
    if lake.others:
        notes.append(f"Passed over: {to_count(lake.others, 'file')} of no window.")
    without = [model_id for model_id in plan.model_ids if model_id not in audits]
    if without:
        notes.append(f"The lake has no window of {_list(without)}.")
    return notes


def _describe_scope(plan: AuditPlan, again: AskedAgain, *, asked: bool) -> list[str]:
    """Return sentences on what was checked."""
    files = "each file read and hashed, each call's id compared" if plan.read_files else "each file's size"
    said = [f"The lake: every window's manifest, {files}."]
    if asked:
        said.append(f"The API: its present total for {to_count(again.asked, 'window')}.")
    if plan.by_day:
        said.append("The API's analytics: calls by day.")
    return said
