# SPDX-License-Identifier: Apache-2.0
"""Whether rows are of the agent and the status that were asked for, by their own fields. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowProtocolError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.client.call import CallRow
    from airflow_provider_synthflow.client.query import CallsQuery

__all__ = ["FilterCheck"]


class FilterCheck:
    """The check of rows against the filters of a query."""

    def __init__(self, query: CallsQuery, *, include: bool = False) -> None:
        self._include = include
        self._agent = query.model_id
        self._agents = {_fold(query.model_id)}
        self._statuses = {_fold(each) for each in (query.call_status or "").split(",")} - {""}

    def find_others(self, rows: Sequence[CallRow]) -> set[str]:
        """Return the ids of rows of another agent or status, or raise where they are not to be included."""
        agent, statuses = self._agent, self._statuses
        others = [
            row
            for row in rows
            if (row.model_id != agent and self._is_other(row.model_id, self._agents))
            or (statuses and self._is_other(row.status, statuses))
        ]
        if others and not self._include:
            agents = sum(self._is_other(row.model_id, self._agents) for row in rows)
            statuses_count = sum(bool(statuses) and self._is_other(row.status, statuses) for row in rows)
            msg = (
                f"The API does not keep to the filters: of the {len(rows)} calls on a page, {agents} are of another "
                f"agent and {statuses_count} have another status than asked for. Nothing was written. "
                "If they belong to what was asked for, set on_mismatch='include', which keeps and counts them."
            )
            raise SynthflowProtocolError(msg, call_ids=[row.call_id for row in others])
        return {row.call_id for row in others}

    @staticmethod
    def _is_other(value: Any, asked: set[str]) -> bool:
        return value is not None and value != "" and _fold(value) not in asked


def _fold(value: Any) -> str:
    return str(value).strip().casefold()
