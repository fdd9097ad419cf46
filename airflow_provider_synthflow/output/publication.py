# SPDX-License-Identifier: Apache-2.0
"""Where the calls of a window and the agents of a day are published, and the names there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_synthflow.output.call_schema import Column
from airflow_provider_synthflow.output.file_publication import MANIFEST_NAME, FilePublication
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from airflow_provider_synthflow.output.draft import TablesSpec
    from airflow_provider_synthflow.storage.base import Store
    from airflow_provider_synthflow.window.window import Window

__all__ = ["ASSISTANT_COLUMNS", "MANIFEST_NAME", "Publication", "SnapshotPublication", "file_name", "window_directory"]

ASSISTANT_COLUMNS = (
    Column("model_id", "text"),
    Column("name", "text"),
    Column("type", "text", few=True),
    Column("description", "text"),
    Column("phone_number", "text"),
    Column("created_at", "text"),
)
"""The columns of agents before ``_raw``; in which form the API writes ``created_at`` is not documented."""


class Publication(FilePublication):
    """The publication of one window's calls, in the window's own directory."""

    def __init__(
        self,
        store: Store,
        model_id: str,
        window: Window,
        format_name: str,
        filters: dict[str, Any],
        *,
        described: Mapping[str, Any] | None = None,
        volatile_fields: Collection[str] = (),
        tables: TablesSpec | None = None,
    ) -> None:
        super().__init__(
            store,
            window_directory(model_id, window),
            "calls",
            format_name,
            filters,
            described=described,
            volatile_fields=volatile_fields,
            tables=tables,
        )


class SnapshotPublication(FilePublication):
    """The file of all agents as they were on a day, written ``20261128``."""

    def __init__(self, store: Store, day: str, format_name: str, *, full: bool) -> None:
        filters = {"full": True} if full else {}
        directory = f"assistants/snapshot_date={day}"
        super().__init__(store, directory, "assistants", format_name, filters, columns=ASSISTANT_COLUMNS)


def window_directory(model_id: str, window: Window) -> str:
    """Return the directory of a window below the output path, with its keys as partition columns."""
    agent = quote(model_id, safe="")
    return f"model_id={agent}/from_date={_compact(window.from_ms)}/to_date={_compact(window.to_ms)}"


def file_name(format_name: str) -> str:
    """Return the name of the file of calls."""
    return f"calls.{format_name}"


def _compact(milliseconds: int) -> str:
    """Format an instant as ``20261123T000000Z``, with milliseconds only where there are some."""
    text = format_instant(milliseconds).replace("-", "").replace(":", "")
    return text.replace(".000Z", "Z")
