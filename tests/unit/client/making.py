# SPDX-License-Identifier: Apache-2.0
"""Settings, senders and clocks for the tests of the client."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_synthflow.client.client import SynthflowClient
from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.settings import Settings
from tests.synthflow_server import TEST_KEY

__all__ = ["FakeClock", "make_client", "make_settings"]


def make_settings(url: str = "https://api.synthflow.test/v2", **fields: Any) -> Settings:
    """Make settings for an address, with the key that test servers take."""
    return Settings(**{"base_url": url, "api_key": TEST_KEY, "timeout": 5.0, **fields})


@dataclass
class FakeClock:
    """Tell a time that only sleeping moves, and remember how long was slept."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let the seconds pass at once."""
        self.slept.append(seconds)
        self.now += seconds


def make_client(url: str, clock: FakeClock | None = None, **fields: Any) -> SynthflowClient:
    """Make a sender that never really waits between two tries."""
    clock = clock or FakeClock()
    return SynthflowClient(make_settings(url, **fields), pace=RateLimiter(clock), sleep=clock.sleep)
