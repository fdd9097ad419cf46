# SPDX-License-Identifier: Apache-2.0
"""Threads that work through a list, and can be left at once."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from airflow_provider_synthflow.client.transport import CLOSED
from airflow_provider_synthflow.exceptions import SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Workers"]

_Task = TypeVar("_Task")

_PAUSE = 1.0


class Workers(Generic[_Task]):
    """A few threads that do the same to each item of a list."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._answers: SimpleQueue[tuple[_Task, Any] | None] = SimpleQueue()
        self._ended = threading.Event()
        self.closed = False

    @property
    def ended(self) -> bool:
        """Tell whether nothing more is to be begun."""
        return self.closed or self._ended.is_set()

    def stop(self) -> None:
        """Begin nothing more of the present list."""
        self._ended.set()

    def close(self) -> None:
        """Wake whoever waits for a result, by an error."""
        self.closed = True
        self._answers.put(None)

    def run(
        self, tasks: Sequence[_Task], work: Callable[[_Task], Any], on_pause: Callable[[], None]
    ) -> Iterator[tuple[_Task, Any]]:
        """Yield each item with its result or its error, as they come; call back at least once a second."""
        waiting, lock = iter(tasks), threading.Lock()
        ended = self._ended = threading.Event()  # the threads of an earlier list stay ended

        def work_on() -> None:
            while not ended.is_set():
                with lock:
                    task = next(waiting, None)
                if task is None:
                    return
                try:
                    outcome = work(task)
                except BaseException as error:  # noqa: BLE001 - whoever gave out the work reads it
                    outcome = error
                self._answers.put((task, outcome))

        for _ in range(min(self._count, len(tasks))):
            # Daemons, since a process that is to end does not wait for what they read.
            threading.Thread(target=work_on, name="synthflow-recording", daemon=True).start()
        try:
            for _ in tasks:
                yield self._next(on_pause)
        finally:
            ended.set()

    def _next(self, on_pause: Callable[[], None]) -> tuple[_Task, Any]:
        while True:
            on_pause()
            with suppress(Empty):
                answer = self._answers.get(timeout=_PAUSE)
                if answer is None or self.closed:
                    raise SynthflowTransientError(CLOSED)
                return answer
