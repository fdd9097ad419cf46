# SPDX-License-Identifier: Apache-2.0
"""The tables: what each is made of, its columns, and what makes its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.tables.actions import build_actions
from airflow_provider_synthflow.tables.judgements import build_judgements
from airflow_provider_synthflow.tables.turns import build_turns
from airflow_provider_synthflow.tables.variables import build_variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_synthflow.tables.rows import Rows

__all__ = ["TABLES", "Table"]


@dataclass(frozen=True)
class Table:
    """A table of rows made from the calls' records, with the columns in between ``call_id`` and ``_raw``."""

    name: str
    field: str
    columns: dict[str, str]  # to "text", "choice" (of a few texts), "integer" or "boolean"
    few: tuple[str, ...]
    """The columns, beside ``call_id``, in which the same values come again and again."""
    build: Callable[[Any], Rows]
    """Makes the rows of some calls, given each one's field as JSON, for turns as :class:`Texts`."""


TABLES = {
    table.name: table
    for table in (
        Table(
            "turns",
            "transcript",
            {"turn": "integer", "speaker": "choice", "text": "text"},
            ("turn", "speaker"),
            build_turns,
        ),
        Table(
            "actions",
            "executed_actions",
            {"position": "integer", "key": "text", "name": "text", "parameters": "text", "return_value": "text"},
            ("position", "key", "name"),
            build_actions,
        ),
        Table(
            "variables",
            "collected_variables",
            {"agent": "text", "name": "text", "value": "text", "value_type": "text", "collected": "boolean"},
            ("agent", "name", "value_type"),
            build_variables,
        ),
        Table("judgements", "judge_results", {"name": "text", "value": "text"}, ("name", "value"), build_judgements),
    )
}
"""The tables by their names, in the order in which they are written."""
