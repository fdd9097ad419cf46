# SPDX-License-Identifier: Apache-2.0
"""The calls of a window as a list in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.call import decode_record
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.parameters import read_duration, read_parameter
from airflow_provider_synthflow.window.window import Window

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.extraction.result import WindowResult

__all__ = ["WindowCalls", "collect_window"]


class WindowCalls(list[dict[str, Any]]):
    """The calls of a window as a list, sorted by their start, with the numbers of the extraction."""

    def __init__(self, calls: Iterable[dict[str, Any]], extraction: WindowResult) -> None:
        super().__init__(calls)
        self.extraction = extraction


def collect_window(
    client: SynthflowClient,
    query: CallsQuery,
    window: Any,
    *,
    settle: dt.timedelta | float,
    on_unplaced: str,
    concurrency: int,
    max_walks: int,
    on_mismatch: str = "fail",
) -> WindowCalls:
    """Extract a window into a list."""
    for name, value in (("on_unplaced", on_unplaced), ("on_mismatch", on_mismatch)):
        if value not in {"fail", "include"}:
            msg = f"{name} '{value}' is unknown. Use fail or include."
            raise SynthflowConfigError(msg)
    plan = WindowPlan(
        window=Window.coerce(window),
        query=query,
        settle_ms=read_parameter(read_duration, settle, "settle"),
        include_unplaced=on_unplaced == "include",
        include_mismatched=on_mismatch == "include",
        concurrency=concurrency,
        max_walks=max_walks,
    )
    with Spill() as spill:
        extraction = extract_window(client, plan, spill)
        return WindowCalls((decode_record(record) for record in spill.records()), extraction)
