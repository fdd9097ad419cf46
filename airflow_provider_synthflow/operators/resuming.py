# SPDX-License-Identifier: Apache-2.0
"""What lets a retry take up finished pages: Airflow's task state, and a directory that the DAG's author names."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.templates import given

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.extraction import WindowPlan
    from airflow_provider_synthflow.privacy import Privacy
    from airflow_provider_synthflow.resume.resume import Resume, TaskState

__all__ = ["resuming"]

log = logging.getLogger(__name__)


def resuming(
    context: Mapping[str, Any] | None,
    resume_path: str | os.PathLike[str] | None,
    conn_id: str | None,
    settings: Settings,
    privacy: Privacy,
) -> Callable[[WindowPlan], Resume | None]:
    """
    Return what gives for a window what keeps its finished pages, or None where none are to be kept, or cannot be.

    :param context: the task's context
    :param resume_path: the directory for the pages, None for none
    :param conn_id: the Airflow connection of its store; a local disk needs none
    :param settings: where the API is, and with which key
    :param privacy: what is taken out of the records
    :raises SynthflowConfigError: for a store or a connection that is not known
    """
    path = given(resume_path)
    if path is None:
        return lambda _: None
    from airflow_provider_synthflow.attempt import is_last, is_retry  # noqa: PLC0415 - only on a worker
    from airflow_provider_synthflow.resume.record import digest_of, key_of  # noqa: PLC0415 - likewise
    from airflow_provider_synthflow.resume.resume import LOOKED_AT, Resume  # noqa: PLC0415 - likewise
    from airflow_provider_synthflow.stores import is_local, open_store, text_of_path  # noqa: PLC0415 - likewise

    path = text_of_path(path, "resume_path")
    store = open_store(path, None if is_local(path) else conn_id, name="resume_path")
    state: TaskState | None = (context or {}).get("task_state_store")
    hidden = privacy.hides(LOOKED_AT)
    if state is None:
        log.info("resume_path is of no use here: this Airflow keeps no state for a task. Airflow 3.3 does.")
    elif hidden:
        log.info("resume_path is of no use here: pages are told apart by %s, which may not be kept.", ", ".join(hidden))
    else:
        retry, last = is_retry(context), is_last(context)
        return lambda plan: Resume(
            store,
            state,
            key_of(plan),
            digest_of(plan, settings, privacy),
            privacy=privacy,
            retry=retry,
            last=last,
        )
    return lambda _: None
