# SPDX-License-Identifier: Apache-2.0
"""The operator: the calls of a run's window, each exactly once, in XCom or in a file."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowIncompleteError
from airflow_provider_synthflow.hooks.masking import HiddenNumber
from airflow_provider_synthflow.links.synthflow import SynthflowCallsLink, SynthflowOutputLink
from airflow_provider_synthflow.observability.asset_events import tell_outlets
from airflow_provider_synthflow.operators.retries import resuming
from airflow_provider_synthflow.operators.waiting import WaitingOperator, now_ms
from airflow_provider_synthflow.parameters import given, listed, renderable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.extraction.extract import Extraction
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from airflow_provider_synthflow.extraction.privacy import Privacy
    from airflow_provider_synthflow.extraction.window_job import WindowJob
    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
    from airflow_provider_synthflow.observability.metrics import Failures
    from airflow_provider_synthflow.operators.batch import AgentWindow
    from airflow_provider_synthflow.output.publication import Publication
    from airflow_provider_synthflow.resume.checkpoint import Checkpoint
    from airflow_provider_synthflow.timestamps import InstantLike
    from airflow_provider_synthflow.window.window import Window

__all__ = ["SynthflowListCallsOperator"]

_CHOICES = {
    "on_unsettled": ("include", "wait", "fail"),
    "on_unplaced": ("fail", "include"),
    "on_empty": ("write", "skip", "fail"),
}
_UNSETTLED_PAUSE = dt.timedelta(minutes=10)


class SynthflowListCallsOperator(WaitingOperator):
    """
    Extract the calls of an agent that started in the run's window, each exactly once, proven complete.

    The result, an XCom, has the numbers of the extraction, and either the calls or where their file is.

    :param model_id: the agent's id, or a list of ids, which gives a list of results (templated)
    :param from_date: inclusive start of the window: an aware datetime, epoch milliseconds or ISO 8601 with a zone;
        default: the run's own window (templated)
    :param to_date: exclusive end of the window, likewise (templated)
    :param output_path: the directory below which the file is written: a path, ``file://``, or a URL of any store that
        ObjectStoragePath knows, such as ``s3://``, ``gs://`` and ``abfss://``; default: the calls go to XCom
        (templated)
    :param output_conn_id: the Airflow connection of the store; it may also stand in the path, as in
        ``s3://conn_id@bucket/directory``; default: what the store's library finds in the worker's environment; a local
        disk needs none (templated)
    :param output_format: ``jsonl``, ``jsonl.gz`` (default), ``jsonl.zst`` (with the extra ``zstd``) or ``parquet``
        (with the extra ``parquet``) (templated)
    :param resume_path: a directory in any such store, where finished pages are kept until the window is published, so
        that a retry after a killed try takes them up (Airflow 3.3 and later); default: none is kept
    :param call_status: the API's filter: one status (templated)
    :param duration_min: the API's filter: seconds, inclusive (templated)
    :param duration_max: the API's filter: seconds, inclusive (templated)
    :param lead_phone_number: the API's filter: caller or callee, E.164 (templated)
    :param settle: how long after the window's end a call that began in it may still run or get its late fields; the
        task waits until then without a worker; default one hour
    :param on_unsettled: what to do with calls that are not in a final status after ``settle``: ``include`` them
        (default), ``wait`` for up to ``max_unsettled_wait`` and then include them, or ``fail``
    :param max_unsettled_wait: how long after ``settle`` to wait at the most; default six hours
    :param on_unplaced: what to do with a final call without any readable start: ``fail`` (default), or ``include`` it
    :param on_empty: what to do where there are no calls: ``write`` an empty result (default), ``skip`` the task,
        or ``fail``
    :param concurrency: pages in flight; default 4
    :param max_walks: how often the pages are walked before the window is given up; default 5
    :param drop_fields: top-level fields to remove before anything is stored (templated)
    :param hash_fields: top-level fields to replace by a keyed hash before anything is stored; the key is
        ``hash_key`` in the connection's extra (templated)
    :param max_xcom_bytes: the encoded size above which a result for XCom is refused; default 1 MiB
    :param deferrable: reserved for waiting in the triggerer; default: ``[operators] default_deferrable``
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default`` (templated)
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = (
        "model_id",
        "from_date",
        "to_date",
        "output_path",
        "output_conn_id",
        "output_format",
        "call_status",
        "duration_min",
        "duration_max",
        "lead_phone_number",
        "drop_fields",
        "hash_fields",
        "synthflow_conn_id",
    )
    operator_extra_links = (SynthflowCallsLink(), SynthflowOutputLink())
    lead_phone_number = HiddenNumber()
    ui_color = "#e3e8fd"

    def __init__(
        self,
        *,
        model_id: str | Sequence[str],
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        output_path: str | os.PathLike[str] | None = None,
        output_conn_id: str | None = None,
        output_format: str = "jsonl.gz",
        resume_path: str | os.PathLike[str] | None = None,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        settle: dt.timedelta | float = dt.timedelta(hours=1),
        on_unsettled: str = "include",
        max_unsettled_wait: dt.timedelta | float = dt.timedelta(hours=6),
        on_unplaced: str = "fail",
        on_empty: str = "write",
        concurrency: int = 4,
        max_walks: int = 5,
        drop_fields: Sequence[str] | str = (),
        hash_fields: Sequence[str] | str = (),
        max_xcom_bytes: int = 1024 * 1024,
        deferrable: bool | None = None,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        self.model_id = model_id
        self.from_date = from_date
        self.to_date = to_date
        self.output_path = renderable(output_path)
        self.output_conn_id = output_conn_id
        self.output_format = output_format
        self.resume_path = resume_path
        self.call_status = call_status
        self.duration_min = duration_min
        self.duration_max = duration_max
        self.lead_phone_number = lead_phone_number
        self.settle = settle
        self.on_unsettled = on_unsettled
        self.max_unsettled_wait = max_unsettled_wait
        self.on_unplaced = on_unplaced
        self.on_empty = on_empty
        self.concurrency = concurrency
        self.max_walks = max_walks
        self.drop_fields = drop_fields
        self.hash_fields = hash_fields
        self.max_xcom_bytes = max_xcom_bytes
        self.synthflow_conn_id = synthflow_conn_id
        self._hook: SynthflowHook | None = None
        self._xcom_bytes = 0  # of the results so far, which go into one XCom
        self._finished: list[dict[str, Any]] = []  # for the lineage
        self._host = ""

    def work(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """
        Extract the run's window for each agent, once the last of them is settled.

        :param context: the task's context; with explicit bounds nothing of it is needed
        :return: the result; a list of results for a list of agents, and for a run that asset events started
        """
        from airflow.exceptions import AirflowRescheduleException  # noqa: PLC0415 - not in the compat layer
        from airflow.providers.common.compat.sdk import TaskDeferred  # noqa: PLC0415 - only on a worker

        from airflow_provider_synthflow.observability.metrics import Failures  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.operators.batch import StillOpenError  # noqa: PLC0415 - likewise

        passing = (AirflowRescheduleException, AirflowSkipException, TaskDeferred, StillOpenError)
        failures = Failures(_tags(context), passing)
        try:
            with failures.of_task():
                return self._extract(context, failures)
        except StillOpenError as error:
            open_until, reason = error.until_ms, f"the calls of {error.count} window(s) may be final"
        return self.give_back(open_until, reason)

    def _extract(self, context: Context, failures: Failures) -> dict[str, Any] | list[dict[str, Any]]:
        from airflow_provider_synthflow.operators.batch import run_batch  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.operators.origin import read_origin  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.operators.retries import finished_since  # noqa: PLC0415 - only on a worker

        self._check_choices()
        parts, many = self._parts(context)
        since_ms = finished_since(context) if self.waited_since_ms is None else self.waited_since_ms
        self._xcom_bytes = 0
        with self._open_hook() as hook:
            self._host = hook.settings.host
            privacy = self._privacy(hook)
            resume = resuming(context, self.resume_path, given(self.output_conn_id), hook.settings, privacy)
            origin = read_origin(context)
            deliveries = {part: self._delivery(part, privacy, resume, origin) for part in parts}
            self._wait_to_settle(list(deliveries.values()))
            results = run_batch(parts, lambda part: self._deliver(hook, deliveries[part], since_ms, failures))
        self._hook = None
        self._finished = [{name: value for name, value in each.items() if name != "calls"} for each in results]
        if self.on_empty == "skip" and not any(result["count"] for result in results):
            msg = "There are no calls in the window."
            raise AirflowSkipException(msg)
        tell_outlets(context, self.outlets, results if many else results[0])
        return results if many else results[0]

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """
        Return what OpenLineage is told of the task: the calls read, the files written, rows and bytes.

        :param task_instance: the task instance, of which nothing is needed
        """
        from airflow_provider_synthflow.observability.openlineage import lineage_of  # noqa: PLC0415 - only where there is OpenLineage

        return lineage_of(self._finished, self._host)

    def on_kill(self) -> None:
        """Close the connections, so that nothing waits on; a file that is not published vanishes by itself."""
        if self._hook is not None:
            self._hook.close()

    def _open_hook(self) -> SynthflowHook:
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only on a worker

        self._hook = SynthflowHook(self.synthflow_conn_id)
        return self._hook

    def _check_choices(self) -> None:
        from airflow_provider_synthflow.parameters import milliseconds_of  # noqa: PLC0415 - only on a worker

        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                msg = f"{name} '{value}' is unknown. Use one of {', '.join(choices)}."
                raise SynthflowConfigError(msg)
        for name in ("concurrency", "max_walks", "max_xcom_bytes"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                msg = f"{name} must be a whole number from 1."
                raise SynthflowConfigError(msg)
        for name in ("settle", "max_unsettled_wait"):
            milliseconds_of(getattr(self, name), name=name)

    def _agents(self) -> list[str]:
        model_id = listed(given(self.model_id))
        try:
            agents = [model_id] if isinstance(model_id, str) else list(model_id or ())
        except TypeError:  # neither a text nor a list of any kind
            agents = []
        if not agents or not all(isinstance(agent, str) and given(agent) is not None for agent in agents):
            msg = "model_id is missing: give the id of an agent, or a list of ids that is not empty."
            raise SynthflowConfigError(msg)
        return list(dict.fromkeys(agent.strip() for agent in agents))

    def _parts(self, context: Context) -> tuple[list[AgentWindow], bool]:
        """Return the windows of all agents, and whether the result is a list."""
        from airflow_provider_synthflow.operators.batch import AgentWindow  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.window.run import windows_of_run  # noqa: PLC0415 - likewise

        parts: list[AgentWindow] = []
        many = not isinstance(listed(self.model_id), str)
        for agent in (agents := self._agents()):
            run = windows_of_run(context, from_date=self.from_date, to_date=self.to_date, model_id=agent, agents=agents)
            many = many or run.many
            parts += [AgentWindow(agent, window) for window in run.windows]
        if len(parts) > 1:
            self.log.info("%d windows to read, from %s to %s.", len(parts), parts[0], parts[-1])
        return parts, many

    def _delivery(
        self,
        part: AgentWindow,
        privacy: Privacy,
        resume: Callable[[WindowPlan], Checkpoint | None],
        origin: dict[str, str],
    ) -> WindowJob:
        """Return what one window of one agent is to be brought to."""
        from airflow_provider_synthflow.extraction.window_job import WindowJob  # noqa: PLC0415 - only on a worker

        plan = self._plan(part.model_id, part.window)
        return WindowJob(
            plan=plan,
            publication=self._publication(plan),
            privacy=privacy,
            on_empty=self.on_empty,
            keep_unsettled=self.on_unsettled == "include",
            max_bytes=self.max_xcom_bytes,
            resume=resume(plan),
            origin=origin,
        )

    def _wait_to_settle(self, deliveries: list[WindowJob]) -> None:
        """Wait once, for the last window, so that none is extracted twice; what is wrong by then is said before."""
        settled_ms = max(delivery.plan.settled_ms for delivery in deliveries)
        if settled_ms > now_ms():
            for delivery in deliveries:
                if delivery.publication is not None:
                    delivery.publication.check()
        self.wait_until(settled_ms, "the window is settled" if len(deliveries) == 1 else "the last window is settled")

    def _deliver(
        self, hook: SynthflowHook, delivery: WindowJob, since_ms: int | None, failures: Failures
    ) -> dict[str, Any]:
        """Bring one window to where it goes, and count it in the metrics."""
        from airflow_provider_synthflow.extraction.result import size_of  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.observability.metrics import emit  # noqa: PLC0415 - only on a worker

        with failures.of_window(delivery.plan.query.model_id, hook.client) as tags:
            delivered = delivery.finished(since_ms) or delivery.carry_out(
                hook.client, look=partial(self._check_unsettled, delivery.plan), used=self._xcom_bytes
            )
        if delivered.extraction is not None:
            emit(delivered.counts, delivered.seconds, tags)
        if "calls" in delivered.result:
            self._xcom_bytes += size_of(delivered.result)
        return delivered.result

    def _plan(self, agent: str, window: Window) -> WindowPlan:
        from airflow_provider_synthflow.extraction.plan import WindowPlan  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.parameters import milliseconds_of, read_query  # noqa: PLC0415 - likewise

        try:
            query = read_query(
                agent,
                call_status=given(self.call_status),
                duration_min=given(self.duration_min),
                duration_max=given(self.duration_max),
                lead_phone_number=given(self.lead_phone_number),
            )
        except ValueError as error:
            raise SynthflowConfigError(str(error)) from None
        return WindowPlan(
            window=window,
            query=query,
            settle_ms=milliseconds_of(self.settle),
            include_unplaced=self.on_unplaced == "include",
            concurrency=self.concurrency,
            max_walks=self.max_walks,
        )

    def _privacy(self, hook: SynthflowHook) -> Privacy:
        from airflow_provider_synthflow.extraction.privacy import Privacy  # noqa: PLC0415 - only on a worker

        return Privacy(given(self.drop_fields) or (), given(self.hash_fields) or (), key=hook.settings.hash_key)

    def _publication(self, plan: WindowPlan) -> Publication | None:
        from airflow_provider_synthflow.output.formats import check_format  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.output.publication import Publication  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.storage.open_store import open_store, text_of_path  # noqa: PLC0415 - likewise

        check_format(self.output_format)
        output_path = given(self.output_path)
        if output_path is None:
            return None
        store = open_store(text_of_path(output_path), given(self.output_conn_id))
        return Publication(store, plan.query.model_id, plan.window, self.output_format, plan.query.filters())

    def _check_unsettled(self, plan: WindowPlan, found: Extraction) -> None:
        """Raise where calls that are not final keep a window from being published."""
        if not found.unsettled:
            return
        if self.on_unsettled == "fail":
            msg = (
                f"{found.unsettled} of {found.count} calls in {plan.window} are not in a final status, and "
                "on_unsettled is 'fail'. Raise settle, or use on_unsettled='wait' or 'include'."
            )
            raise SynthflowIncompleteError(msg, expected=found.count, received=found.count - found.unsettled)
        if self.on_unsettled == "wait":
            from airflow_provider_synthflow.operators.batch import StillOpenError  # noqa: PLC0415 - only on a worker
            from airflow_provider_synthflow.parameters import milliseconds_of  # noqa: PLC0415 - likewise

            deadline = plan.settled_ms + milliseconds_of(self.max_unsettled_wait, name="max_unsettled_wait")
            if not self.is_over(deadline):
                self.log.info("%d of %d calls in %s are not final.", found.unsettled, found.count, plan.window)
                raise StillOpenError(min(deadline, now_ms() + _UNSETTLED_PAUSE // dt.timedelta(milliseconds=1)))


def _tags(context: Context) -> dict[str, str]:
    """Return what tells the task apart in metrics."""
    instance: Any = (context or {}).get("ti")
    names = {name: getattr(instance, name, None) for name in ("dag_id", "task_id")}
    return {name: value for name, value in names.items() if isinstance(value, str)}
