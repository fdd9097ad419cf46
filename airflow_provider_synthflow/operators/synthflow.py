# SPDX-License-Identifier: Apache-2.0
"""The operator: the calls of a run's window, each exactly once, in XCom or in a file."""

from __future__ import annotations

import datetime as dt
import os
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowSkipException,
    BaseOperator,
    conf,
)

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowIncompleteError
from airflow_provider_synthflow.templates import given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.extraction import WindowPlan
    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
    from airflow_provider_synthflow.instants import InstantLike
    from airflow_provider_synthflow.output.publication import Publication
    from airflow_provider_synthflow.privacy import Privacy
    from airflow_provider_synthflow.window import Window

__all__ = ["SynthflowListCallsOperator"]

_CHOICES = {
    "on_unsettled": ("include", "wait", "fail"),
    "on_unplaced": ("fail", "include"),
    "on_empty": ("write", "skip", "fail"),
}
_UNSETTLED_PAUSE = dt.timedelta(minutes=10)


class SynthflowListCallsOperator(BaseOperator):
    """
    Extract the calls of an agent that started in the run's window, each exactly once, proven complete.

    The result, an XCom, has the numbers of the extraction, and either the calls or where their file is.

    :param model_id: the agent's id, or a list of ids, which gives a list of results (templated)
    :param from_date: inclusive start of the window: an aware datetime, epoch milliseconds or ISO 8601 with a zone;
        default: the run's own window (templated)
    :param to_date: exclusive end of the window, likewise (templated)
    :param output_path: the directory below which the file is written: a path or ``file://``; default: the calls
        go to XCom (templated)
    :param output_conn_id: the Airflow connection of the store; a local disk needs none (templated)
    :param output_format: ``jsonl``, ``jsonl.gz`` (default), ``jsonl.zst`` (with the extra ``zstd``) or ``parquet``
        (with the extra ``parquet``) (templated)
    :param call_status: the API's filter: one status (templated)
    :param duration_min: the API's filter: seconds, inclusive (templated)
    :param duration_max: the API's filter: seconds, inclusive (templated)
    :param lead_phone_number: the API's filter: caller or callee, E.164 (templated)
    :param settle: how long after the window's end a call that began in it may still run or get its late fields; the
        task is rescheduled until then; default one hour
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
        super().__init__(**kwargs)
        self.model_id = model_id
        self.from_date = from_date
        self.to_date = to_date
        self.output_path = output_path
        self.output_conn_id = output_conn_id
        self.output_format = output_format
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
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )
        self.synthflow_conn_id = synthflow_conn_id
        self._hook: SynthflowHook | None = None
        self._xcom_bytes = 0  # of the results so far, which go into one XCom

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, Any]]:
        """
        Extract the run's window for each agent.

        :param context: the task's context; with explicit bounds nothing of it is needed
        :return: the result; a list of results for a list of agents, and for a run that asset events started
        """
        from airflow_provider_synthflow.run_window import windows_of_run  # noqa: PLC0415 - only on a worker

        self._check_choices()
        self._xcom_bytes = 0
        agents = self._agents()
        many = not isinstance(self.model_id, str)
        results: list[dict[str, Any]] = []
        with self._open_hook() as hook:
            for agent in agents:
                run = windows_of_run(context, from_date=self.from_date, to_date=self.to_date, model_id=agent)
                many = many or run.many
                for window in run.windows:
                    self.log.info("Window %s of agent %s (%s).", window, agent, run.rule)
                    results.append(self._extract(hook, agent, window))
        self._hook = None
        if self.on_empty == "skip" and not any(result["count"] for result in results):
            msg = "There are no calls in the window."
            raise AirflowSkipException(msg)
        return results if many else results[0]

    def on_kill(self) -> None:
        """Close the connections, so that nothing waits on; a file that is not published vanishes by itself."""
        if self._hook is not None:
            self._hook.close()

    def _open_hook(self) -> SynthflowHook:
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - only on a worker

        self._hook = SynthflowHook(self.synthflow_conn_id)
        return self._hook

    def _check_choices(self) -> None:
        from airflow_provider_synthflow.durations import milliseconds_of  # noqa: PLC0415 - only on a worker

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
        try:
            agents = [self.model_id] if isinstance(self.model_id, str) else list(self.model_id or ())
        except TypeError:  # neither a text nor a list of any kind
            agents = []
        if not agents or not all(isinstance(agent, str) and agent.strip() for agent in agents):
            msg = "model_id is missing: give the id of an agent, or a list of ids that is not empty."
            raise SynthflowConfigError(msg)
        return list(dict.fromkeys(agent.strip() for agent in agents))

    def _extract(self, hook: SynthflowHook, agent: str, window: Window) -> dict[str, Any]:
        """Extract one window of one agent, and publish it."""
        from airflow_provider_synthflow.extraction import extract_window  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.result import result_of, size_of, with_calls  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.spill import Spill  # noqa: PLC0415 - likewise

        plan = self._plan(agent, window)
        privacy = self._privacy(hook)
        publication = self._publication(plan)
        if publication is not None:
            publication.check()
        self._wait_until(window.to_ms + plan.settle_ms, "the window is settled")
        with Spill() as spill:
            extraction = extract_window(hook.sender, plan, spill, privacy=privacy)
            if extraction.unsettled:
                self._handle_unsettled(plan, extraction.unsettled, extraction.count)
            result = result_of(plan, extraction)
            if not extraction.count:
                if self.on_empty == "fail":
                    msg = f"There are no calls in {window}, and on_empty is 'fail'."
                    raise SynthflowIncompleteError(msg, expected=1, received=0, walks=extraction.walks)
                if self.on_empty == "skip":
                    return result
            if publication is None:
                result = with_calls(result, spill.records(), spill.size(), self.max_xcom_bytes, used=self._xcom_bytes)
                self._xcom_bytes += size_of(result)
            else:
                result = publication.publish(spill.records(), result)
        self.log.info(
            "%d calls in %s, %d of them not final, %d not started; %s declared; %d pages, %d requests, %d walks. %s",
            extraction.count,
            window,
            extraction.unsettled,
            extraction.not_started,
            extraction.total_records,
            extraction.pages,
            extraction.requests,
            extraction.walks,
            result.get("path", "In XCom."),
        )
        return result

    def _plan(self, agent: str, window: Window) -> WindowPlan:
        from airflow_provider_synthflow.client.query import CallsQuery  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.durations import milliseconds_of  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.extraction import WindowPlan  # noqa: PLC0415 - likewise

        try:
            query = CallsQuery.of(
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
        from airflow_provider_synthflow.privacy import Privacy  # noqa: PLC0415 - only on a worker

        return Privacy(given(self.drop_fields) or (), given(self.hash_fields) or (), key=hook.settings.hash_key)

    def _publication(self, plan: WindowPlan) -> Publication | None:
        from airflow_provider_synthflow.output.formats import check_format  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.output.publication import Publication  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.output.store import open_store  # noqa: PLC0415 - likewise

        check_format(self.output_format)
        output_path = given(self.output_path)
        if output_path is None:
            return None
        store = open_store(os.fspath(output_path), given(self.output_conn_id))
        return Publication(store, plan.query.model_id, plan.window, self.output_format, plan.query.filters())

    def _handle_unsettled(self, plan: WindowPlan, unsettled: int, count: int) -> None:
        if self.on_unsettled == "fail":
            msg = (
                f"{unsettled} of {count} calls in {plan.window} are not in a final status, and on_unsettled is 'fail'. "
                "Raise settle, or use on_unsettled='wait' or 'include'."
            )
            raise SynthflowIncompleteError(msg, expected=count, received=count - unsettled)
        if self.on_unsettled == "wait":
            from airflow_provider_synthflow.durations import milliseconds_of  # noqa: PLC0415 - only on a worker

            patience = milliseconds_of(self.max_unsettled_wait, name="max_unsettled_wait")
            deadline = plan.window.to_ms + plan.settle_ms + patience
            pause = _UNSETTLED_PAUSE // dt.timedelta(milliseconds=1)
            self._wait_until(min(deadline, _now_ms() + pause), f"{unsettled} calls are final")

    def _wait_until(self, moment_ms: int, reason: str) -> None:
        """Give the worker back until a moment, unless it is past."""
        if _now_ms() < moment_ms:
            from airflow.exceptions import AirflowRescheduleException  # noqa: PLC0415 - not in the compat layer

            moment = dt.datetime.fromtimestamp(moment_ms / 1000, dt.timezone.utc)
            self.log.info("Waiting until %s, when %s.", moment.isoformat(timespec="seconds"), reason)
            raise AirflowRescheduleException(moment)  # type: ignore[no-untyped-call]  # Airflow's own


def _now_ms() -> int:
    return int(dt.datetime.now(dt.timezone.utc).timestamp() * 1000)
