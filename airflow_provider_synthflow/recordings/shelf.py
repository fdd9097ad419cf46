# SPDX-License-Identifier: Apache-2.0
"""The directory of a window's recordings: what is there whole, what is put there, and the manifest of it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_synthflow.storage.base import PIECE
from airflow_provider_synthflow.timestamps import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from airflow_provider_synthflow.recordings.calls import CallsResult
    from airflow_provider_synthflow.storage.base import Store, Upload

__all__ = ["RecordingItem", "RecordingShelf", "encode_id"]

_DIRECTORY = "recordings"
"""The directory of the recordings, beside the file of the calls."""

_MANIFEST_NAME = "_recordings.json"
"""The name of the manifest in that directory: readers of partitioned data pass over names with an underscore."""

_LONGEST_NAME = 180
_WAITING = ".waiting.json"


@dataclass(frozen=True)
class RecordingItem:
    """The status of a call's recording: ``stored``, ``none``, ``missing`` or ``forbidden``."""

    call_id: str
    status: str
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    content_type: str | None = None


class RecordingShelf:
    """The recordings of one window in a store; a file there is whole, since it appeared so."""

    def __init__(self, store: Store, result: CallsResult) -> None:
        self._store = store
        self._directory = f"{result.directory}/{_DIRECTORY}"
        self._names: dict[str, str] = {}  # of the files that are there, by what precedes their ending
        self._known: dict[str, RecordingItem] = {}
        self.path = store.location(self._directory)

    def prepare(self) -> None:
        """Find the recordings that are there, and remove what killed processes left."""
        self._store.check_writable()
        self._store.sweep(self._directory)
        self._known = _read_items(self._store, self._directory)
        for path, size, _ in self._store.list_files(f"{self._directory}/"):
            name = path.rpartition("/")[2]
            if size and name != _MANIFEST_NAME:
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
        _write_manifest(self._store, self._directory, result, items)
        self._store.remove(f"{self._directory}/{_WAITING}")


def encode_id(call_id: str) -> str:
    """Return an id as the name of a file, without its ending: what is not safe there is percent-encoded."""
    name = quote(call_id, safe="", errors="replace")
    if name.startswith((".", "_")):  # hidden, or not for those who read partitioned data
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:100]}-{hashlib.sha256(call_id.encode(errors='replace')).hexdigest()}"
    return name


def _read_items(store: Store, directory: str) -> dict[str, RecordingItem]:
    """Return what the manifest in a directory says of each call; nothing where there is none that can be read."""
    data = store.read(f"{directory}/{_MANIFEST_NAME}")
    names = [field.name for field in fields(RecordingItem)]
    try:
        found = [RecordingItem(**{name: each.get(name) for name in names}) for each in json.loads(data or b"")["items"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {item.call_id: item for item in found if isinstance(item.call_id, str)}


def _write_manifest(store: Store, directory: str, result: Mapping[str, Any], items: Iterable[RecordingItem]) -> None:
    """Write the manifest of a directory: the result, and an item on each line."""
    head = json.dumps(dict(result), indent=2, ensure_ascii=False).removesuffix("\n}")
    with store.upload(f"{directory}/{_MANIFEST_NAME}") as file:
        file.write(f'{head},\n  "items": ['.encode(errors="replace"))
        for number, item in enumerate(items):
            file.write(f"{',' if number else ''}\n    {json.dumps(asdict(item))}".encode())
        file.write(b"\n  ]\n}\n")
