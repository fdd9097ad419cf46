# SPDX-License-Identifier: Apache-2.0
"""The work of a hook, loaded with its first request, since DAG files send none."""

from __future__ import annotations

import logging
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.connection_check import check_connection
from airflow_provider_synthflow.client.recording_file import download_to_file
from airflow_provider_synthflow.client.response import CallsPage
from airflow_provider_synthflow.client.transport import call_path
from airflow_provider_synthflow.exceptions import SynthflowProtocolError
from airflow_provider_synthflow.extraction.collect import WindowCalls, collect_window
from airflow_provider_synthflow.hooks.connection import read_connection
from airflow_provider_synthflow.hooks.query import read_query
from airflow_provider_synthflow.pagination.assistants import read_assistants
from airflow_provider_synthflow.pagination.fetch import read_rows
from airflow_provider_synthflow.pagination.filter_check import FilterCheck
from airflow_provider_synthflow.parameters import read_choice, read_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["HookSession"]

log = logging.getLogger(__name__)


class HookSession:
    """A connection that was read, and what is asked through it."""

    def __init__(self, conn_id: str) -> None:
        self.settings: Settings = read_connection(conn_id)
        self._client: SynthflowClient | None = None
        if self.settings.is_global:
            log.warning(
                (
                    "Connection '%s' uses Synthflow's region Global, which Synthflow retires at the end of 2026: "
                    "workspaces move to US or EU. After yours has moved, set the connection's region; its Test "
                    "button says which."
                ),
                conn_id,
            )

    @property
    def client(self) -> SynthflowClient:
        """Return what sends the requests, the same until it is closed."""
        if self._client is None:
            self._client = SynthflowClient(self.settings)
        return self._client

    def close(self) -> None:
        """Close all connections; the next request opens new ones."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def check(self) -> tuple[bool, str]:
        """Make a real request that costs nothing, and say what is wrong."""
        return check_connection(self.settings)

    def list_calls(
        self, model_id: str, *, limit: int, offset: int, concurrency: int, on_mismatch: str, **query: Any
    ) -> Iterator[dict[str, Any]]:
        """Return an iterator of all calls that match; what is wrong with the parameters is told at once."""
        asked = read_query(model_id, **query)
        for name, value, least in (("limit", limit, 1), ("offset", offset, 0), ("concurrency", concurrency, 1)):
            read_whole(value, name, least=least)
        rows = read_rows(
            self.client,
            asked,
            limit=limit,
            offset=offset,
            concurrency=concurrency,
            include_mismatched=_is_included(on_mismatch),
        )
        return (row.record() for row in rows)

    def list_page(self, model_id: str, *, limit: int, offset: int, on_mismatch: str, **query: Any) -> CallsPage:
        """Return one page of calls."""
        page = self._read_page(read_query(model_id, **query), limit, offset, on_mismatch)
        return CallsPage(
            calls=[row.record() for row in page.rows],
            total_records=page.total,
            limit=page.limit,
            offset=page.offset,
        )

    def count_calls(self, model_id: str, *, on_mismatch: str, **query: Any) -> int:
        """Return how many calls match: as declared, else, or where no more are declared than came, as counted."""
        asked = read_query(model_id, **query)
        page = self._read_page(asked, 1, 0, on_mismatch)
        if page.total is not None and (page.total > len(page.rows) or not page.rows):
            return page.total
        return sum(1 for _ in read_rows(self.client, asked, include_mismatched=_is_included(on_mismatch)))

    def list_window(self, model_id: str, window: Any, *, filters: dict[str, Any], **options: Any) -> WindowCalls:
        """Return the calls of a window, each exactly once, verified."""
        return collect_window(self.client, read_query(model_id, **filters), window, **options)

    def get_call(self, call_id: str) -> dict[str, Any]:
        """Return one call."""
        with self.settings.named_in_errors():
            calls, _ = self.client.elements(call_path(call_id), "calls", {})
            if len(calls) != 1:
                msg = f"The API answered with {len(calls)} calls instead of one."
                raise SynthflowProtocolError(msg, call_ids=[call_id])
        return calls[0]

    def list_assistants(self) -> list[dict[str, Any]]:
        """Return the workspace's agents."""
        return read_assistants(self.client)

    def get_recording_url(self, call_id: str) -> str:
        """Return the signed address of a call's recording."""
        return self.client.redirect(call_path(call_id, "/recording"))

    def download_recording(self, call_id: str, file: IO[bytes] | str | os.PathLike[str]) -> dict[str, Any]:
        """Download a call's recording to a file."""
        return download_to_file(self.client, call_id, file)

    def _read_page(self, asked: CallsQuery, limit: int, offset: int, on_mismatch: str) -> Page:
        """Read one page, whose rows are of the agent and the status that were asked for."""
        check = FilterCheck(asked, include=_is_included(on_mismatch))
        page = self.client.page(asked, limit, offset)
        with self.settings.named_in_errors():
            check.find_others(page.rows)
        return page


def _is_included(on_mismatch: str) -> bool:
    return read_choice(on_mismatch, "on_mismatch", choices=("fail", "include")) == "include"
