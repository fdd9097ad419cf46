# SPDX-License-Identifier: Apache-2.0
"""A window's manifest, as any version of this package wrote it, and the list of its recordings."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from airflow_provider_synthflow.auditing.cure import NO_ORIGIN, Origin
from airflow_provider_synthflow.timestamps import to_milliseconds

__all__ = ["FileClaim", "Manifest", "RecordingList", "read_manifest", "read_recordings"]


@dataclass(frozen=True)
class FileClaim:
    """The size and the hash of a file by its manifest."""

    name: str  # below the window's directory
    size: int
    sha256: str
    rows: int | None = None  # None: it has no rows


@dataclass(frozen=True)
class Manifest:
    """The fields of a window's manifest that an audit needs."""

    calls: FileClaim
    format_name: str
    tables: tuple[FileClaim, ...]
    model_id: str
    from_ms: int
    to_ms: int
    unsettled: int
    filters: dict[str, Any]
    asked: tuple[int, int] | None  # the bounds that were sent; older versions wrote none
    total: int | None  # as the API declared it
    extracted_ms: int  # 0: unknown
    origin: Origin


@dataclass(frozen=True)
class RecordingList:
    """The recordings of a window: the files, and the ids of the calls by what came of them."""

    files: tuple[FileClaim, ...]
    stored: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()  # promised, and not there
    origin: Origin = NO_ORIGIN


def read_manifest(data: bytes) -> Manifest:
    """Read a manifest; ``ValueError`` where it is none."""
    found = _read_object(data)
    path, format_name = _text(found, "path"), found.get("format")
    name = path.replace("\\", "/").rpartition("/")[2]
    if not isinstance(format_name, str):
        format_name = name.partition(".")[2]
    tables = found.get("tables") or {}
    asked = found.get("asked") or {}
    bounds = (_instant(asked.get("from_date")), _instant(asked.get("to_date"))) if isinstance(asked, dict) else ()
    from_ms, to_ms = _instant(found.get("from_date")), _instant(found.get("to_date"))
    if from_ms is None or to_ms is None or not isinstance(tables, dict):
        raise ValueError
    filters = found.get("query") or {}
    return Manifest(
        calls=FileClaim(name, _whole(found, "bytes"), _text(found, "sha256"), _whole(found, "count")),
        format_name=format_name,
        tables=tuple(_read_table(name, each) for name, each in tables.items()),
        model_id=_text(found, "model_id"),
        from_ms=from_ms,
        to_ms=to_ms,
        unsettled=found["unsettled"] if isinstance(found.get("unsettled"), int) else 0,
        filters=filters if isinstance(filters, dict) else {},
        asked=bounds if len(bounds) == 2 and None not in bounds else None,  # type: ignore[arg-type]
        total=found["total_records"] if isinstance(found.get("total_records"), int) else None,
        extracted_ms=_instant(found.get("extracted_at")) or 0,
        origin=_read_origin(found),
    )


def read_recordings(data: bytes) -> RecordingList:
    """Read the list of a window's recordings; ``ValueError`` where it is none."""
    found = _read_object(data)
    items = found.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError
    by_status: dict[str, list[dict[str, Any]]] = {}
    for item in items:
        by_status.setdefault(str(item.get("status")), []).append(item)
    stored = by_status.get("stored", [])
    names = {each: frozenset(str(item.get("call_id")) for item in by_status.get(each, ())) for each in by_status}
    return RecordingList(
        files=tuple(
            FileClaim(
                f"recordings/{_text(item, 'file').rpartition('/')[2]}", _whole(item, "bytes"), _text(item, "sha256")
            )
            for item in stored
        ),
        stored=names.get("stored", frozenset()),
        missing=names.get("missing", frozenset()),
        origin=_read_origin(found),
    )


def _read_table(name: str, found: Any) -> FileClaim:
    if not isinstance(found, dict):
        raise ValueError  # noqa: TRY004 - what reads it expects this one
    path = found.get("path")
    file = path.replace("\\", "/").rpartition("/")[2] if isinstance(path, str) else f"{name}.parquet"
    return FileClaim(file, _whole(found, "bytes"), _text(found, "sha256"), _whole(found, "rows"))


def _read_object(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except RecursionError:
        found = None
    if not isinstance(found, dict):
        raise ValueError  # noqa: TRY004 - what reads it expects this one
    return found


def _read_origin(found: dict[str, Any]) -> Origin:
    names = (found.get(name) for name in ("dag_id", "task_id", "run_id"))
    dag_id, task_id, run_id = (sys.intern(name) if isinstance(name, str) and name else None for name in names)
    return Origin(dag_id, task_id, run_id, _instant(found.get("logical_date")))


def _instant(value: Any) -> int | None:
    try:
        return to_milliseconds(value)
    except ValueError:
        return None


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _whole(found: dict[str, Any], name: str) -> int:
    value = found.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError
    return value
