# SPDX-License-Identifier: Apache-2.0
"""The operator: the calls of a run's window, each exactly once, in XCom or in a file."""

from __future__ import annotations

import datetime as dt
import importlib
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_synthflow import parameters as read
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowWindowError
from airflow_provider_synthflow.hooks.masking import HiddenNumber
from airflow_provider_synthflow.links.synthflow import SynthflowCallsLink, SynthflowOutputLink
from airflow_provider_synthflow.operators.waiting import WaitingOperator

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from airflow_provider_synthflow.operators.assistants import SynthflowListAssistantsOperator
    from airflow_provider_synthflow.operators.audit import SynthflowAuditOperator
    from airflow_provider_synthflow.operators.recordings import SynthflowDownloadRecordingsOperator
    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = [
    "SynthflowAuditOperator",
    "SynthflowDownloadRecordingsOperator",
    "SynthflowListAssistantsOperator",
    "SynthflowListCallsOperator",
]


_OTHERS = {
    "SynthflowAuditOperator": "audit",
    "SynthflowDownloadRecordingsOperator": "recordings",
    "SynthflowListAssistantsOperator": "assistants",
}
"""The operators that are handed on from here, and loaded by the DAG files alone that name them."""


def __getattr__(name: str) -> Any:
    if name not in _OTHERS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"airflow_provider_synthflow.operators.{_OTHERS[name]}"), name)


