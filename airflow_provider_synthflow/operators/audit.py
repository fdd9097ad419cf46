# SPDX-License-Identifier: Apache-2.0
"""The operator that audits a lake: is all there today that was published, and is it still what the API has."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_synthflow import parameters as read
from airflow_provider_synthflow.auditing import FAILING, FINDINGS
from airflow_provider_synthflow.links.synthflow import SynthflowAuditLink
from airflow_provider_synthflow.operators.base import SynthflowOperator

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = ["SynthflowAuditOperator"]


class SynthflowAuditOperator(SynthflowOperator):
    """
    An audit of what the other operators wrote: complete, undamaged, without duplicates, and still what the API has.

    It reads the lake and asks the API; it writes only its report. Its result, an XCom, has the counts by finding, the
    numbers of what was checked, the path of the report, and the first hundred findings, each with the command that
    repairs it.

    :param output_path: the lake: the ``output_path`` that the calls were written to (templated)
    :param output_conn_id: the Airflow connection of the store; default: the credentials in the worker's environment
        (templated)
    :param model_id: the agent to audit, or a list of agents; default: all agents of the lake (templated)
    :param from_date: inclusive start: an aware datetime, epoch milliseconds or ISO 8601 with a zone; default:
        each agent's first window (templated)
    :param to_date: exclusive end, likewise; default: the end of each agent's last window (templated)
    :param against_api: ask the API for each window again, with one small request each; default true
    :param against_analytics: compare the days with the API's analytics, too; default false
    :param read_files: read and hash each file and compare its calls, instead of its size alone; default true
    :param report_path: where to write the report, one HTML file in any store; a name that ends in a slash is a
        directory; default: no report (templated)
    :param resume_path: a directory in any store, outside the lake, that keeps what was found whole until the audit is
        done, so that a retry after a killed try does not read it again; default: nothing is kept (templated)
    :param fail_on: the findings that fail the task; default ``("gap", "overlap", "damaged", "duplicate")``
    :param max_requests: for how many windows to ask the API at most, the newest first; default 10,000
    :param writer_dag_id: the DAG that wrote the lake, for the cures of windows whose manifests name no DAG (templated)
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
        "resume_path",
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
        "resume_path": read.read_path,
        "fail_on": partial(read.read_names, choices=tuple(FINDINGS)),
        "max_requests": partial(read.read_whole, least=0),
        "writer_dag_id": read.read_text,
        "synthflow_conn_id": read.read_text,
    }
    worker_task = "airflow_provider_synthflow.operators.audit_task:AuditTask"
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
        resume_path: str | os.PathLike[str] | None = None,
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
        self.resume_path = read.to_renderable(resume_path)
        self.fail_on = fail_on
        self.max_requests = max_requests
        self.writer_dag_id = writer_dag_id
        self.synthflow_conn_id = synthflow_conn_id
        self.check_fixed()
