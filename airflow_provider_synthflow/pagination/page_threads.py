# SPDX-License-Identifier: Apache-2.0
"""Threads that fetch the pages of a walk, several at a time."""

from __future__ import annotations

import ctypes
import functools
import platform
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_synthflow.client.response import Answer
    from airflow_provider_synthflow.pagination.page_ranges import PageAsk

__all__ = ["PageThreads", "share_one_heap"]


class PageThreads:
    """
    A few threads that send what is asked for, and the two queues between them and their user.

    :param fetch: sends one request, of a limit and an offset, and returns its answer
    :param most: how many threads there are at the most; no more are started than requests wait
    """

    def __init__(self, fetch: Callable[[int, int], Answer], most: int) -> None:
        self.in_flight: set[int] = set()  # the serials of what was asked for and has not been received
        self._fetch = fetch
        self._most = most
        self._count = 0
        self._closed = False
        self._asked: SimpleQueue[PageAsk | None] = SimpleQueue()
        self._answered: SimpleQueue[tuple[PageAsk, Answer | BaseException]] = SimpleQueue()
        share_one_heap()

    def send(self, ask: PageAsk) -> None:
        """Have a page asked for."""
        self.in_flight.add(ask.serial)
        self._asked.put(ask)
        if self._count < min(self._most, len(self.in_flight)):
            self._count += 1
            # A daemon, since a process that is to end does not wait for what it reads.
            threading.Thread(target=self._work, name=f"synthflow-page_{self._count}", daemon=True).start()

    def receive(self) -> tuple[PageAsk, Answer | BaseException]:
        """Return the next answer: what was asked for, and the answer or the error that came."""
        ask, answer = self._answered.get()
        self.in_flight.remove(ask.serial)
        return ask, answer

    def close(self) -> None:
        """Send no more; requests in flight end by their own time-out."""
        self._closed = True
        for _ in range(self._count):
            self._asked.put(None)

    def _work(self) -> None:
        while (ask := self._asked.get()) is not None and not self._closed:
            try:
                answer: Answer | BaseException = self._fetch(ask.limit, ask.offset)
            except BaseException as error:  # noqa: BLE001 - whoever receives it raises it
                answer = error
            self._answered.put((ask, answer))
            del answer  # it is another one's by now, and large


_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


@functools.cache
def share_one_heap() -> bool:
    """
    Let the threads that are started from now on share one heap, where the C library is glibc.

    It would give each thread a heap of its own. Pages are made in one thread and used up in another, which leaves
    holes in the first one's heap: with eight threads, 100,000 calls held 14 MiB more (docs/performance.md). Python's
    threads hardly ever allocate at the same moment, so that one heap costs them no time.

    :return: whether the library took the setting, which then holds for this process
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, 1))
    except (AttributeError, OSError):  # a library that only looks like it
        return False
