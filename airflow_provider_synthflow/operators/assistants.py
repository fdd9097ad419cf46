# SPDX-License-Identifier: Apache-2.0
"""The operator of agents: all of them, as a snapshot of the run's day beside their calls."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_synthflow import parameters as read
from airflow_provider_synthflow.links.synthflow import SynthflowOutputLink
from airflow_provider_synthflow.operators.base import SynthflowOperator

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

__all__ = ["SynthflowListAssistantsOperator"]


class SynthflowListAssistantsOperator(SynthflowOperator):
    """
    A list of all agents of the workspace, proven complete, as a snapshot of the run's day.

    The result, an XCom, has ``count``, ``model_ids`` (sorted, to list the calls of all agents) and either
    ``assistants`` or the path of their file. The ids are also an XCom of their own, ``model_ids``.

    :param output_path: the directory below which the file is written, as that of the calls; default: the agents go to
        XCom (templated)
    :param output_conn_id: the Airflow connection of the store (templated)
    :param output_format: ``jsonl``, ``jsonl.gz`` (default), ``jsonl.zst`` (with the extra ``zstd``) or ``parquet``
        (with the extra ``parquet``) (templated)
    :param full: keep prompts, nested fields and texts of more than 1,000 characters; default false
    :param max_xcom_bytes: the largest encoded size of a result in XCom; default 1 MiB
    :param synthflow_conn_id: the Airflow connection to Synthflow; default ``synthflow_default`` (templated)
    :raises SynthflowError: typed, see :mod:`airflow_provider_synthflow.exceptions`
    """

    template_fields: Sequence[str] = ("output_path", "output_conn_id", "output_format", "synthflow_conn_id")
    required: ClassVar[tuple[str, ...]] = ()
    readers: ClassVar[Mapping[str, read.Reader]] = {
        "output_path": read.read_path,
        "output_conn_id": read.read_text,
        "output_format": partial(read.read_choice, choices=read.OUTPUT_FORMATS),
        "full": read.read_flag,
        "max_xcom_bytes": read.read_whole,
        "synthflow_conn_id": read.read_text,
    }
    worker_task = "airflow_provider_synthflow.operators.assistants_task:AssistantsTask"
    operator_extra_links = (SynthflowOutputLink(),)
    ui_color = "#e3e8fd"

    def __init__(
        self,
        *,
        output_path: str | os.PathLike[str] | None = None,
        output_conn_id: str | None = None,
        output_format: str = "jsonl.gz",
        full: bool = False,
        max_xcom_bytes: int = 1024 * 1024,
        synthflow_conn_id: str = "synthflow_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = read.to_renderable(output_path)
        self.output_conn_id = output_conn_id
        self.output_format = output_format
        self.full = full
        self.max_xcom_bytes = max_xcom_bytes
        self.synthflow_conn_id = synthflow_conn_id
        self.check_fixed()
