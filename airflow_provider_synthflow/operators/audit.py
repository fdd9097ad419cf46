# SPDX-License-Identifier: Apache-2.0
"""The operator that audits a lake: is all there today that was published, and is it still what the API has."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_synthflow import parameters as read
from airflow_provider_synthflow.auditing.kinds import FAILING, FINDINGS
from airflow_provider_synthflow.exceptions import SynthflowAuditError, SynthflowConfigError
from airflow_provider_synthflow.links.synthflow import SynthflowAuditLink

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.auditing.lake_audit import AuditOutcome, AuditPlan
    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = ["SynthflowAuditOperator"]


class SynthflowAuditOperator(read.CheckedParameters, BaseOperator):
    """
    An audit of what the other operators wrote: is it all there, whole, once, and still what the API has.

    It reads the lake and asks the API; it writes nothing but its report. Its result, an XCom, has the counts by
    finding, what was looked at, where the report is, and the first hundred findings, each with the command that cures
    it.

    :param output_path: the lake: the ``output_path`` that the calls were written to (templated)
    :param output_conn_id: the Airflow connection of the store; default: what the store's library finds in the worker's
        environment (templated)
    :param model_id: the agent to look at, or a list of them; default: all that the lake has (templated)
    :param from_date: from when on, inclusive: an aware datetime, epoch milliseconds or ISO 8601 with a zone; default:
        each agent's first window (templated)
    :param to_date: until when, exclusive, likewise; default: the end of each agent's last window (templated)
    :param against_api: whether the API is asked for each window again, one small request each; default true
    :param against_analytics: whether the days are compared with the API's analytics, too; default false
    :param read_files: whether each file is read, hashed and its calls compared, and not only its size; default true
    :param report_path: where to write the report, one HTML file in any store; a name that ends in a slash is a
        directory; default: none is written (templated)
    :param fail_on: the findings that fail the task; default ``("gap", "overlap", "damaged", "duplicate")``
    :param max_requests: for how many windows the API is asked at the most, the newest first; default 10,000
    :param writer_dag_id: the DAG that wrote the lake, for the cures of windows whose manifests name none (templated)
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default`` (templated)
    :raises SynthflowAuditError: where there are findings of ``fail_on``; all are in its ``findings``
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = (
        "output_path",
        "output_conn_id",
        "model_id",
        "from_date",
        "to_date",
        "report_path",
        "writer_dag_id",
        "synthflow_conn_id",
    )
    required: ClassVar[tuple[str, ...]] = ("output_path",)
    readers: ClassVar[Mapping[str, read.Reader]] = {
        "output_path": read.read_path,
        "output_conn_id": read.read_text,
        "model_id": read.read_agents,
        "from_date": read.read_time,
        "to_date": read.read_time,
        "against_api": read.read_flag,
        "against_analytics": read.read_flag,
        "read_files": read.read_flag,
        "report_path": read.read_path,
        "fail_on": partial(read.read_names, choices=tuple(FINDINGS)),
        "max_requests": partial(read.read_whole, least=0),
        "writer_dag_id": read.read_text,
        "synthflow_conn_id": read.read_text,
    }
    operator_extra_links = (SynthflowAuditLink(),)
    ui_color = "#e3e8fd"

    def __init__(
        self,
        *,
        output_path: str | os.PathLike[str],
        output_conn_id: str | None = None,
        model_id: str | Sequence[str] | None = None,
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        against_api: bool = True,
        against_analytics: bool = False,
        read_files: bool = True,
        report_path: str | os.PathLike[str] | None = None,
        fail_on: Sequence[str] = FAILING,
        max_requests: int = 10_000,
        writer_dag_id: str | None = None,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = read.to_renderable(output_path)
        self.output_conn_id = output_conn_id
        self.model_id = model_id
        self.from_date = from_date
        self.to_date = to_date
        self.against_api = against_api
        self.against_analytics = against_analytics
        self.read_files = read_files
        self.report_path = read.to_renderable(report_path)
        self.fail_on = fail_on
        self.max_requests = max_requests
        self.writer_dag_id = writer_dag_id
        self.synthflow_conn_id = synthflow_conn_id
        self._hook: SynthflowHook | None = None
        self.check_fixed()

    def execute(self, context: Context) -> dict[str, Any]:
        """
        Audit the lake, write the report, and fail where something of ``fail_on`` was found.

        :param context: the task's context
        :return: the result
        """
        values = self.read_parameters()
        outcome = self._audit(values)
        result = outcome.result()
        for sentence in (*outcome.looked_at, *outcome.notes):
            self.log.info("%s", sentence)
        if outcome.report:
            self.log.info("Report: %s", outcome.report)
            instance: Any = (context or {}).get("ti")
            if instance is not None and hasattr(instance, "xcom_push"):
                instance.xcom_push(key="audit_report", value=outcome.report)  # for the link, also where the task fails
        if outcome.failure is not None:
            raise outcome.failure
        failing = outcome.named(values["fail_on"] or ())
        if failing:
            found = ", ".join(f"{count:,} {kind}" for kind, count in result["counts"].items() if count)
            first = failing[0].as_dict()
            where = f" All are in {outcome.report}." if outcome.report else " Set report_path to have all in a report."
            msg = (
                f"The audit of {outcome.lake} found {found}.{where} The first: {first['finding']} of agent "
                f"{first['model_id']}, {first['from_date']} to {first['to_date']}: {first['detail']} "
                f"Cure: {first['cure']}"
            )
            raise SynthflowAuditError(msg, findings=[finding.as_dict() for finding in outcome.findings])
        return result

    def on_kill(self) -> None:
        """Close the connections, so that nothing waits on."""
        if self._hook is not None:
            self._hook.close()

    def _audit(self, values: Mapping[str, Any]) -> AuditOutcome:
        from airflow_provider_synthflow.auditing.cure import Cures, airflow_major  # noqa: PLC0415 - only on a worker
        from airflow_provider_synthflow.auditing.lake_audit import audit_lake  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.auditing.progress import LogProgress  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.auditing.publish import publish_report  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.hooks.synthflow import SynthflowHook  # noqa: PLC0415 - likewise
        from airflow_provider_synthflow.storage.open_store import open_store, to_path_text  # noqa: PLC0415 - likewise

        path, conn_id = to_path_text(values["output_path"]), values["output_conn_id"]
        store = open_store(path, conn_id)
        options = ("--conn-id", conn_id) if conn_id else ()
        cures = Cures(path, store.location, values["writer_dag_id"], airflow_major(), options)
        plan = _make_plan(values)
        if values["against_api"] or values["against_analytics"]:
            self._hook = SynthflowHook(values["synthflow_conn_id"])
        with self._hook or nullcontext():
            client = None if self._hook is None else self._hook.client
            with LogProgress() as progress:
                outcome = audit_lake(store, plan, cures, progress, client=client)
        self._hook = None
        if values["report_path"] is not None:
            outcome.report = publish_report(outcome, to_path_text(values["report_path"], "report_path"), conn_id)
        return outcome


def _make_plan(values: Mapping[str, Any]) -> AuditPlan:
    """Make the plan of an audit of parameters that are read."""
    from airflow_provider_synthflow.auditing.lake_audit import AuditPlan  # noqa: PLC0415 - only on a worker

    from_ms, to_ms = values["from_date"], values["to_date"]
    if from_ms is not None and to_ms is not None and from_ms >= to_ms:
        msg = "from_date is not before to_date."
        raise SynthflowConfigError(msg)
    agents = values["model_id"]
    return AuditPlan(
        (agents,) if isinstance(agents, str) else tuple(agents or ()),
        from_ms,
        to_ms,
        read_files=values["read_files"],
        by_day=bool(values["against_analytics"]),
        max_requests=values["max_requests"] if values["against_api"] else 0,
    )
