# SPDX-License-Identifier: Apache-2.0
"""The operator of recordings: each once and whole, in a store of your own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_synthflow import parameters as read
from airflow_provider_synthflow.links.synthflow import SynthflowCallsLink, SynthflowOutputLink
from airflow_provider_synthflow.operators.waiting import WaitingOperator

if TYPE_CHECKING:
    import datetime as dt
    import os

__all__ = ["SynthflowDownloadRecordingsOperator"]

_SHOWN = ("call_id", "call_status", "duration", "telephony_duration", "recording_duration")


class _CallsField:
    """
    A task's field with calls, of which only what tells of recordings is kept.

    Airflow stores rendered fields and shows them: what was said, and to whom, has no place there.
    """

    def __get__(self, task: Any, owner: type | None = None) -> Any:
        """Return the results, or their template."""
        return self if task is None else task.__dict__.get("calls")

    def __set__(self, task: Any, value: Any) -> None:
        """Set the results without the rest of their calls, or their template."""
        task.__dict__["calls"] = _without_content(value)


class SynthflowDownloadRecordingsOperator(WaitingOperator):
    """
    A download of the recordings of listed calls, each once and whole, into a store of your own.

    It asks for each address by itself (Get a recording), so it works before and after 10 January 2027. Recordings that
    are stored already are not downloaded again. The result, an XCom, has the numbers and the path of the recordings.

    :param calls: the output of a :class:`SynthflowListCallsOperator` task, or a list of such results (templated)
    :param output_path: the directory below which the recordings are written, as that of the calls; default: the
        ``output_path`` of the calls (templated)
    :param output_conn_id: the Airflow connection of the store; default: that of the task that listed the calls
        (templated)
    :param on_missing: what to do if a call's record mentions a recording that the API does not have after ``max_wait``:
        ``include`` it in the count (default), or ``fail``
    :param max_wait: how long to wait for such recordings, from the task's first try on, without a worker: a timedelta,
        or seconds; default: no wait
    :param concurrency: how many recordings to download in parallel; default 4
    :param max_bytes: the largest size of a recording; default 1 GiB
    :param deferrable: wait in the triggerer, or else reschedule the task; default:
        ``[operators] default_deferrable``
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default`` (templated)
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = ("calls", "output_path", "output_conn_id", "synthflow_conn_id")
    required: ClassVar[tuple[str, ...]] = ()
    readers: ClassVar[Mapping[str, read.Reader]] = {
        "output_path": read.read_path,
        "output_conn_id": read.read_text,
        "on_missing": partial(read.read_choice, choices=("include", "fail")),
        "max_wait": read.read_duration,
        "concurrency": read.read_whole,
        "max_bytes": read.read_whole,
        "synthflow_conn_id": read.read_text,
    }
    worker_task = "airflow_provider_synthflow.operators.recordings_task:RecordingsTask"
    operator_extra_links = (SynthflowCallsLink(), SynthflowOutputLink())
    calls = _CallsField()
    ui_color = "#e3e8fd"

    def __init__(
        self,
        *,
        calls: Any,
        output_path: str | os.PathLike[str] | None = None,
        output_conn_id: str | None = None,
        on_missing: str = "include",
        max_wait: dt.timedelta | float = 0,
        concurrency: int = 4,
        max_bytes: int = 1024**3,
        deferrable: bool | None = None,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        self.calls = calls
        self.output_path = read.to_renderable(output_path)
        self.output_conn_id = output_conn_id
        self.on_missing = on_missing
        self.max_wait = max_wait
        self.concurrency = concurrency
        self.max_bytes = max_bytes
        self.synthflow_conn_id = synthflow_conn_id
        self.check_fixed()


def _without_content(value: Any) -> Any:
    """Return results with only those fields of their calls that tell of recordings."""
    if isinstance(value, Mapping) and isinstance(value.get("calls"), list):
        return {**value, "calls": [_told(call) for call in value["calls"]]}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_without_content(each) for each in value]
    return value


def _told(call: Any) -> Any:
    if not isinstance(call, Mapping):
        return call
    shown = {name: call[name] for name in _SHOWN if name in call}
    return {**shown, "recording_url": bool(call.get("recording_url"))}
