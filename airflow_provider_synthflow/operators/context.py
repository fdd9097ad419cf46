# SPDX-License-Identifier: Apache-2.0
"""Airflow's context of a task: which run it is of, and the assets that are told what was written."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["make_extra", "read_origin", "tell_outlets"]


def read_origin(context: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the ids of the DAG, the task and the run, and its logical date, so far as known: an audit names them."""
    context = context or {}
    instance = context.get("ti") or context.get("task_instance")
    found = {name: getattr(instance, name, None) for name in ("dag_id", "task_id", "run_id")}
    origin = {name: value for name, value in found.items() if isinstance(value, str)}
    moment = context.get("logical_date")
    if origin and isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
        origin["logical_date"] = format_instant(to_milliseconds(moment))
    return origin


def tell_outlets(
    context: Mapping[str, Any], outlets: Iterable[Any], result: dict[str, Any] | list[dict[str, Any]]
) -> None:
    """Put the result, without the calls, into the event of each asset among the outlets."""
    assets = [outlet for outlet in outlets if hasattr(outlet, "uri") or type(outlet).__name__ == "AssetNameRef"]
    events = context.get("outlet_events") if assets else None
    if events is None:
        return
    for asset in assets:
        events[asset].extra.update(make_extra(result))


def make_extra(result: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    """Return the ``extra`` of an asset's event: the result without its calls, or ``results`` with a list of these."""
    if isinstance(result, list):
        return {"results": [make_extra(each) for each in result]}
    return {name: value for name, value in result.items() if name != "calls" or isinstance(value, int)}
