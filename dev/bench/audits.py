# SPDX-License-Identifier: Apache-2.0
"""The audit of a lake on a disk and in S3, beside DuckDB, which reads the same files for the same answer."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import statistics
from typing import TYPE_CHECKING

from dev.audit_scale import make_lake
from dev.bench.lines import Line
from tests.s3_server import S3Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.bench.plan import Effort
    from dev.bench.running import Bench

__all__ = ["measure_audits"]

_CALLS = 23
"""In a window: an agent of 200,000 calls a year, hour by hour."""
_FOUND = {"gap": 1, "overlap": 0, "damaged": 1, "duplicate": 1}
"""What is wrong with the lake, so that both show that they look."""


def measure_audits(bench: Bench, effort: Effort, folder: Path) -> Iterator[Line]:
    """
    Audit a lake in both places and by both, round by round, and yield a line for each place.

    :raises RuntimeError: where one finds something else than is wrong
    """
    lake = folder / "lake"
    shutil.rmtree(lake, ignore_errors=True)
    days = effort.windows // 24
    make_lake(lake, 1, days, _CALLS)
    _harm(lake)
    with S3Server() as s3:
        for path in lake.rglob("*"):
            if path.is_file():
                s3.client.put_object(Bucket=s3.bucket, Key=str(path.relative_to(lake)), Body=path.read_bytes())
        settings = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-1"}
        settings |= {"AWS_ENDPOINT_URL": s3.url}
        for place, job in (
            ("a disk", {"lake": str(lake), "environment": {}}),
            ("S3 (moto's server)", {"lake": f"s3://{s3.bucket}", "environment": settings}),
        ):
            yield _compare(bench, job, place, days * 24, effort.rounds)


def _compare(bench: Bench, job: dict[str, object], place: str, windows: int, rounds: int) -> Line:
    seconds: dict[str, list[float]] = {"ours_audit": [], "duckdb_audit": []}
    for number in range(rounds):
        for reader, taken in seconds.items():
            told = bench.execute(reader, bench.python(reader), json.dumps(job))[0]
            if {name: told["found"][name] for name in _FOUND} != _FOUND:
                msg = f"{reader} found {told['found']} in a lake with {_FOUND}."
                raise RuntimeError(msg)
            taken.append(told["seconds"] / windows * 1000)
            print(f"round {number + 1}: {reader} on {place}: {taken[-1]:.2f} s a thousand windows", flush=True)
    ours, theirs = (statistics.median(each) for each in seconds.values())
    ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
    return Line(
        f"audit of {windows:,} windows of {_CALLS} calls on {place}: seconds a thousand windows",
        "as fast as DuckDB",
        f"{ours:.2f} (DuckDB {theirs:.2f}, {ratio:.2f} times as fast)",
        ratio >= 1,
    )


def _harm(lake: Path) -> None:
    """Remove a window, leave a call out of another one's file, and let a third hold a call of the one before it."""
    windows = sorted(path.parent for path in lake.rglob("_manifest.json"))
    shutil.rmtree(windows[10].parent)
    data = gzip.decompress((windows[12] / "calls.jsonl.gz").read_bytes()).splitlines(keepends=True)
    (windows[12] / "calls.jsonl.gz").write_bytes(gzip.compress(b"".join(data[1:])))
    data = gzip.decompress((windows[15] / "calls.jsonl.gz").read_bytes()).splitlines(keepends=True)
    before = gzip.decompress((windows[14] / "calls.jsonl.gz").read_bytes()).splitlines(keepends=True)
    packed = gzip.compress(b"".join([before[0], *data]))
    (windows[15] / "calls.jsonl.gz").write_bytes(packed)
    manifest = json.loads((windows[15] / "_manifest.json").read_bytes())
    manifest |= {"count": len(data) + 1, "bytes": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
    (windows[15] / "_manifest.json").write_text(json.dumps(manifest))
