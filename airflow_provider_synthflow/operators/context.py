# SPDX-License-Identifier: Apache-2.0
"""Airflow's context of a task: its run, its try, and the assets that are told what was written."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "is_last",
    "is_retry",
    "make_extra",
    "published_since",
    "push_xcom",
    "read_origin",
    "read_tags",
    "tell_outlets",
]

_SECOND = 2


def read_origin(context: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the ids of the DAG, the task and the run, and its logical date, so far as known: an audit names them."""
    origin = _read_names(context, "dag_id", "task_id", "run_id")
    moment = (context or {}).get("logical_date")
    if origin and isinstance(moment, dt.datetime) and moment.utcoffset() is not None:
        origin["logical_date"] = format_instant(to_milliseconds(moment))
    return origin


def read_tags(context: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the tags of a task in metrics."""
    return _read_names(context, "dag_id", "task_id")


def _read_names(context: Mapping[str, Any] | None, *names: str) -> dict[str, str]:
    found = {name: getattr(_read_instance(context), name, None) for name in names}
    return {name: value for name, value in found.items() if isinstance(value, str)}


def _read_instance(context: Mapping[str, Any] | None) -> Any:
    """Return the task instance, None outside of Airflow."""
    context = context or {}
    return context.get("ti") or context.get("task_instance")


def push_xcom(context: Mapping[str, Any] | None, key: str, value: Any) -> None:
    """Push an XCom, unless the task runs outside of Airflow."""
    instance = _read_instance(context)
    if hasattr(instance, "xcom_push"):
        instance.xcom_push(key=key, value=value)


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


def published_since(context: Mapping[str, Any] | None) -> int | None:
    """Return the start of the run, since which a file may be an earlier try's; None unless this is a retry."""
    # Whoever clears a task wants its windows read anew; the run's start is not the start of its tries any more.
    begun = getattr((context or {}).get("dag_run"), "start_date", None)
    if not is_retry(context):
        return None
    if not isinstance(begun, dt.datetime) or begun.utcoffset() is None:
        return None
    return to_milliseconds(begun)


def is_retry(context: Mapping[str, Any] | None) -> bool:
    """Tell whether this is a further try of a task that nobody cleared."""
    # Airflow raises `max_tries` when a task is cleared, but not for one that is cleared while it runs.
    number, limit, retries = _numbers(context)
    return number is not None and limit is not None and limit == retries and _SECOND <= number <= limit + 1


def is_last(context: Mapping[str, Any] | None) -> bool:
    """Tell whether Airflow tries no more after this try."""
    number, limit, _ = _numbers(context)
    return number is not None and limit is not None and number > limit


def _numbers(context: Mapping[str, Any] | None) -> tuple[int | None, int | None, int | None]:
    """Return the number of the try, how many may follow the first, and how many the DAG's author wants to follow."""
    instance = _read_instance(context)
    task = (context or {}).get("task") or getattr(instance, "task", None)
    found = (
        getattr(instance, "try_number", None),
        getattr(instance, "max_tries", None),
        getattr(task, "retries", None),
    )
    number, limit, retries = (value if isinstance(value, int) else None for value in found)
    return number, limit, retries
