# SPDX-License-Identifier: Apache-2.0
"""Save the pages of one window while they are read, and recall those of an earlier try. Plain Python."""

from __future__ import annotations

import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_synthflow.client.call import read_call
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.exceptions import SynthflowTransientError
from airflow_provider_synthflow.resume.segment import (
    BrokenSegmentError,
    KeptPage,
    SegmentWriter,
    segment_name,
    unseal_segment,
)
from airflow_provider_synthflow.resume.state import CheckpointState
from airflow_provider_synthflow.timestamps import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from airflow_provider_synthflow.extraction.privacy import Privacy
    from airflow_provider_synthflow.pagination.recalled_pages import RecalledPages
    from airflow_provider_synthflow.pagination.walk import Walk
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["JUDGED_FIELDS", "Checkpoint", "TaskState"]

log = logging.getLogger(__name__)

JUDGED_FIELDS = frozenset({"call_id", "call_status", "start_time", "telephony_start"})
"""The fields by which a kept page is judged: where one of them may not be stored, no page is kept."""

_PIECE = 4 * 1024 * 1024
_SECONDS = 20.0
_PATIENCE = 30.0


class TaskState(Protocol):
    """Airflow's task state: small values that outlast a try."""

    def get(self, key: str, /) -> Any:
        """Return a value, or None."""

    def set(self, key: str, value: Any, /) -> None:
        """Store a value."""

    def delete(self, key: str, /) -> None:
        """Delete a value, if there is one."""


class Checkpoint:
    """The pages of one window, saved from try to try."""

    # As a context manager it ends with the window: the segments are removed, but where an error or a kill ended the
    # try and another try may take them up.

    def __init__(
        self,
        store: Store,
        state: TaskState,
        key: str,
        digest: str,
        *,
        privacy: Privacy,
        retry: bool,
        last: bool = False,
    ) -> None:
        self._store = store
        self._state = state
        self._key = key
        self._digest = digest
        self._privacy = privacy
        self._retry = retry
        self._last = last
        self._off = False
        self._begun_ms = 0
        self._record: CheckpointState | None = None
        self._written = 0  # segments that the run had before this try
        self._recalled = 0  # pages of theirs that the walk has not yet decided on
        self._writer: SegmentWriter | None = None
        self._pages: list[KeptPage] = []
        self._bytes = 0
        self._since = 0.0

    def __enter__(self) -> Self:
        """Return the checkpoint itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the segments, or leave them for the next try."""
        if isinstance(error, (SynthflowTransientError, OSError)) and not self._last:
            self._leave()
        elif error is None or isinstance(error, Exception):
            # After any other error the next try, if there is one, is to see everything for itself.
            self._forget()
        elif self._writer is not None:
            self._writer.close(0)  # the process is to end, and is not held up

    def take_up(self, earlier: RecalledPages) -> Iterator[Page]:
        """Yield the saved pages in the order of reading, after adding each to the recalled pages of a walk."""
        # Whether they are taken up the walk decides when its first page has come: what it then does not hold is to be
        # left out again.
        self._begun_ms = now_ms()
        self._since = time.monotonic()
        self._remember()
        if self._record is None:
            return
        if not (self._retry and self._record.serves(self._digest, self._begun_ms)):
            self._start_over("the task was cleared, the query is another one, or they are too old")
            return
        try:
            for page in self._kept(self._record):
                rows = [read_call(raw, stored=True) for raw in page.rows]
                earlier.add(page.offset, [row.call_id for row in rows], page.total)
                self._recalled = len(earlier)
                yield Page(rows, page.total, offset=page.offset)
        except BrokenSegmentError as error:
            earlier.drop()
            self._start_over(f"segment {self._written + 1} {error}")

    def remove(self) -> None:
        """Remove what an earlier try has saved of a window that is already published."""
        self._remember()
        self._forget()

    def keep(self, page: Page, walk: Walk) -> None:
        """Save a page whose rows are used, if none of its rows can change any more."""
        self._hear(walk)
        if self._off or page.total is None or page.offset is None or not page.rows:
            return
        if not all(row.final for row in page.rows):
            return
        self._pages.append(KeptPage(page.offset, page.total, [row.raw for row in page.rows]))
        self._bytes += sum(len(row.raw) for row in page.rows)
        if self._bytes >= _PIECE or time.monotonic() - self._since >= _SECONDS:
            self._hand_over()

    def _remember(self) -> None:
        """Read from the task state where the pages of earlier tries are."""
        try:
            self._record = CheckpointState.of(self._state.get(self._key))
        except Exception as error:  # noqa: BLE001 - whatever it is, the extraction goes on without
            self._turn_off("cannot be remembered", error)

    def _hear(self, walk: Walk) -> None:
        """Note whether the walk reuses the pages of an earlier try."""
        if self._recalled:
            if walk.recalled:
                log.info("%d pages of an earlier try are used again.", walk.recalled)
            else:
                self._start_over("the list has changed since they were read")
            self._recalled = 0

    def _kept(self, record: CheckpointState) -> Iterator[KeptPage]:
        """Yield the pages of a run, segment by segment."""
        for number in itertools.count(1):
            try:
                data = self._store.read(segment_name(record.run, number))
            except Exception as error:  # noqa: BLE001 - whatever it is, the extraction goes on without
                raise BrokenSegmentError(f"cannot be read ({type(error).__name__})") from None
            if data is None:
                return
            yield from unseal_segment(data, bytes.fromhex(record.seal))
            self._written = number

    def _hand_over(self) -> None:
        """Queue the pages that came as a segment, and begin the next one."""
        pages, self._pages, self._bytes, self._since = self._pages, [], 0, time.monotonic()
        try:
            if self._writer is None:
                self._writer = self._begin()
            if self._writer.failure is not None:
                raise self._writer.failure  # noqa: TRY301 - it happened in the other thread
            self._writer.offer(pages)  # a store that is too slow has gaps, and those pages are asked for again
        except Exception as error:  # noqa: BLE001 - whatever it is, the extraction goes on without
            self._turn_off("cannot be kept", error)

    def _begin(self) -> SegmentWriter:
        if self._record is None:
            self._record = CheckpointState.begin(self._digest, self._begun_ms)
            self._state.set(self._key, self._record.value())
        seal = bytes.fromhex(self._record.seal)
        return SegmentWriter(self._store, self._record.run, seal, written=self._written, change=self._privacy.apply)

    def _leave(self) -> None:
        """Write the last segment, for the next try."""
        if self._pages and not self._off:
            self._hand_over()
        if self._writer is not None:
            self._writer.close(_PATIENCE)

    def _forget(self) -> None:
        """Remove the segments and the task state."""
        self._pages = []
        if self._writer is not None:
            self._writer.drop()
            self._writer.close(_PATIENCE)
            self._writer = None
        record, self._record = self._record, None
        self._written = 0
        if record is not None:
            try:
                self._store.remove_all(record.run)
                self._state.delete(self._key)
            except Exception as error:  # noqa: BLE001 - whatever it is, the extraction goes on without
                log.warning("The pages kept below resume_path cannot be removed (%s).", type(error).__name__)

    def _start_over(self, why: str) -> None:
        """Discard the pages of an earlier try."""
        log.info("The pages of an earlier try are not used: %s.", why)
        self._recalled = 0
        self._forget()

    def _turn_off(self, what: str, error: Exception) -> None:
        """Save no more pages; those saved before stay until the window is done."""
        log.warning("Pages %s below resume_path (%s): the task goes on without them.", what, type(error).__name__)
        self._off = True
        self._pages = []
        self._recalled = 0
