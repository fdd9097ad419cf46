# SPDX-License-Identifier: Apache-2.0
"""The windows of one task: each agent's, one after the other, where one that fails does not stop the others."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import (
    AirflowFailException,
    SynthflowAgentsError,
    SynthflowAgentsFatalError,
    SynthflowConfigError,
    SynthflowError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_synthflow.window.window import Window

__all__ = ["AgentWindow", "StillOpenError", "run_batch"]

log = logging.getLogger(__name__)

_NAMED = 10


@dataclass(frozen=True)
class AgentWindow:
    """
    One window of one agent.

    :param model_id: the agent
    :param window: the window
    """

    model_id: str
    window: Window

    def __str__(self) -> str:
        """Return both as a person writes them."""
        return f"{self.model_id} {self.window}"


class StillOpenError(Exception):
    """
    Windows with calls that are not final, which are to be read again.

    :param until_ms: when, UTC milliseconds since 1970
    :param count: how many windows
    """

    def __init__(self, until_ms: int, count: int = 1) -> None:
        super().__init__(f"{count} window(s) have calls that are not final")
        self.until_ms = until_ms
        self.count = count


def run_batch(parts: Sequence[AgentWindow], extract: Callable[[AgentWindow], dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Extract every part, also after some have failed, and then raise for those that failed.

    What is wrong with the connection, the parameters or the store ends it at once: no other part would fare better.
    That the key is not entitled to one agent (403) does not.

    :param parts: what to extract
    :param extract: extracts and publishes one part and returns its result
    :return: the results, in the order of the parts
    :raises SynthflowError: what ``extract`` raised, where there is one part only
    :raises StillOpenError: where a part is to be read again, whatever else failed: that is tried again with it
    :raises SynthflowAgentsError: naming the parts that failed; as :class:`SynthflowAgentsFatalError` where no retry
        mends any of them
    """
    if len(parts) == 1:
        return [extract(parts[0])]
    results: list[dict[str, Any]] = []
    failures: dict[AgentWindow, SynthflowError | OSError] = {}
    open_until: list[int] = []
    for number, part in enumerate(parts, 1):
        try:
            results.append(extract(part))
        except StillOpenError as error:  # noqa: PERF203 - a window costs far more
            open_until.append(error.until_ms)
        except (SynthflowError, OSError) as error:
            if isinstance(error, SynthflowConfigError) and getattr(error, "status", None) != 403:
                raise
            failures[part] = error
            log.error("%s failed, %d of %d are still to come: %s", part, len(parts) - number, len(parts), error)  # noqa: TRY400 - the error itself is raised at the end
    if open_until:
        raise StillOpenError(min(open_until), len(open_until))
    if failures:
        raise _error_of(failures, len(results)) from next(iter(failures.values()))
    return results


def _error_of(failures: dict[AgentWindow, SynthflowError | OSError], done: int) -> SynthflowAgentsError:
    named = [f"{part}: {error}" for part, error in list(failures.items())[:_NAMED]]
    if len(failures) > _NAMED:
        named.append(f"and {len(failures) - _NAMED} more")
    agents = list(dict.fromkeys(part.model_id for part in failures))
    fatal = all(isinstance(error, AirflowFailException) for error in failures.values())
    kind = SynthflowAgentsFatalError if fatal else SynthflowAgentsError
    msg = f"{len(failures)} of {len(failures) + done} windows failed, the others are done. {' · '.join(named)}"
    return kind(msg, model_ids=agents, done=done)
