# SPDX-License-Identifier: Apache-2.0
"""The windows that an audit has found whole, kept so that the audit can go on after it was interrupted."""

from __future__ import annotations

import heapq
import os
import re
import secrets
import time
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.auditing.window_check import CheckedWindow  # noqa: TC001 - msgspec reads it
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from airflow_provider_synthflow.auditing.lake import WindowFiles
    from airflow_provider_synthflow.auditing.window_check import WindowCheck
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["Journal", "WholeWindow", "encode_window", "open_journal"]

_SEGMENT = re.compile(r"([0-9a-f]{16})/\d{6}\.jsonl")
_BYTES = 4 * 1024 * 1024
_SECONDS = 2.0
_LONGEST_MS = 24 * 3_600_000  # a later audit reads all anew: disks and stores lose bytes without a word


class WholeWindow(msgspec.Struct, gc=False):
    """A window in which nothing was found, its files as they were listed, and the ids of its calls."""

    directory: str
    files: dict[str, tuple[int, str | None]]
    checked: CheckedWindow
    ids: list[list[tuple[str, bool]]]  # with whether each call starts in the window


class _Header(msgspec.Struct):
    """The lake and the version that a segment belongs to."""

    lake: str
    version: str
    written_ms: int


_header_decoder = msgspec.json.Decoder(_Header)
_decoder = msgspec.json.Decoder(WholeWindow)


def open_journal(path: str, conn_id: str | None, lake: str, *, name: str = "resume_path") -> Journal:
    """Open the journal of a lake's audit in a directory of any store, outside the lake."""
    if _make_root(path).startswith(_make_root(lake)):
        msg = f"{name} {path} is in the lake, into which an audit writes nothing. Name a directory elsewhere."
        raise SynthflowConfigError(msg)
    store = open_store(path, None if FileAddress.parse(path).is_local else conn_id, name=name)
    store.check_writable()
    return Journal(store, _make_root(lake), f"{name} {path}")


def _make_root(path: str) -> str:
    address = FileAddress.parse(path)
    return f"{os.path.realpath(address.key)}/" if address.is_local else f"{address.url.rstrip('/')}/"


@dataclass
class Journal(AbstractContextManager["Journal"]):
    """Segments of JSON lines, in one directory for each try; all are removed once the audit is finished."""

    # Windows are added and searched for in the order in which the lake is listed, so that no try is held in memory.

    store: Store
    lake: str
    name: str
    is_finished: bool = False
    used: int = 0  # windows that were not read again
    _run: str = field(default_factory=lambda: secrets.token_hex(8))
    _written: int = 0
    _lines: bytearray = field(default_factory=bytearray)
    _since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        segments = sorted(each.path for each in self.store.list_files() if _SEGMENT.fullmatch(each.path))
        runs = {run: list(paths) for run, paths in groupby(segments, key=lambda path: path.partition("/")[0])}
        self._runs = set(runs)
        self._kept = heapq.merge(*map(self._read_run, runs.values()), key=_make_key)
        self._next = next(self._kept, None)

    def __exit__(self, *_: object) -> None:
        """Remove all where the audit is finished, else write what is due."""
        if self.is_finished:
            for run in self._runs:
                self.store.remove_all(run)
        else:
            self._write()

    def find(self, window: WindowFiles, *, by_day: bool) -> WholeWindow | None:
        """Return a window that was found whole and has the same files now."""
        key, found = f"{window.directory}/", None
        while self._next is not None and (there := _make_key(self._next)) <= key:
            if (
                there == key
                and self._next.files == window.listed
                and (self._next.checked.days is not None or not by_day)
            ):
                found = self._next
            self._next = next(self._kept, None)
        self.used += found is not None
        return found

    def add(self, line: bytes) -> None:
        """Keep a window."""
        self._lines += line + b"\n"
        if len(self._lines) >= _BYTES or time.monotonic() - self._since >= _SECONDS:
            self._write()

    def _write(self) -> None:
        if self._lines:
            self._written += 1
            self._runs.add(self._run)
            header = msgspec.json.encode(_Header(self.lake, __version__, now_ms()))
            self.store.put_private(f"{self._run}/{self._written:06}.jsonl", header + b"\n" + self._lines)
        self._lines, self._since = bytearray(), time.monotonic()

    def _read_run(self, segments: Iterable[str]) -> Iterator[WholeWindow]:
        for path in segments:
            file = self.store.open(path)
            if file is None:
                continue
            with file:
                if not self._serves(file.readline()):
                    continue
                for line in file:
                    with suppress(msgspec.MsgspecError, UnicodeError):  # a line that was cut off or damaged
                        yield _decoder.decode(line)

    def _serves(self, line: bytes) -> bool:
        """Tell whether a segment can be used."""
        try:
            header = _header_decoder.decode(line)
        except (msgspec.MsgspecError, UnicodeError):
            return False
        if (header.lake, header.version) != (self.lake, __version__):
            msg = f"{self.name} is of another lake's audit, or another version's. Name another directory, or empty it."
            raise SynthflowConfigError(msg)
        return abs(now_ms() - header.written_ms) <= _LONGEST_MS


def encode_window(check: WindowCheck, checked: CheckedWindow) -> bytes | None:
    """Return a journal's line for a window, None for one that must be read again."""
    listed = check.found.listed
    if checked.damages or checked.unread or any(version is None for _, version in listed.values()):
        return None
    ids = [msgspec.Raw(each) for each in check.encoded_ids]
    with suppress(UnicodeError):  # a name that is no Unicode text
        return msgspec.json.encode(
            {"directory": check.found.directory, "files": listed, "checked": checked, "ids": ids}
        )
    return None


def _make_key(window: WholeWindow) -> str:
    return f"{window.directory}/"
