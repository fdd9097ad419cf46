# SPDX-License-Identifier: Apache-2.0
"""The ids of an agent's calls: ten million of them in a few mebibytes of memory, the rest on disk."""

from __future__ import annotations

import shutil
import tempfile
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_provider_synthflow.storage.disk_errors import typed_temporary_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from typing_extensions import Self

__all__ = ["CallIds", "Whereabouts"]

_PARTS = 64
_IN_MEMORY = 16 * 1024 * 1024

Whereabouts = list[tuple[int, bool]]
"""The numbers of the windows that hold a call, each with whether the call starts in it."""


class CallIds:
    """The ids of an agent's calls, partitioned by their hash; any thread may add to them."""

    # Duplicates are searched one part at a time, so that memory does not grow with the number of ids.

    def __init__(self) -> None:
        self._parts = [bytearray() for _ in range(_PARTS)]
        self._held = 0
        self._folder: Path | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Return the ids themselves."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is on the disk."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, window: int, calls: Iterable[tuple[str, bool]]) -> None:
        """Add calls of a window: their ids, and whether they start in it."""
        inside, outside = b"\t%d\t1" % window, b"\t%d\t0" % window
        lines = [
            (_escape(call_id), inside if starts_there else outside)  # by bytes, since an id is any text
            for call_id, starts_there in calls
        ]
        with self._lock:
            for name, rest in lines:
                part = self._parts[zlib.crc32(name) % _PARTS]
                part += name
                part += rest
                part += b"\n"
                self._held += len(name) + len(rest) + 1
            if self._held > _IN_MEMORY:
                self._spill()

    def repeated(self) -> Iterator[tuple[str, Whereabouts]]:
        """Yield each id that came more than once, with the windows that hold it."""
        for number in range(_PARTS):
            first: dict[bytes, bytes] = {}
            several: dict[bytes, list[bytes]] = {}
            for line in self._part(number).splitlines():
                name, _, where = line.partition(b"\t")
                if name not in first:
                    first[name] = where
                else:
                    several.setdefault(name, [first[name]]).append(where)
            for name, holders in sorted(several.items()):
                yield _unescape(name), sorted(_parse_holder(holder) for holder in holders)

    def _part(self, number: int) -> bytes:
        stored = b"" if self._folder is None else (self._folder / str(number)).read_bytes()
        return stored + bytes(self._parts[number])

    def _spill(self) -> None:
        with typed_temporary_errors():
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="synthflow-audit-"))
            for number, part in enumerate(self._parts):
                with (self._folder / str(number)).open("ab") as file:
                    file.write(part)
                part.clear()
        self._held = 0


def _escape(call_id: str) -> bytes:
    """Escape line and column ends in an id; nearly all ids have none."""
    if call_id.isascii() and call_id.isprintable() and "\\" not in call_id:
        return call_id.encode()
    return call_id.encode("unicode_escape", "surrogatepass")


def _unescape(name: bytes) -> str:
    return name.decode("unicode_escape") if b"\\" in name else name.decode()


def _parse_holder(holder: bytes) -> tuple[int, bool]:
    window, _, inside = holder.partition(b"\t")
    return int(window), inside == b"1"
