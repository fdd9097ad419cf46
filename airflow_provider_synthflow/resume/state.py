# SPDX-License-Identifier: Apache-2.0
"""The record of a window's segments in Airflow's task state. Pure."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow import __version__

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from airflow_provider_synthflow.extraction.privacy import Privacy

__all__ = ["LONGEST_MS", "CheckpointState", "make_digest", "make_key"]

LONGEST_MS = 6 * 3_600_000
"""How old the first reading may be: far more than the tries of a task take, and less than people edit labels in."""

_MOST_SKEW_MS = 5 * 60_000
_HEX = re.compile(r"[0-9a-f]{32,64}")


@dataclass(frozen=True)
class CheckpointState:
    """The segments of one window: where they are, and which query they answer."""

    run: str
    seal: str
    digest: str
    begun_ms: int

    @classmethod
    def begin(cls, digest: str, begun_ms: int) -> CheckpointState:
        """Make the record of a window without segments."""
        return cls(secrets.token_hex(16), secrets.token_hex(32), digest, begun_ms)

    @classmethod
    def of(cls, value: Any) -> CheckpointState | None:
        """Parse a value of the task state; None where it is no such record."""
        try:
            record = cls(**value)
            # The run becomes a path: nothing else may come into it.
            sound = all(_HEX.fullmatch(text) for text in (record.run, record.seal, record.digest))
        except TypeError:
            return None
        return record if sound and type(record.begun_ms) is int else None

    def value(self) -> dict[str, Any]:
        """Return the value for the task state."""
        return asdict(self)

    def serves(self, digest: str, now_ms: int) -> bool:
        """Tell whether the segments answer this query, and are young enough."""
        return self.digest == digest and -_MOST_SKEW_MS <= now_ms - self.begun_ms <= LONGEST_MS


def make_digest(plan: WindowPlan, settings: Settings, privacy: Privacy) -> str:
    """Return a digest that is equal only where the pages of one try can stand for those of another."""
    # It is keyed with the API's key, so that another workspace's key gives another one, and a telephone number among
    # the filters cannot be found by trying.
    asked = {
        "host": settings.base_url,
        "parameters": plan.asked.parameters(0, 0),
        "window": [plan.window.from_ms, plan.window.to_ms, plan.settle_ms],
        "drop_fields": sorted(privacy.drop_fields),
        "hash_fields": sorted(privacy.hash_fields),
        "hash_key": settings.hash_key if privacy.hash_fields else None,
        "version": __version__,
    }
    key = hashlib.sha256(settings.api_key.encode("utf-8", "surrogatepass")).digest()
    return hashlib.blake2b(json.dumps(asked, sort_keys=True).encode(), key=key, digest_size=32).hexdigest()


def make_key(plan: WindowPlan) -> str:
    """Return the key of a window in the task state."""
    named = json.dumps([plan.query.model_id, plan.window.from_ms, plan.window.to_ms])
    return f"synthflow_resume_{hashlib.sha256(named.encode()).hexdigest()[:32]}"
