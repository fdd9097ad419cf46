# SPDX-License-Identifier: Apache-2.0
"""Lakes of a few windows, as this package writes them, and what harms them."""

from __future__ import annotations

import gzip
import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.auditing.cure import Cures
from airflow_provider_synthflow.auditing.journal import open_journal
from airflow_provider_synthflow.auditing.lake_audit import AuditOutcome, AuditPlan, audit_lake
from airflow_provider_synthflow.auditing.progress import LogProgress
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import format_instant
from airflow_provider_synthflow.window.window import Window
from dev.audit_scale import make_lake as make_hours
from tests.unit.making import AGENT, DAY, FROM_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.auditing.journal import Journal
    from airflow_provider_synthflow.storage.base import Store

__all__ = [
    "audit",
    "check_lake_of_many_pages",
    "directory",
    "edit",
    "kinds",
    "make_lake",
    "record",
    "rewrite",
    "write_window",
]


def record(name: str, start_ms: int, **fields: Any) -> dict[str, Any]:
    """Make a stored call."""
    return {"call_id": name, "call_status": "completed", "start_time": str(start_ms), "transcript": "bot: Hi", **fields}


def write_window(
    root: Path,
    from_ms: int,
    to_ms: int,
    records: Sequence[dict[str, Any]],
    *,
    agent: str = AGENT,
    output_format: str = "jsonl.gz",
    **manifest: Any,
) -> Path:
    """Publish a window as the operator does, and return its directory."""
    window = Window(from_ms, to_ms)
    publication = Publication(LocalStore(str(root)), agent, window, output_format, manifest.pop("query", {}))
    result = {
        "model_id": agent,
        "from_date": window.from_iso,
        "to_date": window.to_iso,
        "count": len(records),
        "unsettled": 0,
        "not_started": 0,
        "total_records": len(records),
        "asked": {"from_date": from_ms - 1000, "to_date": to_ms + 3_600_000},
        "query": {},
        "extracted_at": format_instant(to_ms + 3_600_000),
        "provider_version": "0.1.0",
        "dag_id": "calls",
        "task_id": "extract",
        "run_id": f"scheduled__{window.to_iso}",
        "logical_date": window.to_iso,
        **manifest,
    }
    published = publication.publish([json.dumps(each).encode() for each in records], result)
    return Path(published["path"]).parent


def make_lake(root: Path, days: int = 5, *, agent: str = AGENT, **options: Any) -> list[Path]:
    """Publish some days of three calls each, and return their directories."""
    made = []
    for day in range(days):
        begin = FROM_MS + day * DAY
        calls = [record(f"{agent}-{day}-{number}", begin + number * 3_600_000) for number in range(3)]
        made.append(write_window(root, begin, begin + DAY, calls, agent=agent, **options))
    return made


def directory(root: Path, from_ms: int, to_ms: int, agent: str = AGENT) -> Path:
    """Return where a window lies."""
    compact = [format_instant(each).replace("-", "").replace(":", "").replace(".000", "") for each in (from_ms, to_ms)]
    return root / f"model_id={agent}" / f"from_date={compact[0]}" / f"to_date={compact[1]}"


def edit(window: Path, **fields: Any) -> None:
    """Change a window's manifest; None takes a field out."""
    path = window / "_manifest.json"
    manifest = {**json.loads(path.read_text(encoding="utf-8")), **fields}
    path.write_text(json.dumps({name: value for name, value in manifest.items() if value is not None}))


def rewrite(window: Path, records: Sequence[dict[str, Any]]) -> None:
    """Put other calls into a window, with a manifest that says so."""
    data = gzip.compress(b"".join(json.dumps(each).encode() + b"\n" for each in records), mtime=0)
    (window / "calls.jsonl.gz").write_bytes(data)
    edit(window, bytes=len(data), sha256=hashlib.sha256(data).hexdigest(), count=len(records))


def audit(
    root: Path | str, client: Any = None, *, store: Store | None = None, journal: Journal | None = None, **plan: Any
) -> AuditOutcome:
    """Audit a lake, on the disk where no store is given."""
    store = store or LocalStore(str(root))
    cures = Cures(str(root), store.location)
    return audit_lake(store, AuditPlan(**plan), cures, LogProgress(), client=client, journal=journal)


def check_lake_of_many_pages(folder: Path, url: str, conn_id: str, days: int) -> None:
    """Put a lake of hours into a store without its last file, and see that audits find that and write nothing there."""
    make_hours(folder, 1, days, 2)
    store = open_store(url, conn_id)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    def put(name: str) -> None:
        with store.upload(name) as file:
            file.write((folder / name).read_bytes())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, names))
    removed = names[-1]
    store.remove(removed)
    before = list_objects(store)

    used = []
    for finish in (False, True):
        with open_journal(f"{url}-kept", conn_id, url) as journal:
            outcome = audit(url, store=store, journal=journal)
            journal.is_finished = finish
        used.append(journal.used)

    assert outcome.result()["windows"] == days * 24
    assert [(each.finding, each.detail) for each in outcome.findings] == [("damaged", "calls.jsonl.gz is not there.")]
    found = outcome.findings[0]
    assert removed.startswith(str(directory(Path(), found.from_ms, found.to_ms, found.model_id)))
    assert used == [0, days * 24 - 1]
    assert list(open_store(f"{url}-kept", conn_id).list_files()) == []
    assert list_objects(store) == before
    assert len(before) == len(names) - 1


def list_objects(store: Any) -> dict[str, str]:
    """Return all that a store tells of each of its objects, such as when it was written."""
    fs = store._files.fs
    fs.invalidate_cache()
    return {name: str(told) for name, told in fs.find(store._root, detail=True).items()}


def kinds(outcome: AuditOutcome) -> list[str]:
    """Return the kinds of what was found."""
    return sorted(finding.finding for finding in outcome.findings)
