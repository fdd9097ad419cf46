# SPDX-License-Identifier: Apache-2.0
"""The check of one window: its files against its manifest, and its calls counted."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.auditing.cure import Origin  # noqa: TC001 - msgspec reads the annotations
from airflow_provider_synthflow.auditing.manifest import (
    FileClaim,
    Manifest,
    RecordingList,
    read_manifest,
    read_recordings,
)
from airflow_provider_synthflow.auditing.stored_file import (
    MissingLibraryError,
    ReadFile,
    StoredCall,
    UnreadableError,
    read_bytes,
    read_calls,
    read_table,
)
from airflow_provider_synthflow.observability.quantities import to_count
from airflow_provider_synthflow.output.publication import MANIFEST_NAME
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from airflow_provider_synthflow.auditing.call_ids import CallIds
    from airflow_provider_synthflow.auditing.lake import WindowFiles
    from airflow_provider_synthflow.storage.base import Store

__all__ = ["CheckedWindow", "WindowCheck"]

RECORDINGS_NAME = "_recordings.json"
DAY_MS = 86_400_000
_RECORDINGS = "recordings/"
_SHOWN = 5


class _Damage(msgspec.Struct, frozen=True, gc=False):
    """A fault of a file, and how to mend it."""

    detail: str
    cure: str = "clear"  # or "remove" (of files that no manifest names) or "recordings"
    paths: tuple[str, ...] = ()  # to remove, below the window's directory


class CheckedWindow(msgspec.Struct, gc=False):
    """A window as its directory, its manifest and its files show it."""

    from_ms: int  # by the directory's name
    to_ms: int
    number: int  # among those of its agent
    format_name: str = ""  # empty: unknown
    calls: int = 0  # by the manifest
    unsettled: int = 0
    extracted_ms: int = 0
    origin: Origin | None = None  # None: there is no manifest
    asked: tuple[int, int] | None = None  # the bounds that were sent; None: unknown
    total: int | None = None  # as the API declared it
    filters: dict[str, Any] | None = None
    damages: tuple[_Damage, ...] = ()
    unrecorded: int = 0  # calls that promise a recording which is not stored
    recordings: Origin | None = None  # what stored them
    directory: str = ""  # below the lake
    days: dict[int, int] | None = None  # calls by day since 1970; None: not read
    bytes: int = 0
    files: int = 0
    unread: int = 0  # files whose format needs a library that is not installed


@dataclass
class WindowCheck:
    """The check of one window's files."""

    store: Store
    found: WindowFiles
    number: int  # among the windows of its agent
    ids: CallIds | None  # None: the files are not read
    by_day: bool = False
    keeps_ids: bool = False
    damages: list[_Damage] = field(default_factory=list)
    encoded_ids: list[bytes] = field(default_factory=list)  # for a journal
    _unread: int = 0
    _days: dict[int, int] = field(default_factory=dict)
    _promised: set[str] = field(default_factory=set)
    _nameless: int = 0

    def run(self) -> CheckedWindow | None:
        """Return what was found; None where the directory has recordings alone, stored apart from their calls."""
        files = self.found.files
        manifest = self._manifest()
        recordings = self._recordings()
        if manifest is None and not self.damages and not any(name.startswith("calls.") for name in files):
            return None
        checked = CheckedWindow(self.found.window.from_ms, self.found.window.to_ms, self.number)
        checked.directory = self.found.directory
        checked.bytes, checked.files = sum(files.values()), len(files)
        if manifest is None:
            checked.format_name = next((name[6:] for name in sorted(files) if name.startswith("calls.")), "")
        else:
            self._describe(checked, manifest)
            whole = self._check(manifest.calls, partial(self._read_calls, manifest.format_name))
            checked.days = self._days if self.by_day and self.ids is not None and whole else None
            for table in manifest.tables:
                self._check(table, read_table)
            known = {manifest.calls.name, *(table.name for table in manifest.tables)}
            self._find_strays(self._beside_recordings(), known, "the manifest")
        self._check_recordings(recordings)
        checked.recordings = None if recordings is None else recordings.origin
        checked.unrecorded = self._count_unrecorded(recordings)
        checked.damages, checked.unread = tuple(self.damages), self._unread
        return checked

    def _describe(self, checked: CheckedWindow, manifest: Manifest) -> None:
        checked.format_name, checked.calls = manifest.format_name, manifest.calls.rows or 0
        checked.unsettled, checked.extracted_ms = manifest.unsettled, manifest.extracted_ms
        checked.origin, checked.asked, checked.total = manifest.origin, manifest.asked, manifest.total
        checked.filters = manifest.filters or None

    def _manifest(self) -> Manifest | None:
        """Return the window's manifest, or None, with a damage, where there is none for this window."""
        files, window = self.found.files, self.found.window
        if MANIFEST_NAME not in files:
            if orphans := sorted(self._beside_recordings()):
                self.damages.append(_Damage(f"{_name(orphans)} without a manifest."))
            return None
        manifest = None
        try:
            data = self.store.read(f"{self.found.directory}/{MANIFEST_NAME}")
            manifest = None if data is None else read_manifest(data)
        except ValueError:
            pass
        if manifest is None:
            self.damages.append(_Damage("The manifest cannot be read."))
        elif (manifest.model_id, manifest.from_ms, manifest.to_ms) != (
            self.found.model_id,
            window.from_ms,
            window.to_ms,
        ):
            told = f"{format_instant(manifest.from_ms)} to {format_instant(manifest.to_ms)}"
            other = "" if manifest.model_id == self.found.model_id else ", and another agent"
            self.damages.append(_Damage(f"The manifest speaks of another window than its directory: {told}{other}."))
            return None
        return manifest

    def _check(self, claim: FileClaim, read: Callable[[ReadFile], int | None], cure: str = "clear") -> bool:
        """Tell whether a file is as its manifest says."""
        size = self.found.files.get(claim.name)
        wrong = "is not there" if size is None else None
        if size is not None and size != claim.size:
            wrong = f"has {to_count(size, 'byte')}, and its manifest says {claim.size:,}"
        elif size is not None and self.ids is not None:
            wrong = self._read(claim, read)
        if wrong is not None:
            self.damages.append(_Damage(f"{claim.name} {wrong}.", cure))
        return wrong is None

    def _read(self, claim: FileClaim, read: Callable[[ReadFile], int | None]) -> str | None:
        """Read a file, and return what is wrong with it."""
        rows, unreadable = None, False
        stored = self.store.open(f"{self.found.directory}/{claim.name}")
        if stored is None:
            return "is not there"
        with stored as opened:
            file = ReadFile(opened)
            try:
                rows = read(file)
            except MissingLibraryError:
                self._unread += 1
            except UnreadableError:
                unreadable = True
            sha256 = file.read_rest()
        if file.size != claim.size:
            return f"has {to_count(file.size, 'byte')}, and its manifest says {claim.size:,}"
        if sha256 != claim.sha256:
            return "has other bytes than its manifest says (SHA-256)"
        if unreadable:
            return "cannot be read, though its bytes are those of its manifest"
        if rows is not None and claim.rows is not None and rows != claim.rows:
            return f"has {to_count(rows, 'row')}, and its manifest says {claim.rows:,}"
        return None

    def _read_calls(self, format_name: str, file: ReadFile) -> int:
        return read_calls(file, format_name, self._count_calls)

    def _count_calls(self, calls: list[StoredCall]) -> None:
        window, days = self.found.window, self._days
        for call in calls:
            if self.by_day and call.started_ms is not None:
                day = call.started_ms // DAY_MS
                days[day] = days.get(day, 0) + 1
            if call.promises and call.call_id is not None:
                self._promised.add(call.call_id)
            elif call.promises:
                self._nameless += 1
        if self.ids is not None:
            found = [
                (call.call_id, call.started_ms is not None and call.started_ms in window)
                for call in calls
                if call.call_id is not None
            ]
            self.ids.add(self.number, found)
            if self.keeps_ids:
                self.encoded_ids.append(msgspec.json.encode(found))

    def _find_strays(self, files: Iterable[str], known: set[str], beside: str) -> None:
        """Add a damage for files that no manifest names, since readers of the directory would read them too."""
        strays = sorted(set(files) - known)
        if strays:
            detail = f"{_name(strays)} beside {beside}, which does not speak of it."
            self.damages.append(_Damage(detail, "remove", tuple(strays)))

    def _beside_recordings(self) -> list[str]:
        """Return the files of calls and tables."""
        return [name for name in self.found.files if not name.startswith((_RECORDINGS, "_"))]

    def _in_recordings(self) -> list[str]:
        return [name for name in self.found.files if name.startswith(_RECORDINGS)]

    def _recordings(self) -> RecordingList | None:
        """Return the list of the window's recordings, or None, with a damage, where it cannot be read."""
        files = self.found.files
        name = next((name for name in (f"recordings/{RECORDINGS_NAME}", RECORDINGS_NAME) if name in files), None)
        if name is None:
            if stored := sorted(self._in_recordings()):
                self.damages.append(_Damage(f"{_name(stored)} without {RECORDINGS_NAME}.", "recordings"))
            return None
        try:
            data = self.store.read(f"{self.found.directory}/{name}")
            return None if data is None else read_recordings(data)
        except ValueError:
            self.damages.append(_Damage(f"{RECORDINGS_NAME} cannot be read.", "recordings"))
            return None

    def _check_recordings(self, recordings: RecordingList | None) -> None:
        if recordings is None:
            return
        for claim in recordings.files:
            self._check(claim, read_bytes, "recordings")
        known = {claim.name for claim in recordings.files} | {f"recordings/{RECORDINGS_NAME}"}
        self._find_strays(self._in_recordings(), known, RECORDINGS_NAME)

    def _count_unrecorded(self, recordings: RecordingList | None) -> int:
        """Count the calls of this window that promise a recording which is not stored."""
        if recordings is None:
            return len(self._promised) + self._nameless
        return len((self._promised | recordings.missing) - recordings.stored)


def _name(paths: list[str]) -> str:
    """Join the names of the first files, and say how many more there are."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(paths[:_SHOWN]) + more
