# SPDX-License-Identifier: Apache-2.0
"""The content of a manifest, and whether it is one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_synthflow.output.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["is_same_manifest", "list_told_bytes", "parse_manifest", "read_tables", "tells_of_file"]

_INCIDENTAL = {
    *("changed", "extracted_at", "pages", "requests", "walks", "provider_version"),
    *("dag_id", "task_id", "run_id", "logical_date"),
}
"""What a manifest says of how and when it came about: where nothing else is new, it stays as it is."""


def tells_of_file(manifest: Mapping[str, Any]) -> bool:
    """Tell whether a manifest says of a file what it must."""
    size, format_name, sha256 = (manifest.get(name) for name in ("bytes", "format", "sha256"))
    return isinstance(size, int) and format_name in FORMATS and isinstance(sha256, str)


def is_same_manifest(manifest: Mapping[str, Any], told: Mapping[str, Any]) -> bool:
    """Tell whether a manifest says what a new one would, whenever and however that came about."""
    told = json.loads(json.dumps(told))
    return all(manifest.get(name) == told.get(name) for name in (manifest.keys() | told.keys()) - _INCIDENTAL)


def parse_manifest(data: bytes | None) -> dict[str, Any] | None:
    """Read a manifest; None where it is none."""
    try:
        manifest = None if data is None else json.loads(data)
    except ValueError:
        return None
    return cast("dict[str, Any]", manifest) if isinstance(manifest, dict) else None


def list_told_bytes(manifest: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Yield the size and the SHA-256 of each file that a manifest speaks of."""
    for told in (manifest, *read_tables(manifest).values()):
        yield told.get("bytes"), told.get("sha256")


def read_tables(manifest: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what a manifest tells of its tables, as far as it can be read."""
    told = (manifest or {}).get("tables")
    if not isinstance(told, dict):
        return {}
    return {
        name: table
        for name, table in told.items()
        if isinstance(table, dict) and isinstance(table.get("bytes"), int) and isinstance(table.get("sha256"), str)
    }
