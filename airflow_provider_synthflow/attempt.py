# SPDX-License-Identifier: Apache-2.0
"""Which try of its task this is: a retry finds what an earlier try of the same run has finished already."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.instants import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["finished_since", "is_last", "is_retry"]

_SECOND = 2


def finished_since(context: Mapping[str, Any] | None) -> int | None:
    """
    Return from when on a file that is there may be an earlier try's of this very task, or None.

    None unless this is a retry: whoever clears a task, or runs it again, wants its windows read anew. Airflow raises
    ``max_tries`` when a task is cleared, by which the two are told apart; after a clearing nothing is kept, since the
    run's start is not the start of its tries any more.

    :param context: the task's context; any key may be missing
    :return: UTC milliseconds since 1970, the start of the run
    """
    context = context or {}
    begun = getattr(context.get("dag_run"), "start_date", None)
    if not is_retry(context):
        return None
    if not isinstance(begun, dt.datetime) or begun.utcoffset() is None:
        return None
    return to_milliseconds(begun)


def is_retry(context: Mapping[str, Any] | None) -> bool:
    """
    Tell whether this is a further try of a task that nobody cleared.

    One that was cleared while it ran counts as one, too: Airflow leaves its numbers as they were.

    :param context: the task's context; any key may be missing
    """
    number, limit, retries = _numbers(context)
    return number is not None and limit is not None and limit == retries and _SECOND <= number <= limit + 1


def is_last(context: Mapping[str, Any] | None) -> bool:
    """
    Tell whether Airflow tries no more after this try.

    :param context: the task's context; any key may be missing
    """
    number, limit, _ = _numbers(context)
    return number is not None and limit is not None and number > limit


def _numbers(context: Mapping[str, Any] | None) -> tuple[int | None, int | None, int | None]:
    """Return the number of the try, how many may follow the first, and how many the DAG's author wants to follow."""
    context = context or {}
    instance = context.get("ti") or context.get("task_instance")
    task = context.get("task") or getattr(instance, "task", None)
    found = (
        getattr(instance, "try_number", None),
        getattr(instance, "max_tries", None),
        getattr(task, "retries", None),
    )
    number, limit, retries = (value if isinstance(value, int) else None for value in found)
    return number, limit, retries
