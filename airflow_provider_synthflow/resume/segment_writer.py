# SPDX-License-Identifier: Apache-2.0
"""Segments written in a thread of their own, so that reading does not wait for a store."""

from __future__ import annotations

import threading
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

from airflow_provider_synthflow.resume.segment import KeptPage, seal_segment

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_synthflow.storage.base import Store

__all__ = ["SegmentWriter", "segment_name"]


def segment_name(run: str, number: int) -> str:
    """Return the path of a segment below ``resume_path``."""
    return f"{run}/{number:06}.pages"


class SegmentWriter:
    """A writer of segments, of which one may wait while another is written."""

    def __init__(self, store: Store, run: str, key: bytes, *, written: int, change: Callable[[bytes], bytes]) -> None:
        self.failure: Exception | None = None
        self._store = store
        self._run = run
        self._key = key
        self._number = written
        self._change = change
        self._due: Queue[list[KeptPage] | None] = Queue(maxsize=1)
        # A daemon: a process that is to end does not wait for a store.
        self._thread = threading.Thread(target=self._work, name="synthflow-segments", daemon=True)
        self._thread.start()

    def offer(self, pages: list[KeptPage]) -> None:
        """Queue a segment, unless another one still waits."""
        with suppress(Full):
            self._due.put_nowait(pages)

    def close(self, seconds: float) -> None:
        """Write the segment that waits, and stop, if that does not take too long."""
        with suppress(Full):
            self._due.put(None, timeout=seconds)
            self._thread.join(seconds)

    def drop(self) -> None:
        """Discard the segment that waits."""
        with suppress(Empty):
            self._due.get_nowait()

    def _work(self) -> None:
        while self._write_next():  # which lets go of the pages before it waits for others
            pass

    def _write_next(self) -> bool:
        pages = self._due.get()
        if pages is not None and self.failure is None:
            try:
                self._write(pages)
            except Exception as error:  # noqa: BLE001 - whatever it is, the extraction goes on without
                self.failure = error
        return pages is not None

    def _write(self, pages: list[KeptPage]) -> None:
        kept = [KeptPage(page.offset, page.total, [self._change(row) for row in page.rows]) for page in pages]
        self._store.put_private(segment_name(self._run, self._number + 1), seal_segment(kept, self._key))
        self._number += 1
