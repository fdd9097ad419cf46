# SPDX-License-Identifier: Apache-2.0
"""Which task and which run made a window: what the manifest keeps, so that an audit can name the run to clear."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read_origin"]


def read_origin(context: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the ids of the DAG, the task and the run, and the run's logical date, as far as there are any."""
    context = context or {}
    instance = context.get("ti") or context.get("task_instance")
    found = {name: getattr(instance, name, None) for name in ("dag_id", "task_id", "run_id")}
    origin = {name: value for name, value in found.items() if isinstance(value, str)}
    moment = context.get("logical_date")
    if origin and isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
        origin["logical_date"] = format_instant(to_milliseconds(moment))
    return origin
