# SPDX-License-Identifier: Apache-2.0
"""What the tests of recordings share: calls that have one, a result that names them, and a job that keeps them."""

from __future__ import annotations

import gzip
import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.recordings.calls import parse_results
from airflow_provider_synthflow.recordings.job import RecordingsJob
from airflow_provider_synthflow.recordings.shelf import RecordingShelf
from airflow_provider_synthflow.storage.open_store import open_store
from tests.unit.making import AGENT, FROM, TO, make_call

if TYPE_CHECKING:
    from pathlib import Path

    from tests.synthflow_server import Call

__all__ = ["DIRECTORY", "make_job", "never_wait", "read_manifest", "recorded_call", "recorded_calls", "write_calls"]

DIRECTORY = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"


def recorded_call(name: str, number: int = 0, **record: Any) -> Call:
    """Make a call whose record promises a recording."""
    promise = {"recording_url": f"https://recordings.example.test/{number}.mp3?sig=planted", "recording_duration": "60"}
    return make_call(name, number * 1000, **{**promise, **record})


def recorded_calls(count: int, **record: Any) -> list[Call]:
    """Make calls whose records promise recordings."""
    return [recorded_call(f"call-{number:04}", number, **record) for number in range(count)]


def write_calls(folder: Path, calls: list[Call], **fields: Any) -> dict[str, Any]:
    """Write calls as a task that lists them does, and return its result."""
    path = folder / DIRECTORY / "calls.jsonl.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = gzip.compress(b"".join(json.dumps(call.record).encode() + b"\n" for call in calls), mtime=0)
    path.write_bytes(data)
    file = {"path": str(path), "format": "jsonl.gz", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return {"model_id": AGENT, "from_date": FROM, "to_date": TO, "count": len(calls), **file, **fields}


def make_job(result: dict[str, Any], output_path: str | None = None, **options: Any) -> RecordingsJob:
    """Make the job of a result."""
    (found,), _ = parse_results(result)
    path = output_path or found.output_path
    store = None if found.output_path is None else open_store(found.output_path)
    return RecordingsJob(found, store, None if path is None else RecordingShelf(open_store(path), found), **options)


def never_wait(missing: int, since: Any) -> None:
    """Go on without what is missing."""
    del missing, since


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of the recordings below an output path."""
    return json.loads((folder / DIRECTORY / "recordings" / "_recordings.json").read_bytes())
