# SPDX-License-Identifier: Apache-2.0
"""The work of a task that downloads recordings, on its worker: the windows it brings to a store, and waits for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.observability.metrics import RECORDINGS_DURATION, emit
from airflow_provider_synthflow.operators.batch import AgentWindow, Batch, StillOpenError
from airflow_provider_synthflow.operators.context import read_origin, tell_outlets
from airflow_provider_synthflow.operators.windows_task import WindowsTask
from airflow_provider_synthflow.parameters import is_nothing
from airflow_provider_synthflow.recordings.calls import parse_results
from airflow_provider_synthflow.recordings.job import RecordingsJob
from airflow_provider_synthflow.recordings.shelf import RecordingShelf
from airflow_provider_synthflow.storage.address import FileAddress, to_path_text
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_synthflow.operators.recordings import SynthflowDownloadRecordingsOperator
    from airflow_provider_synthflow.recordings.calls import CallsResult

__all__ = ["RecordingsTask"]

log = logging.getLogger(__name__)

_SHORTEST_PAUSE_MS = 30_000
_LONGEST_PAUSE_MS = 600_000
_SENT = ("requests", "retries", "waits")


class RecordingsTask(WindowsTask):
    """One try of a task that downloads recordings."""

    read_what = "recordings"

    def __init__(self, operator: SynthflowDownloadRecordingsOperator, context: Context) -> None:
        super().__init__(operator, context)
        self._calls = operator.calls
        self._job: RecordingsJob | None = None
        self._is_closed = False

    def run(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Download the recordings of each window, and wait for what is promised and not there."""
        with self._waiting_for("missing recordings of {} window(s) may be there"), self._hook as hook:
            found, many = parse_results(self._calls)
            parts = [AgentWindow(each.model_id, each.window) for each in found]
            jobs = {part: self._make_job(each) for part, each in zip(parts, found, strict=True)}
            self.host = hook.settings.host
            batch = Batch(list(jobs))
            done = {}
            for part, job in jobs.items():
                with batch.going_on(part):
                    done[part] = self._finish(job)
            batch.check()
            self.results = [
                {
                    "model_id": each["model_id"],
                    "count": each["recordings"],
                    "bytes": each["bytes"],
                    "path": each["path"],
                }
                for each in done.values()
                if each["path"] is not None
            ]
            results = [done[part] for part in parts]
            result = results if many else results[0]
            tell_outlets(self._context, self._operator.outlets, result)
        return result

    def close(self) -> None:
        """End all downloads at once; a recording that is not whole is never seen."""
        self._is_closed = True
        if self._job is not None:
            self._job.close()
        super().close()

    def _finish(self, job: RecordingsJob) -> dict[str, Any]:
        """Download the recordings of one window, and count them in the metrics."""
        client, self._job = self._hook.client, job
        if self._is_closed:
            job.close()
        before = {name: getattr(client, name) for name in _SENT}
        with self._failures.of_window(job.result.model_id, client) as tags:
            result = job.run(client, wait=self._wait)
        counts = {name: getattr(client, name) - before[name] for name in _SENT}
        counts |= {"recordings": job.downloaded, "recording_bytes": job.downloaded_bytes}
        emit(counts, job.seconds, tags, timer=RECORDINGS_DURATION)
        return result

    def _wait(self, missing: int, waited_since: Callable[[], int]) -> None:
        """Raise to check a window again later, as long as missing recordings may still come."""
        if not self._asked.max_wait:
            return
        since_ms = waited_since()
        deadline = since_ms + self._asked.max_wait
        if not self._is_over(deadline):
            log.info("%d expected recordings are not there yet.", missing)
            pause = min(max(now_ms() - since_ms, _SHORTEST_PAUSE_MS), _LONGEST_PAUSE_MS)
            raise StillOpenError(min(deadline, now_ms() + pause))

    def _make_job(self, result: CallsResult) -> RecordingsJob:
        of_calls, asked = result.output_path, self._asked
        path = of_calls if asked.output_path is None else asked.output_path
        if path is None and result.calls:
            raise SynthflowConfigError(
                "output_path is missing: the calls come from XCom and not from a file. Set it to the directory "
                "for the recordings."
            )
        together = path is not None and of_calls is not None and _split_store(path) == _split_store(of_calls)
        conn_id = asked.output_conn_id
        calls_conn_id = None
        if of_calls is not None and not FileAddress.parse(of_calls).is_local:
            calls_conn_id = self._find_conn_id() or (conn_id if together else None)
        calls_store = None if of_calls is None else open_store(of_calls, calls_conn_id)
        shelf = None
        if path is not None:
            names_own = FileAddress.parse(path).within
            own_conn_id = calls_conn_id if conn_id is None and together and not names_own else conn_id
            shelf = RecordingShelf(open_store(path, own_conn_id), result)
        return RecordingsJob(
            result,
            calls_store,
            shelf,
            on_missing=asked.on_missing,
            concurrency=asked.concurrency,
            max_bytes=asked.max_bytes,
            origin=read_origin(self._context),
        )

    def _find_conn_id(self) -> str | None:
        """Return the connection with which the tasks before this one wrote calls, where they agree on one."""
        operator: Any = self._operator
        found = set()
        for task_id in operator.upstream_task_ids if operator.has_dag() else ():
            task = operator.dag.get_task(task_id)
            fields = getattr(task, "partial_kwargs", None) or vars(task)
            path = operator.render_template(fields.get("output_path"), self._context)
            conn_id = operator.render_template(fields.get("output_conn_id"), self._context)
            if is_nothing(conn_id):
                conn_id = "" if is_nothing(path) else FileAddress.parse(to_path_text(path)).within
            if conn_id:
                found.add(str(conn_id))
        return found.pop() if len(found) == 1 else None


def _split_store(path: str) -> tuple[str, str]:
    """Return the store and the bucket of a path, whatever connection stands in it."""
    address = FileAddress.parse(path)
    return address.scheme, address.bucket
