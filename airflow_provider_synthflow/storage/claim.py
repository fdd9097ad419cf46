# SPDX-License-Identifier: Apache-2.0
"""A lock for stores that have none: a hidden file that a task creates and refreshes while it works."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import random
import secrets
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeGuard

__all__ = ["CLAIM_NAME", "claimed"]

log = logging.getLogger(__name__)

CLAIM_NAME = ".claim"
"""The name of the file in the directory."""

_STALE_AFTER = 20.0
_FRESH_EVERY = 5.0
_PAUSE = 0.25
_TOLD_AFTER = 5.0

_active: set[str] = set()
"""The tokens of the claims that this process has, or waits for."""


class _ClaimFile(Protocol):
    """The file of a claim, on a disk or in a store."""

    def read(self) -> bytes | None:
        """Return its bytes, or None where there is no file."""

    def create(self, data: bytes) -> bool:
        """Create it, unless it exists."""

    def take_over(self, old: bytes, new: bytes) -> bool:
        """Replace it, unless its bytes have changed; of several tasks, one succeeds."""

    def refresh(self, old: bytes, new: bytes) -> None:
        """Replace it without a gap, unless its bytes have changed."""

    def remove(self, old: bytes) -> None:
        """Remove it, unless its bytes have changed."""


@contextlib.contextmanager
def claimed(file: _ClaimFile, where: str) -> Iterator[None]:
    """Wait for a claim, and hold it during the context."""
    # A claim that nobody keeps fresh is taken over: at once where its process was on this machine and is dead, else
    # after some seconds by this machine's own clock.
    claim = _Claim(file)
    _active.add(claim.token)
    try:
        claim.take(where)
        ended = threading.Event()
        refresher = threading.Thread(target=claim.keep_fresh, args=(ended,), name="synthflow-claim", daemon=True)
        refresher.start()
        try:
            yield
        finally:
            ended.set()
            refresher.join()
            claim.give_back()
    finally:
        _active.discard(claim.token)


class _Claim:
    """The claim of one task, known by its token."""

    def __init__(self, file: _ClaimFile) -> None:
        self._file = file
        self.token = secrets.token_hex(16)
        self._data = b""  # what the file holds, as far as is known

    def take(self, where: str) -> None:
        """Wait until the claim is free, and take it."""
        seen: bytes | None = None
        begun = since = time.monotonic()
        told = False
        while not self._is_ours(there := self._file.read()):
            if there is None:
                self._file.create(self._make_data())  # whether it was ours, the next reading tells
                continue
            if there != seen:
                seen, since = there, time.monotonic()
            if (_is_dead(there) or time.monotonic() - since > _STALE_AFTER) and self._file.take_over(
                there, self._make_data()
            ):
                continue
            if not told and time.monotonic() - begun > _TOLD_AFTER:
                told = True
                log.info("Another task is writing %s: this one waits until it is done.", where)
            time.sleep(random.uniform(0, _PAUSE))  # noqa: S311 - no secret
        self._data = there

    def keep_fresh(self, ended: threading.Event) -> None:
        """Refresh the file every few seconds, until the end."""
        while not ended.wait(_FRESH_EVERY):
            with contextlib.suppress(Exception):  # of a store that fails meanwhile, which the work itself meets, too
                new = self._make_data()
                self._file.refresh(self._data, new)
                self._data = new

    def give_back(self) -> None:
        """Remove the file; one that cannot be removed soon expires."""
        with contextlib.suppress(Exception):
            self._file.remove(self._data)

    def _is_ours(self, data: bytes | None) -> TypeGuard[bytes]:
        return data is not None and self.token.encode() in data

    def _make_data(self) -> bytes:
        """Return the content of the file, different each time."""
        beat = secrets.token_hex(4)
        return json.dumps({"claim": self.token, "beat": beat, "process": _describe_process()}).encode()


def _describe_process() -> list[str] | None:
    """Return what identifies this process among all machines, None where the system cannot tell."""
    try:
        return [*_describe_machine(), str(os.getpid()), _read_start(os.getpid())]
    except OSError:
        return None


def _describe_machine() -> list[str]:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return [boot, str(Path("/proc/self/ns/pid").readlink())]


def _read_start(process: int) -> str:
    """Return when a living process started, in the system's own count."""
    status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    if status[0] in "ZX":
        raise ProcessLookupError
    return status[19]


def _is_dead(data: bytes) -> bool:
    """Tell whether a claim's process is known to have ended, or is this one, which has lost the claim."""
    try:
        *machine, process, start = _read_process(data)
        if machine != _describe_machine():
            return False
        if int(process) == os.getpid() and start == _read_start(os.getpid()):
            return json.loads(data).get("claim") not in _active
    except (OSError, ValueError):
        return False
    try:
        return _read_start(int(process)) != start
    except (FileNotFoundError, ProcessLookupError):
        return True
    except (OSError, ValueError, IndexError):
        return False


def _read_process(data: bytes) -> list[str]:
    found: Any = json.loads(data)
    process = found.get("process") if isinstance(found, dict) else None
    if not isinstance(process, list) or not all(isinstance(each, str) for each in process):
        raise ValueError("it names no process")
    return process
