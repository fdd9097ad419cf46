# SPDX-License-Identifier: Apache-2.0
"""The windows of one task: each agent's, one after the other, where one that fails does not stop the others."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import (
    AirflowFailException,
    SynthflowAgentsError,
    SynthflowAgentsFatalError,
    SynthflowConfigError,
    SynthflowError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_synthflow.window.window import Window

__all__ = ["AgentWindow", "Batch", "StillOpenError"]

log = logging.getLogger(__name__)

_NAMED = 10


@dataclass(frozen=True)
class AgentWindow:
    """One window of one agent."""

    model_id: str
    window: Window

    def __str__(self) -> str:
        """Return both as a person writes them."""
        return f"{self.model_id} {self.window}"


class StillOpenError(Exception):
    """Windows with calls that are not final, which are to be read again."""

    def __init__(self, until_ms: int, count: int = 1) -> None:
        super().__init__(f"{count} window(s) have calls that are not final")
        self.until_ms = until_ms
        self.count = count


class Batch:
    """The windows of a task, of which one that fails does not stop the others."""

    def __init__(self, parts: Sequence[AgentWindow]) -> None:
        self._count = self._left = len(parts)
        self._failures: dict[AgentWindow, SynthflowError | OSError] = {}
        self._open_until: list[int] = []

    @contextmanager
    def going_on(self, part: AgentWindow) -> Iterator[None]:
        """Keep the failure of a window for the end, unless it is the only one."""
        # What is wrong with the connection, the parameters or the store ends the task at once: no other window would
        # fare better. That the key is not entitled to one agent (403) does not.
        self._left -= 1
        try:
            yield
        except StillOpenError as error:
            if self._count == 1:
                raise
            self._open_until.append(error.until_ms)
        except (SynthflowError, OSError) as error:
            ends_all = isinstance(error, SynthflowConfigError) and getattr(error, "status", None) != 403
            if self._count == 1 or ends_all:
                raise
            self._failures[part] = error
            told = part, self._left, self._count, error  # whose traceback comes at the end
            log.error("%s failed, %d of %d windows are left: %s", *told)  # noqa: TRY400

    def check(self) -> None:
        """Raise for the windows that are not done; to be called after the last."""
        if self._open_until:
            raise StillOpenError(min(self._open_until), len(self._open_until))
        if self._failures:
            done = self._count - len(self._failures)
            raise _make_error(self._failures, done) from next(iter(self._failures.values()))


def _make_error(failures: dict[AgentWindow, SynthflowError | OSError], done: int) -> SynthflowAgentsError:
    named = [f"{part}: {error}" for part, error in list(failures.items())[:_NAMED]]
    if len(failures) > _NAMED:
        named.append(f"and {len(failures) - _NAMED} more")
    agents = list(dict.fromkeys(part.model_id for part in failures))
    fatal = all(isinstance(error, AirflowFailException) for error in failures.values())
    kind = SynthflowAgentsFatalError if fatal else SynthflowAgentsError
    msg = f"{len(failures)} of {len(failures) + done} windows failed, the others are done. {' · '.join(named)}"
    return kind(msg, model_ids=agents, done=done)
