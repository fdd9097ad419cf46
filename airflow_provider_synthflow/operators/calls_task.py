# SPDX-License-Identifier: Apache-2.0
"""The work of a task that lists calls, on its worker: the windows it reads, waits for and publishes."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowIncompleteError
from airflow_provider_synthflow.extraction.named_fields import NamedFields
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.result import measure
from airflow_provider_synthflow.extraction.window_job import WindowJob
from airflow_provider_synthflow.hooks.query import warn_of_status
from airflow_provider_synthflow.observability.metrics import emit
from airflow_provider_synthflow.operators.batch import AgentWindow, Batch, StillOpenError
from airflow_provider_synthflow.operators.context import is_last, is_retry, published_since, read_origin, tell_outlets
from airflow_provider_synthflow.operators.windows_task import WindowsTask
from airflow_provider_synthflow.output.draft import TablesSpec
from airflow_provider_synthflow.output.formats import check_format, load_library
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.parameters import FILTERS
from airflow_provider_synthflow.resume.checkpoint import JUDGED_FIELDS, Checkpoint
from airflow_provider_synthflow.resume.state import make_digest, make_key
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import now_ms
from airflow_provider_synthflow.window.run import windows_of_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.extraction.result import WindowResult
    from airflow_provider_synthflow.operators.waiting import WaitingOperator
    from airflow_provider_synthflow.resume.checkpoint import TaskState
    from airflow_provider_synthflow.window.window import Window

__all__ = ["CallsTask"]

log = logging.getLogger(__name__)

_UNSETTLED_PAUSE_MS = 10 * 60_000
_RECORDER = "SynthflowDownloadRecordingsOperator"


class CallsTask(WindowsTask):
    """One try of a task that lists calls."""

    def __init__(self, operator: WaitingOperator, context: Context) -> None:
        super().__init__(operator, context)
        self._xcom_bytes = 0  # of the results so far, which go into one XCom
        self._agents: set[str] | None = None  # of the workspace, once they were asked for
        self._told_of_recordings = False

    def run(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Extract the run's window for each agent, once the last of them is settled."""
        with self._waiting_for("the calls of {} window(s) may be final"), self._hook as hook:
            asked = self._asked
            parts, many = self._make_parts()
            since_ms = published_since(self._context) if self._waited_since_ms is None else self._waited_since_ms
            self.host = hook.settings.host
            checkpoints = self._make_checkpoints()
            jobs = {part: self._make_job(part, checkpoints) for part in parts}
            self._wait_to_settle(list(jobs.values()))
            batch = Batch(parts)
            results = []
            for part in parts:
                with batch.going_on(part):
                    results.append(self._finish(jobs[part], since_ms))
            batch.check()
            self.results = [{name: value for name, value in each.items() if name != "calls"} for each in results]
            if asked.on_empty == "skip" and not any(result["count"] for result in results):
                raise AirflowSkipException("There are no calls in the window.")
            result = results if many else results[0]
            tell_outlets(self._context, self._operator.outlets, result)
        return result

    def _make_parts(self) -> tuple[list[AgentWindow], bool]:
        """Return the windows of all agents, and whether the result is a list."""
        asked = self._asked
        many = isinstance(asked.model_id, list)
        agents = asked.model_id if many else [asked.model_id]
        parts: list[AgentWindow] = []
        for agent in agents:
            run = windows_of_run(
                self._context, from_date=asked.from_date, to_date=asked.to_date, model_id=agent, agents=agents
            )
            many = many or run.many
            parts += [AgentWindow(agent, window) for window in run.windows]
        if len(parts) > 1:
            log.info("%d windows to read, from %s to %s.", len(parts), parts[0], parts[-1])
        return parts, many

    def _make_privacy(self) -> Privacy:
        asked = self._asked
        hidden = {"drop_fields": asked.drop_fields or (), "hash_fields": asked.hash_fields or ()}
        fields = {**hidden, "volatile_fields": asked.volatile_fields or ()}
        named = NamedFields(fields, fails=asked.on_unknown_field == "fail")
        with self._hook.settings.named_in_errors():
            return Privacy(**hidden, key=self._hook.settings.hash_key, named=named)

    def _make_checkpoints(self) -> Callable[[WindowPlan], Checkpoint | None]:
        """Return what makes the checkpoint of a window, or None where pages cannot or need not be kept."""
        path, settings, privacy = self._asked.resume_path, self._hook.settings, self._make_privacy()
        if path is None:
            return lambda _: None
        conn_id = None if FileAddress.parse(path).is_local else self._asked.output_conn_id
        store = open_store(path, conn_id, name="resume_path")
        state: TaskState | None = (self._context or {}).get("task_state_store")
        if state is None:
            log.info("resume_path is ignored: it needs Airflow 3.3 or later, which keeps a state for each task.")
            return lambda _: None
        if hidden := privacy.hides(JUDGED_FIELDS):
            names = ", ".join(hidden)
            log.info("resume_path is ignored: it needs %s, which drop_fields or hash_fields takes out.", names)
            return lambda _: None
        retry, last = is_retry(self._context), is_last(self._context)
        return lambda plan: Checkpoint(
            store,
            state,
            make_key(plan),
            make_digest(plan, settings, privacy),
            privacy=privacy,
            retry=retry,
            last=last,
        )

    def _make_job(self, part: AgentWindow, checkpoints: Callable[[WindowPlan], Checkpoint | None]) -> WindowJob:
        asked = self._asked
        plan, privacy = self._make_plan(part.model_id, part.window), self._make_privacy()
        warn_of_status(plan.query)
        return WindowJob(
            plan=plan,
            publication=self._make_publication(plan, privacy),
            privacy=privacy,
            on_empty=asked.on_empty,
            accept_unsettled=asked.on_unsettled == "include",
            max_bytes=asked.max_xcom_bytes,
            resume=checkpoints(plan),
            origin=read_origin(self._context),
            details=bool(asked.details),
        )

    def _make_plan(self, agent: str, window: Window) -> WindowPlan:
        asked = self._asked
        return WindowPlan(
            window=window,
            query=CallsQuery(agent, **{name: getattr(asked, name) for name in FILTERS}),
            settle_ms=asked.settle,
            include_unplaced=asked.on_unplaced == "include",
            include_mismatched=asked.on_mismatch == "include",
            concurrency=asked.concurrency,
            max_walks=asked.max_walks,
        )

    def _make_publication(self, plan: WindowPlan, privacy: Privacy) -> Publication | None:
        asked = self._asked
        check_format(asked.output_format)
        if asked.output_path is None:
            return None
        store = open_store(asked.output_path, asked.output_conn_id)
        tables = _make_tables(asked.tables) if asked.tables else None
        query = plan.query.filters() | ({"details": True} if asked.details else {})
        return Publication(
            store,
            plan.query.model_id,
            plan.window,
            asked.output_format,
            query,
            described=privacy.described(),
            volatile_fields=asked.volatile_fields or (),
            tables=tables,
        )

    def _wait_to_settle(self, jobs: list[WindowJob]) -> None:
        """Wait once, for the last window, so that none is extracted twice; what is wrong by then is said before."""
        settled_ms = max(job.plan.settled_ms for job in jobs)
        if settled_ms > now_ms():
            for job in jobs:
                if job.publication is not None:
                    job.publication.check()
        if not self._is_over(settled_ms):
            self._give_back(settled_ms, "the window is settled" if len(jobs) == 1 else "the last window is settled")

    def _finish(self, job: WindowJob, since_ms: int | None) -> dict[str, Any]:
        """Bring one window to where it goes, and count it in the metrics."""
        client = self._hook.client
        with self._failures.of_window(job.plan.query.model_id, client) as tags:
            published = job.find_published(since_ms)
            if published is not None:
                return published
            found = job.carry_out(client, check=partial(self._check_unsettled, job.plan), used=self._xcom_bytes)
        emit(found.counts, found.seconds, tags)
        self._warn_of_nothing(job.plan, found)
        if found.has_addresses:
            self._tell_of_recordings()
        if "calls" in found.value:
            self._xcom_bytes += measure(found.value)
        return found.value

    def _warn_of_nothing(self, plan: WindowPlan, found: WindowResult) -> None:
        """Warn where the API has nothing at all for what was asked: a misspelt agent or status looks the same."""
        if found.total_records or found.count or found.not_started or found.unplaced:
            return
        log.warning(
            (
                "The API has no calls of agent %s in %s, with %s. If that is unexpected, check the agent and the "
                "filters."
            ),
            plan.query.model_id,
            plan.window,
            plan.query,
        )
        if self._agents is None:
            try:
                self._agents = {str(agent.get("model_id")) for agent in self._hook.list_assistants()}
            except SynthflowError as error:
                self._agents = set()
                log.info("Could not check whether this agent exists: %s", error)
        if self._agents and plan.query.model_id not in self._agents:
            log.warning(
                (
                    "Agent %s is not among the %d agents of the workspace: its id is misspelt or of another "
                    "workspace, or the agent was deleted."
                ),
                plan.query.model_id,
                len(self._agents),
            )

    def _tell_of_recordings(self) -> None:
        """Log once that the addresses of recordings end, unless the DAG stores the recordings."""
        task = (self._context or {}).get("task")
        tasks = getattr(getattr(task, "dag", None), "tasks", ())
        kinds = {getattr(each, "operator_class", type(each)).__name__ for each in tasks}
        if self._told_of_recordings or _RECORDER in kinds:
            return
        self._told_of_recordings = True
        log.info(
            (
                "These calls have recordings. Their addresses stop working on 2027-01-10, and this DAG does not "
                "store them: use %s."
            ),
            _RECORDER,
        )

    def _check_unsettled(self, plan: WindowPlan, found: WindowResult) -> None:
        """Raise where calls that are not final keep a window from being published."""
        if not found.unsettled:
            return
        if self._asked.on_unsettled == "fail":
            msg = (
                f"{found.unsettled} of {found.count} calls in {plan.window} are not in a final status, and "
                "on_unsettled is 'fail'. Raise settle, or use on_unsettled='wait' or 'include'."
            )
            raise SynthflowIncompleteError(msg, expected=found.count, received=found.count - found.unsettled)
        if self._asked.on_unsettled == "wait":
            deadline = plan.settled_ms + self._asked.max_unsettled_wait
            if not self._is_over(deadline):
                log.info("%d of %d calls in %s are not final.", found.unsettled, found.count, plan.window)
                raise StillOpenError(min(deadline, now_ms() + _UNSETTLED_PAUSE_MS))


def _make_tables(names: tuple[str, ...]) -> TablesSpec:
    load_library("pyarrow.parquet", "parquet", "tables")
    from airflow_provider_synthflow.tables.parquet_tables import ParquetTables  # noqa: PLC0415 - it needs pyarrow

    return TablesSpec(names, ParquetTables)
