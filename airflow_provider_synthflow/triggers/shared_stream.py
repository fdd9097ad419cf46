# SPDX-License-Identifier: Apache-2.0
"""Polls that several watchers share; their cursors move when their events are stored. Airflow 3.3 and newer."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from airflow.triggers.shared_stream import AdvanceItem, AdvanceOutcome

    from airflow_provider_synthflow.polling.time_grid import PollResult
    from airflow_provider_synthflow.polling.watch import Watch

try:
    from airflow.triggers.shared_stream import SharedStreamProducer
except ImportError:  # before Airflow 3.3, which asks for none
    SharedStreamProducer = object  # type: ignore[assignment,misc]

__all__ = ["SharedPolls"]


class SharedPolls(SharedStreamProducer):
    """One poll for all watchers of an agent."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    async def open_stream(self) -> AsyncIterator[tuple[PollResult, PollResult]]:
        """Yield each poll, also as what is handed back once all watchers are done with it."""
        async with aclosing(self._watch.polls()) as polls:
            async for poll in polls:
                yield poll, poll

    async def advance(self, batch: Sequence[AdvanceItem]) -> None:
        """Move the cursors of the watchers past what is stored."""
        try:
            for poll, outcome in batch:
                await _move_past(poll, outcome)
        except Exception:
            # Airflow starts the watchers again at once, and they announce again what their cursors are not past.
            self._watch.hold_off()
            raise


async def _move_past(poll: PollResult, outcome: AdvanceOutcome) -> None:
    if outcome.failed:
        msg = "Airflow did not store an event of new calls. The watchers start again from their cursors."
        raise SynthflowTransientError(msg)
    for note in poll.on_stored:
        await note()
