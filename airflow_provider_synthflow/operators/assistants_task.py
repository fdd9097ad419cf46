# SPDX-License-Identifier: Apache-2.0
"""The work of a task that lists agents, on its worker."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.extraction.snapshot import take_snapshot
from airflow_provider_synthflow.observability.asset_events import tell_outlets
from airflow_provider_synthflow.operators.origin import read_origin
from airflow_provider_synthflow.output.formats import check_format
from airflow_provider_synthflow.output.snapshot import SnapshotPublication
from airflow_provider_synthflow.storage.open_store import open_store, to_path_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.hooks.synthflow import SynthflowHook

__all__ = ["list_assistants", "read_day"]


def list_assistants(
    hook: SynthflowHook, parameters: Mapping[str, Any], context: Context, outlets: Iterable[Any]
) -> dict[str, Any]:
    """List all agents, and bring them to the day's snapshot or into the result."""
    check_format(parameters["output_format"])
    publication = None
    if parameters["output_path"] is not None:
        store = open_store(to_path_text(parameters["output_path"]), parameters["output_conn_id"])
        publication = SnapshotPublication(
            store, read_day(context), parameters["output_format"], full=parameters["full"]
        )
    with hook:
        result = take_snapshot(
            hook.client,
            publication,
            full=parameters["full"],
            max_bytes=parameters["max_xcom_bytes"],
            origin=read_origin(context),
        )
    tell_outlets(context, outlets, {name: value for name, value in result.items() if name != "assistants"})
    instance: Any = (context or {}).get("ti")
    if hasattr(instance, "xcom_push"):
        instance.xcom_push(key="model_ids", value=result["model_ids"])
    return result


def read_day(context: Mapping[str, Any] | None) -> str:
    """Return the run's day in UTC, as ``20261128``: of its logical date, else of when it was due; else today."""
    context = context or {}
    run = context.get("dag_run")
    moments = (context.get("logical_date"), getattr(run, "logical_date", None), getattr(run, "run_after", None))
    for moment in moments:
        if isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
            return moment.astimezone(dt.timezone.utc).strftime("%Y%m%d")
    return dt.datetime.now(dt.timezone.utc).strftime("%Y%m%d")
