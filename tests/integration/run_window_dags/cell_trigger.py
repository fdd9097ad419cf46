# SPDX-License-Identifier: Apache-2.0
"""A trigger of asset events with the payload of the provider's own, that needs no server."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class CellTrigger(BaseEventTrigger):
    """
    Send the given events one by one, then nothing more.

    :param events: the payloads, as JSON text, since Airflow 3.3 does not keep a nested argument of a watcher's trigger
    :param pause: seconds before each event
    """

    def __init__(self, events: str, pause: float) -> None:
        super().__init__()
        self.events = events
        self.pause = pause

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.CellTrigger", {"events": self.events, "pause": self.pause}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        for event in json.loads(self.events):
            await asyncio.sleep(self.pause)
            yield TriggerEvent(event)
        await asyncio.Event().wait()  # one that ended would be started again