class SynthflowListCallsOperator(WaitingOperator):
    """
    A list of the calls of an agent that started in the run's window, each exactly once, proven complete.

    The result, an XCom, has the numbers of the extraction, and either the calls or the path of their file.

    :param model_id: the agent's id, or a list of ids, which gives a list of results (templated)
    :param from_date: inclusive start of the window: an aware datetime, epoch milliseconds or ISO 8601 with a zone;
        default: the run's own window (templated)
    :param to_date: exclusive end of the window, likewise (templated)
    :param output_path: the directory below which the file is written: a path, ``file://``, or a URL of any store that
        ObjectStoragePath knows, such as ``s3://``, ``gs://`` and ``abfss://``; default: the calls go to XCom
        (templated)
    :param output_conn_id: the Airflow connection of the store, which can also be part of the path, as in
        ``s3://conn_id@bucket/directory``; default: the credentials in the worker's environment; a local disk needs no
        connection (templated)
    :param output_format: ``jsonl``, ``jsonl.gz`` (default), ``jsonl.zst`` (with the extra ``zstd``) or ``parquet``
        (with the extra ``parquet``) (templated)
    :param resume_path: a directory in any such store that keeps finished pages until the window is published, so that a
        retry after a killed try can use them (Airflow 3.3 and later); default: no page is kept (templated)
    :param call_status: the API's filter: one status (templated)
    :param duration_min: the API's filter: seconds, inclusive (templated)
    :param duration_max: the API's filter: seconds, inclusive (templated)
    :param lead_phone_number: the API's filter: caller or callee, E.164 (templated)
    :param settle: how long after the window's end a call that began in it may still run or change; the task waits until
        then without a worker; default one hour
    :param on_unsettled: what to do with calls that are not in a final status after ``settle``: ``include`` them
        (default), ``wait`` for up to ``max_unsettled_wait`` and then include them, or ``fail``
    :param max_unsettled_wait: the longest wait after ``settle``; default six hours
    :param on_unplaced: what to do with a final call without any readable start: ``fail`` (default), or ``include`` it
    :param on_mismatch: what to do with a call of another agent or status than asked for: ``fail`` (default), or
        ``include`` it, counted in the result as ``mismatched`` (templated)
    :param on_empty: what to do if there are no calls: ``write`` an empty result (default), ``skip`` the task,
        or ``fail``
    :param concurrency: how many pages to request in parallel; default 4
    :param max_walks: how often to read all pages before the window fails; default 5
    :param volatile_fields: top-level fields that do not count as a change: if only these differ, the old file stays
        and ``changed`` is false; default ``recording_url``, which may be signed again for each reading (templated)
    :param drop_fields: top-level fields to remove before anything is stored (templated)
    :param hash_fields: top-level fields to replace by a keyed hash before anything is stored; the key is
        ``hash_key`` in the connection's extra (templated)
    :param on_unknown_field: what to do if ``drop_fields``, ``hash_fields`` or ``volatile_fields`` name a field that is
        neither documented nor in a call of the window: ``fail`` (default) before anything is written if it looks like a
        misspelt field, and else warn; or ``warn`` always. The result then has it in ``unknown_fields``
    :param details: add the fields of Get a call that the list lacks, such as ``prompt_variables``, to each call; one
        more request for each call; default false (templated)
    :param tables: tables to write beside the calls, as Parquet with the extra ``parquet``: any of ``turns``,
        ``actions``, ``variables`` and ``judgements``, or ``all``; they need an ``output_path``; default: none
        (templated)
    :param max_xcom_bytes: the largest encoded size of a result in XCom; default 1 MiB
    :param deferrable: wait in the triggerer, or else reschedule the task; default:
        ``[operators] default_deferrable``
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default`` (templated)
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = (
        "model_id",
        "from_date",
        "to_date",
        "output_path",
        "output_conn_id",
        "output_format",
        "resume_path",
        *read.FILTERS,
        "on_mismatch",
        "volatile_fields",
        "drop_fields",
        "hash_fields",
        "details",
        "tables",
        "synthflow_conn_id",
    )
    readers: ClassVar[Mapping[str, read.Reader]] = {
        "model_id": read.read_agents,
        "from_date": read.read_time,
        "to_date": read.read_time,
        "output_path": read.read_path,
        "output_conn_id": read.read_text,
        "output_format": partial(read.read_choice, choices=read.OUTPUT_FORMATS),
        "resume_path": read.read_path,
        **read.FILTERS,
        "settle": read.read_duration,
        "on_unsettled": partial(read.read_choice, choices=("include", "wait", "fail")),
        "max_unsettled_wait": read.read_duration,
        "on_unplaced": partial(read.read_choice, choices=("fail", "include")),
        "on_mismatch": partial(read.read_choice, choices=("fail", "include")),
        "on_empty": partial(read.read_choice, choices=("write", "skip", "fail")),
        "concurrency": read.read_whole,
        "max_walks": read.read_whole,
        "volatile_fields": read.read_names,
        "drop_fields": read.read_names,
        "hash_fields": read.read_names,
        "on_unknown_field": partial(read.read_choice, choices=("fail", "warn")),
        "details": read.read_flag,
        "tables": read.read_tables,
        "max_xcom_bytes": read.read_whole,
        "synthflow_conn_id": read.read_text,
    }
    worker_task = "airflow_provider_synthflow.operators.calls_task:CallsTask"
    operator_extra_links = (SynthflowCallsLink(), SynthflowOutputLink())
    lead_phone_number = HiddenNumber()
    ui_color = "#e3e8fd"

    def __init__(
        self,
        *,
        model_id: str | Sequence[str],
        from_date: InstantLike | None = None,
        to_date: InstantLike | None = None,
        output_path: str | os.PathLike[str] | None = None,
        output_conn_id: str | None = None,
        output_format: str = "jsonl.gz",
        resume_path: str | os.PathLike[str] | None = None,
        call_status: str | None = None,
        duration_min: int | None = None,
        duration_max: int | None = None,
        lead_phone_number: str | None = None,
        settle: dt.timedelta | float = dt.timedelta(hours=1),
        on_unsettled: str = "include",
        max_unsettled_wait: dt.timedelta | float = dt.timedelta(hours=6),
        on_unplaced: str = "fail",
        on_mismatch: str = "fail",
        on_empty: str = "write",
        concurrency: int = 4,
        max_walks: int = 5,
        volatile_fields: Sequence[str] | str = ("recording_url",),
        drop_fields: Sequence[str] | str = (),
        hash_fields: Sequence[str] | str = (),
        on_unknown_field: str = "fail",
        details: bool | str = False,
        tables: Sequence[str] | str | None = None,
        max_xcom_bytes: int = 1024 * 1024,
        deferrable: bool | None = None,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(deferrable=deferrable, **kwargs)
        self.model_id = model_id
        self.from_date = from_date
        self.to_date = to_date
        self.output_path = read.to_renderable(output_path)
        self.output_conn_id = output_conn_id
        self.output_format = output_format
        self.resume_path = read.to_renderable(resume_path)
        self.call_status = call_status
        self.duration_min = duration_min
        self.duration_max = duration_max
        self.lead_phone_number = lead_phone_number
        self.settle = settle
        self.on_unsettled = on_unsettled
        self.max_unsettled_wait = max_unsettled_wait
        self.on_unplaced = on_unplaced
        self.on_mismatch = on_mismatch
        self.on_empty = on_empty
        self.concurrency = concurrency
        self.max_walks = max_walks
        self.volatile_fields = volatile_fields
        self.drop_fields = drop_fields
        self.hash_fields = hash_fields
        self.on_unknown_field = on_unknown_field
        self.details = details
        self.tables = tables
        self.max_xcom_bytes = max_xcom_bytes
        self.synthflow_conn_id = synthflow_conn_id
        self.check_fixed()
        if ("from_date" in self._given) != ("to_date" in self._given):
            raise SynthflowWindowError(
                "One of from_date and to_date is given alone. Give both, or neither for the run's window."
            )
        if "tables" in self._given and output_path is None:
            raise SynthflowConfigError(
                "tables are files, so they need output_path. Set output_path, or leave tables out."
            )
