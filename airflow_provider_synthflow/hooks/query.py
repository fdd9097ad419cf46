# SPDX-License-Identifier: Apache-2.0
"""A query as users write it, read into the one that is sent."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.parameters import FILTERS, is_nothing, read_agent, read_time

if TYPE_CHECKING:
    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = ["read_query", "warn_of_status"]

log = logging.getLogger(__name__)

_DOCUMENTED_STATUSES = (
    "pending",
    "ringing",
    "in-progress",
    "completed",
    "no-answer",
    "busy",
    "failed",
    "canceled",
    "user-canceled",
    "hangup_on_voicemail",
    "left_voicemail",
    "spam",
    "paused",
    "registered",
    "checking",
    "queue",
    "initiated",
)
"""What Synthflow's documentation knows as ``call_status``; others may come."""


def read_query(
    model_id: Any,
    *,
    from_date: InstantLike | None = None,
    to_date: InstantLike | None = None,
    **filters: Any,
) -> CallsQuery:
    """Read a query as users write it; an empty filter counts as None."""
    return CallsQuery(
        model_id=read_agent(model_id),
        from_ms=None if from_date is None else read_time(from_date, "from_date"),
        to_ms=None if to_date is None else read_time(to_date, "to_date"),
        **{name: None if is_nothing(value) else FILTERS[name](value, name) for name, value in filters.items()},
    )


def warn_of_status(query: CallsQuery) -> None:
    """Warn of a status to filter by that is not documented: misspelt, it finds nothing."""
    status = query.call_status
    if status is not None and status.lower() not in _DOCUMENTED_STATUSES:
        log.warning(
            "call_status '%s' (agent %s) is not among the statuses that Synthflow documents: %s.",
            status,
            query.model_id,
            ", ".join(_DOCUMENTED_STATUSES),
        )
