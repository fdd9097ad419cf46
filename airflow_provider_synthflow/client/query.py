# SPDX-License-Identifier: Apache-2.0
"""The query of List calls: the agent, the bounds and the API's filters."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_synthflow.timestamps import format_instant

__all__ = ["CallsQuery"]


@dataclass(frozen=True)
class CallsQuery:
    """The calls to ask for; what is None is not sent."""

    model_id: str
    from_ms: int | None = None
    to_ms: int | None = None
    call_status: str | None = None
    duration_min: int | None = None
    duration_max: int | None = None
    lead_phone_number: str | None = field(default=None, repr=False)

    def between(self, from_ms: int | None, to_ms: int | None) -> CallsQuery:
        """Return the same query with other bounds."""
        return replace(self, from_ms=from_ms, to_ms=to_ms)

    def filters(self) -> dict[str, Any]:
        """Return the API's filters that are set, without the agent and the bounds."""
        others = {"model_id", "from_ms", "to_ms"}
        return {name: value for name, value in vars(self).items() if value is not None and name not in others}

    def __str__(self) -> str:
        """Return what is asked for as a log may have it: a telephone number is not written out."""
        asked = {
            "from_date": None if self.from_ms is None else format_instant(self.from_ms),
            "to_date": None if self.to_ms is None else format_instant(self.to_ms),
            **self.filters(),
        }
        if self.lead_phone_number is not None:
            asked["lead_phone_number"] = "***"
        return ", ".join(f"{name}={value}" for name, value in asked.items() if value is not None) or "no filter"

    def parameters(self, limit: int, offset: int) -> dict[str, str]:
        """Return the request's parameters for one page."""
        values: dict[str, Any] = {
            "model_id": self.model_id,
            "limit": limit,
            "offset": offset,
            "from_date": self.from_ms,
            "to_date": self.to_ms,
            **self.filters(),
        }
        return {name: str(value) for name, value in values.items() if value is not None}
