# SPDX-License-Identifier: Apache-2.0
"""Which try of its task this is: a retry finds what an earlier try of the same run has finished already."""

from __future__ import annotations

import datetime as dt
import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.resume.checkpoint import JUDGED_FIELDS, Checkpoint
from airflow_provider_synthflow.resume.state import make_digest, make_key
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from airflow_provider_synthflow.extraction.privacy import Privacy
    from airflow_provider_synthflow.resume.checkpoint import TaskState

__all__ = ["is_last", "is_retry", "make_checkpoints", "published_since"]

_SECOND = 2


def published_since(context: Mapping[str, Any] | None) -> int | None:
    """Return the start of the run, since which a file may be an earlier try's; None unless this is a retry."""
    # Whoever clears a task wants its windows read anew; the run's start is not the start of its tries any more.
    context = context or {}
    begun = getattr(context.get("dag_run"), "start_date", None)
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


log = logging.getLogger(__name__)


def make_checkpoints(
    context: Mapping[str, Any] | None,
    resume_path: Any,
    conn_id: str | None,
    settings: Settings,
    privacy: Privacy,
) -> Callable[[WindowPlan], Checkpoint | None]:
    """Return what gives for a window what keeps its finished pages, or None where none are to be kept, or cannot be."""
    if resume_path is None:
        return lambda _: None
    store = open_store(resume_path, None if FileAddress.parse(resume_path).is_local else conn_id, name="resume_path")
    state: TaskState | None = (context or {}).get("task_state_store")
    hidden = privacy.hides(JUDGED_FIELDS)
    if state is None:
        log.info("resume_path is ignored: it needs Airflow 3.3 or later, which keeps a state for each task.")
    elif hidden:
        log.info("resume_path is ignored: it needs %s, which drop_fields or hash_fields takes out.", ", ".join(hidden))
    else:
        retry, last = is_retry(context), is_last(context)
        return lambda plan: Checkpoint(
            store,
            state,
            make_key(plan),
            make_digest(plan, settings, privacy),
            privacy=privacy,
            retry=retry,
            last=last,
        )
    return lambda _: None
