# SPDX-License-Identifier: Apache-2.0
"""The work of a task that audits a lake, on its worker."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.auditing.cure import Cures, airflow_major
from airflow_provider_synthflow.auditing.journal import open_journal
from airflow_provider_synthflow.auditing.lake_audit import AuditPlan, audit_lake
from airflow_provider_synthflow.auditing.progress import LogProgress
from airflow_provider_synthflow.auditing.report.page import check_report, publish_report
from airflow_provider_synthflow.exceptions import SynthflowAuditError
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from airflow_provider_synthflow.operators.context import push_xcom
from airflow_provider_synthflow.storage.open_store import open_store

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.auditing.lake_audit import AuditOutcome
    from airflow_provider_synthflow.operators.base import SynthflowOperator

__all__ = ["AuditTask"]

log = logging.getLogger(__name__)


class AuditTask:
    """One try of a task that audits a lake."""

    def __init__(self, operator: SynthflowOperator, context: Context) -> None:
        self._context = context
        self._asked = asked = SimpleNamespace(**operator.read_parameters())
        asks = asked.against_api or asked.against_analytics
        self._hook = SynthflowHook(asked.synthflow_conn_id) if asks else None

    def run(self) -> dict[str, Any]:
        """Audit the lake, write the report, and fail where something of ``fail_on`` was found."""
        outcome = self._audit()
        result = outcome.result()
        for sentence in (*outcome.checked, *outcome.notes):
            log.info("%s", sentence)
        if outcome.report:
            log.info("Report: %s", outcome.report)
            push_xcom(self._context, "audit_report", outcome.report)  # for the link, also where the task fails
        if outcome.failure is not None:
            raise outcome.failure
        failing = outcome.named(self._asked.fail_on or ())
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

    def close(self) -> None:
        """Close the connections."""
        if self._hook is not None:
            self._hook.close()

    def _audit(self) -> AuditOutcome:
        asked = self._asked
        path, conn_id = asked.output_path, asked.output_conn_id
        store = open_store(path, conn_id)
        options = ("--conn-id", conn_id) if conn_id else ()
        cures = Cures(path, store.location, asked.writer_dag_id, airflow_major(), options)
        plan = self._make_plan()
        if asked.report_path is not None:
            check_report(asked.report_path, conn_id)
        resumes = nullcontext() if asked.resume_path is None else open_journal(asked.resume_path, conn_id, path)
        with self._hook or nullcontext(), resumes as journal:
            client = None if self._hook is None else self._hook.client
            outcome = audit_lake(store, plan, cures, LogProgress(), client=client, journal=journal)
            if asked.report_path is not None:
                outcome.report = publish_report(outcome, asked.report_path, conn_id)
            if journal is not None:
                journal.is_finished = outcome.failure is None
        return outcome

    def _make_plan(self) -> AuditPlan:
        asked = self._asked
        agents = asked.model_id
        return AuditPlan(
            (agents,) if isinstance(agents, str) else tuple(agents or ()),
            asked.from_date,
            asked.to_date,
            read_files=asked.read_files,
            by_day=bool(asked.against_analytics),
            max_requests=asked.max_requests if asked.against_api else 0,
        )
