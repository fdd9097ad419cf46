# SPDX-License-Identifier: Apache-2.0
"""The publication of a day's snapshot of all agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.output.call_schema import Column
from airflow_provider_synthflow.output.publication import FilePublication

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["ASSISTANT_COLUMNS", "SnapshotPublication"]

ASSISTANT_COLUMNS = (
    Column("model_id", "text"),
    Column("name", "text"),
    Column("type", "text", few=True),
    Column("description", "text"),
    Column("phone_number", "text"),
    Column("created_at", "text"),
)
"""The columns of agents before ``_raw``; in which form the API writes ``created_at`` is not documented."""


class SnapshotPublication(FilePublication):
    """The file of all agents as they were on a day, written ``20261128``."""

    def __init__(self, store: Store, day: str, format_name: str, *, full: bool) -> None:
        filters = {"full": True} if full else {}
        directory = f"assistants/snapshot_date={day}"
        super().__init__(store, directory, "assistants", format_name, filters, columns=ASSISTANT_COLUMNS)
