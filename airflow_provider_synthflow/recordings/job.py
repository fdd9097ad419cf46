# SPDX-License-Identifier: Apache-2.0
"""The recordings of one window brought to a store: each once, whole, and only those that are not there."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.recording import RecordingDownloader, RecordingTooLargeError
from airflow_provider_synthflow.client.transport import CLOSED
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.observability.quantities import to_count, to_size
from airflow_provider_synthflow.recordings.calls import read_calls
from airflow_provider_synthflow.recordings.shelf import RecordingItem, encode_id
from airflow_provider_synthflow.recordings.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.recordings.calls import CallsResult, RecordedCall
    from airflow_provider_synthflow.recordings.shelf import RecordingShelf
    from airflow_provider_synthflow.storage.base import Store, Upload

__all__ = ["RecordingsJob"]

log = logging.getLogger(__name__)

_FAILURES_IN_A_ROW = 5
_NAMED = 5
_EVERY = 5.0
_OF_ONE = (SynthflowTransientError, SynthflowProtocolError, SynthflowRequestError, RecordingTooLargeError)
"""What is wrong with one recording, and may not be with the others."""


class RecordingsJob:
    """The recordings of one window's calls, and where they go."""

    def __init__(
        self,
        result: CallsResult,
        calls_store: Store | None,  # None: the result has the calls
        shelf: RecordingShelf | None,  # None: there are no calls
        *,
        on_missing: str = "include",
        concurrency: int = 4,
        max_bytes: int | None = None,
        origin: Mapping[str, str] | None = None,
    ) -> None:
        self.result = result
        self._calls_store = calls_store
        self._shelf = shelf
        self._on_missing = on_missing
        self._concurrency = concurrency
        self._max_bytes = max_bytes
        self._origin = origin or {}
        self._items: dict[str, RecordingItem] = {}
        self._progress = _RecordingProgress(0)
        self._slots = threading.Semaphore(concurrency)
        # Twice as many as download: the next recording comes while the disk or the store still has to take one.
        self._workers: Workers[RecordedCall] = Workers(2 * concurrency)
        self._downloader: RecordingDownloader | None = None
        self.downloaded = 0
        self.downloaded_bytes = 0
        self.seconds = 0.0

    def close(self) -> None:
        """End at once; what is under way is not seen."""
        self._workers.close()
        if self._downloader is not None:
            self._downloader.close()

    def run(self, client: SynthflowClient, *, wait: Callable[[int, Callable[[], int]], None]) -> dict[str, Any]:
        """Download what is missing, and write the manifest; ``wait`` may raise to wait for promised recordings."""
        calls = read_calls(self.result, self._calls_store)
        shelf = self._shelf
        if shelf is None:
            return self._count([], None)
        shelf.prepare()
        due = [call for call in calls if call.can_have or (call.call_id and shelf.has_file(call.call_id))]
        promised = [call for call in due if call.promises]
        self._progress = _RecordingProgress(len(due))
        with RecordingDownloader(
            client, max_bytes=self._max_bytes, on_bytes=self._progress.add_bytes
        ) as self._downloader:
            self._bring(promised, shelf)
            self._check_missing(promised, shelf, wait)
            self._bring([call for call in due if not call.promises], shelf)
        items = [self._items.get(call.call_id) or RecordingItem(call.call_id, "none") for call in calls]
        result = self._count(items, shelf.path)
        shelf.publish({**result, **self._origin}, items)
        self.downloaded_bytes, self.seconds = self._progress.bytes, self._progress.seconds
        self._tell(result)
        return result

    def _bring(self, calls: Sequence[RecordedCall], shelf: RecordingShelf) -> None:
        """Process calls, several at a time, and raise in the end for those that failed."""
        failures: list[SynthflowError] = []
        in_a_row = 0

        def bring(call: RecordedCall) -> RecordingItem:
            try:
                return self._bring_one(call, shelf)
            except _OF_ONE:
                raise
            except BaseException:
                self._workers.stop()  # the others would meet it, too
                raise

        for call, outcome in self._workers.run(calls, bring, self._progress.tell):
            self._progress.add_call()
            if isinstance(outcome, RecordingItem):
                self._items[call.call_id] = outcome
                in_a_row = 0
                continue
            self._raise_what_concerns_all(outcome, shelf)
            log.warning("A recording was not stored: %s", outcome)
            failures.append(outcome)
            in_a_row += 1
            if in_a_row >= max(_FAILURES_IN_A_ROW, self._concurrency):
                break
        if failures:
            raise self._make_error(failures)

    def _bring_one(self, call: RecordedCall, shelf: RecordingShelf) -> RecordingItem:
        """Return the recording that is there, or download it, and tell what became of it."""
        there = shelf.find(call.call_id)
        if there is not None:
            return there
        names: list[str] = []
        slot = contextlib.ExitStack()

        @contextlib.contextmanager
        def open_sink(extension: str) -> Iterator[Upload]:
            names.append(f"{encode_id(call.call_id)}.{extension}")
            with shelf.upload(names[-1]) as upload:
                yield upload
                if self._workers.closed:
                    raise SynthflowTransientError(CLOSED)
                slot.close()  # all bytes have come

        try:
            with slot:
                slot.enter_context(self._slots)
                if self._downloader is None or self._workers.ended:
                    raise SynthflowTransientError(CLOSED)
                found = self._downloader.download(call.call_id, open_sink)
        except SynthflowAuthError as error:
            if error.status != 403:
                raise
            return RecordingItem(call.call_id, "forbidden")
        except SynthflowRequestError as error:
            if error.status != 404:
                raise
            return RecordingItem(call.call_id, "missing" if call.promises else "none")
        self.downloaded += 1
        return RecordingItem(call.call_id, "stored", names[-1], found.bytes, found.sha256, found.content_type)

    def _raise_what_concerns_all(self, error: BaseException, shelf: RecordingShelf) -> None:
        """Raise what the other recordings would meet, too."""
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
            msg = f"The disk of {shelf.path} is full. Make room and run the task again: {self._told_stored()}."
            raise SynthflowTransientError(msg) from None
        if not isinstance(error, _OF_ONE):
            raise error

    def _make_error(self, failures: Sequence[SynthflowError]) -> SynthflowError:
        """Return the error that stands for all: one that a retry may mend, where there is one."""
        error = next((each for each in failures if not isinstance(each, SynthflowConfigError)), failures[0])
        many = "1 recording" if len(failures) == 1 else f"{len(failures):,} recordings"
        kind = SynthflowConfigError if isinstance(error, RecordingTooLargeError) else type(error)
        made = kind(f"{many} could not be stored, and {self._told_stored()}. {error.args[0]}")
        made.__dict__.update(error.__dict__)
        return made

    def _told_stored(self) -> str:
        stored = sum(item.status == "stored" for item in self._items.values())
        return f"the {stored:,} that are stored stay and are not downloaded again"

    def _check_missing(
        self,
        promised: Sequence[RecordedCall],
        shelf: RecordingShelf,
        wait: Callable[[int, Callable[[], int]], None],
    ) -> None:
        """Wait for what is promised and not there; in the end it is included, or an error."""
        missing = [call.call_id for call in promised if self._items[call.call_id].status == "missing"]
        if not missing:
            return
        wait(len(missing), lambda: shelf.waited_since(self._origin))
        if self._on_missing == "fail":
            named = ", ".join(each for each in missing[:_NAMED] if encode_id(each) == each)
            msg = (
                f"{len(missing):,} of {len(promised):,} recordings that the calls promise are not there"
                f"{f' (calls {named})' if named else ''}, and on_missing is 'fail'. "
                "Raise max_wait, or use on_missing='include'."
            )
            raise SynthflowIncompleteError(msg, expected=len(promised), received=len(promised) - len(missing))

    def _count(self, items: Sequence[RecordingItem], path: str | None) -> dict[str, Any]:
        counts = Counter(item.status for item in items)
        return {
            "model_id": self.result.model_id,
            "from_date": self.result.window.from_iso,
            "to_date": self.result.window.to_iso,
            "calls": len(items),
            "recordings": counts["stored"],
            "bytes": sum(item.bytes or 0 for item in items),
            "none": counts["none"],
            "missing": counts["missing"],
            "forbidden": counts["forbidden"],
            "downloaded": self.downloaded,
            "path": path,
        }

    def _tell(self, result: Mapping[str, Any]) -> None:
        """Close the log of the window with a line, and say what a person may have to mend."""
        told = "".join(f", {result[name]:,} {name}" for name in ("none", "missing", "forbidden") if result[name])
        log.info(
            "%s (%s) of %s of agent %s in %s; %s downloaded now%s; %.1f s: %s",
            to_count(result["recordings"], "recording"),
            to_size(result["bytes"]),
            to_count(result["calls"], "call"),
            self.result.model_id,
            self.result.window,
            f"{self.downloaded:,}",
            told,
            self.seconds,
            result["path"],
        )
        if result["forbidden"]:
            log.warning(
                "The key is not entitled to %s (HTTP 403): check its workspace and plan, and run again.",
                to_count(result["forbidden"], "recording"),
            )


class _RecordingProgress:
    """The progress of downloads, logged every few seconds, fed by any number of threads."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._reported = self._begun = time.monotonic()
        self._lock = threading.Lock()
        self.done = 0
        self.bytes = 0

    @property
    def seconds(self) -> float:
        """Return how long it has taken so far."""
        return time.monotonic() - self._begun

    def add_bytes(self, count: int) -> None:
        """Count bytes that came."""
        with self._lock:
            self.bytes += count

    def add_call(self) -> None:
        """Count a call that is done."""
        self.done += 1

    def tell(self) -> None:
        """Log how far it is, where that is due."""
        now = time.monotonic()
        if now - self._reported < _EVERY:
            return
        self._reported = now
        seconds = max(now - self._begun, 0.001)
        left = f", about {(self._total - self.done) * seconds / self.done:,.0f} s left" if self.done else ""
        log.info(
            "Recordings of %s of %s calls looked at, %s downloaded, %s a second%s.",
            f"{self.done:,}",
            f"{self._total:,}",
            to_size(self.bytes),
            to_size(self.bytes / seconds),
            left,
        )
