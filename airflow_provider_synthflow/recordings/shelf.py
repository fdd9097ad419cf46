# SPDX-License-Identifier: Apache-2.0
"""The directory of a window's recordings: what is there whole, and what is put there."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.recordings.manifest import (
    DIRECTORY,
    MANIFEST_NAME,
    RecordingItem,
    encode_id,
    read_items,
    write_manifest,
)
from airflow_provider_synthflow.storage.base import PIECE
from airflow_provider_synthflow.timestamps import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from airflow_provider_synthflow.recordings.calls import CallsResult
    from airflow_provider_synthflow.storage.base import Store, Upload

__all__ = ["RecordingShelf"]

_WAITING = ".waiting.json"


class RecordingShelf:
    """The recordings of one window in a store; a file there is whole, since it appeared so."""

    def __init__(self, store: Store, result: CallsResult) -> None:
        self._store = store
        self._directory = f"{result.directory}/{DIRECTORY}"
        self._names: dict[str, str] = {}  # of the files that are there, by what precedes their ending
        self._known: dict[str, RecordingItem] = {}
        self.path = store.location(self._directory)

    def prepare(self) -> None:
        """Find the recordings that are there, and remove what killed processes left."""
        self._store.check_writable()
        self._store.sweep(self._directory)
        self._known = read_items(self._store, self._directory)
        for path, size, _ in self._store.list_files(f"{self._directory}/"):
            name = path.rpartition("/")[2]
            if size and name != MANIFEST_NAME:
                self._names[name.rpartition(".")[0]] = name

    def has_file(self, call_id: str) -> bool:
        """Tell whether there is a file of a call, whatever it holds."""
        return encode_id(call_id) in self._names

    def find(self, call_id: str) -> RecordingItem | None:
        """Return the recording of a call that is there, whole, or None."""
        name = self._names.get(encode_id(call_id))
        if name is None:
            return None
        path, known = f"{self._directory}/{name}", self._known.get(call_id)
        if known is not None and known.status == "stored" and known.file == name:
            whole = known.bytes is not None and known.sha256 is not None
            return known if whole and self._store.holds(path, known.bytes or 0, known.sha256 or "") else None
        # A try that did not come to its end has stored it.
        file = self._store.open(path)
        if file is None:
            return None
        digest, size = hashlib.sha256(), 0
        with file:
            while piece := file.read(PIECE):
                digest.update(piece)
                size += len(piece)
        return RecordingItem(call_id, "stored", name, size, digest.hexdigest())

    def upload(self, name: str) -> AbstractContextManager[Upload]:
        """Open a file that is seen, whole, when the context ends without an error."""
        return self._store.upload(f"{self._directory}/{name}")

    def waited_since(self, origin: Mapping[str, str]) -> int:
        """Return since when a task waits for recordings, from its first try on."""
        # It is stored beside the recordings, since no Airflow tells it of all tries of a task.
        now = now_ms()
        with contextlib.suppress(ValueError, TypeError, KeyError):
            told = json.loads(self._store.read(f"{self._directory}/{_WAITING}") or b"")
            if told["origin"] == dict(origin) and 0 < int(told["since"]) <= now:
                return int(told["since"])
        with self.upload(_WAITING) as file:
            file.write(json.dumps({"origin": dict(origin), "since": now}).encode())
        return now

    def publish(self, result: Mapping[str, Any], items: Iterable[RecordingItem]) -> None:
        """Write the manifest, by which all is there that will be."""
        write_manifest(self._store, self._directory, result, items)
        self._store.remove(f"{self._directory}/{_WAITING}")
