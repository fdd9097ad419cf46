# SPDX-License-Identifier: Apache-2.0
"""The manifest of a window's recordings, and the names of their files."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_provider_synthflow.storage.base import Store

__all__ = ["DIRECTORY", "MANIFEST_NAME", "RecordingItem", "encode_id", "read_items", "write_manifest"]

DIRECTORY = "recordings"
"""The directory of the recordings, beside the file of the calls."""

MANIFEST_NAME = "_recordings.json"
"""The name of the manifest in that directory: readers of partitioned data pass over names with an underscore."""

_LONGEST_NAME = 180


@dataclass(frozen=True)
class RecordingItem:
    """The status of a call's recording: ``stored``, ``none``, ``missing`` or ``forbidden``."""

    call_id: str
    status: str
    file: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    content_type: str | None = None


def encode_id(call_id: str) -> str:
    """Return an id as the name of a file, without its ending: what is not safe there is percent-encoded."""
    name = quote(call_id, safe="", errors="replace")
    if name.startswith((".", "_")):  # hidden, or not for those who read partitioned data
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:100]}-{hashlib.sha256(call_id.encode(errors='replace')).hexdigest()}"
    return name


def read_items(store: Store, directory: str) -> dict[str, RecordingItem]:
    """Return what the manifest in a directory says of each call; nothing where there is none that can be read."""
    data = store.read(f"{directory}/{MANIFEST_NAME}")
    names = [field.name for field in fields(RecordingItem)]
    try:
        found = [RecordingItem(**{name: each.get(name) for name in names}) for each in json.loads(data or b"")["items"]]
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
    return {item.call_id: item for item in found if isinstance(item.call_id, str)}


def write_manifest(store: Store, directory: str, result: Mapping[str, Any], items: Iterable[RecordingItem]) -> None:
    """Write the manifest of a directory: the result, and an item on each line."""
    head = json.dumps(dict(result), indent=2, ensure_ascii=False).removesuffix("\n}")
    with store.upload(f"{directory}/{MANIFEST_NAME}") as file:
        file.write(f'{head},\n  "items": ['.encode(errors="replace"))
        for number, item in enumerate(items):
            file.write(f"{',' if number else ''}\n    {json.dumps(asdict(item))}".encode())
        file.write(b"\n  ]\n}\n")
