# SPDX-License-Identifier: Apache-2.0
"""Which try of its task this is: a retry finds what an earlier try of the same run has finished already."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.instants import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["finished_since"]


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
    instance = context.get("ti") or context.get("task_instance")
    task = context.get("task") or getattr(instance, "task", None)
    number, limit, retries = (
        value if isinstance(value, int) else None
        for value in (
            getattr(instance, "try_number", None),
            getattr(instance, "max_tries", None),
            getattr(task, "retries", None),
        )
    )
    begun = getattr(context.get("dag_run"), "start_date", None)
    if number is None or number < 2 or limit is None or limit != retries:
        return None
    if not isinstance(begun, dt.datetime) or begun.utcoffset() is None:
        return None
    return to_milliseconds(begun)
