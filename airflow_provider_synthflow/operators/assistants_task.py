# SPDX-License-Identifier: Apache-2.0
"""The work of a task that lists agents, on its worker."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.extraction.snapshot import make_snapshot
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from airflow_provider_synthflow.operators.context import push_xcom, read_origin, tell_outlets
from airflow_provider_synthflow.output.formats import check_format
from airflow_provider_synthflow.output.publication import SnapshotPublication
from airflow_provider_synthflow.storage.open_store import open_store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.operators.base import SynthflowOperator

__all__ = ["AssistantsTask"]


class AssistantsTask:
    """One try of a task that lists agents."""

    def __init__(self, operator: SynthflowOperator, context: Context) -> None:
        self._outlets = operator.outlets
        self._context = context
        self._asked = operator.read_parameters()
        self._hook = SynthflowHook(self._asked["synthflow_conn_id"])

    def run(self) -> dict[str, Any]:
        """List all agents, and bring them to the day's snapshot or into the result."""
        asked, context = self._asked, self._context
        check_format(asked["output_format"])
        publication = None
        if asked["output_path"] is not None:
            store = open_store(asked["output_path"], asked["output_conn_id"])
            publication = SnapshotPublication(store, _read_day(context), asked["output_format"], full=asked["full"])
        with self._hook as hook:
            result = make_snapshot(
                hook.client,
                publication,
                full=asked["full"],
                max_bytes=asked["max_xcom_bytes"],
                origin=read_origin(context),
            )
        tell_outlets(context, self._outlets, {name: value for name, value in result.items() if name != "assistants"})
        push_xcom(context, "model_ids", result["model_ids"])
        return result

    def close(self) -> None:
        """Close the connections."""
        self._hook.close()


def _read_day(context: Mapping[str, Any] | None) -> str:
    """Return the run's day in UTC, as ``20261128``: of its logical date, else of when it was due; else today."""
    context = context or {}
    run = context.get("dag_run")
    moments = (context.get("logical_date"), getattr(run, "logical_date", None), getattr(run, "run_after", None))
    for moment in moments:
        if isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
            return moment.astimezone(dt.timezone.utc).strftime("%Y%m%d")
    return dt.datetime.now(dt.timezone.utc).strftime("%Y%m%d")
