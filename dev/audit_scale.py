# SPDX-License-Identifier: Apache-2.0
"""
Measure an audit of a large lake: ``python -m dev.audit_scale --agents 5 --days 365 --calls 20``.

It makes a lake of hourly windows in a folder, and audits it as the command does, with its time and its peak of memory.
The year of fifty agents is ``--agents 50 --days 365 --calls 23``: 438,000 manifests, 10 million calls.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path

from airflow_provider_synthflow.timestamps import format_instant

HOUR = 3_600_000
FROM_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z


def compact(milliseconds: int) -> str:
    return format_instant(milliseconds).replace("-", "").replace(":", "").replace(".000Z", "Z")


def make_lake(root: Path, agents: int, days: int, calls: int) -> None:
    """Write windows as the operator does, without its care: 438,000 times it would take hours."""
    for agent in range(agents):
        model_id = f"agent-{agent:04}"
        for hour in range(days * 24):
            begin, end = FROM_MS + hour * HOUR, FROM_MS + (hour + 1) * HOUR
            folder = root / f"model_id={model_id}" / f"from_date={compact(begin)}" / f"to_date={compact(end)}"
            folder.mkdir(parents=True)
            lines = b"".join(
                b'{"call_id":"%s-%d-%d","call_status":"completed","start_time":"%d"}\n'
                % (model_id.encode(), hour, number, begin + number * 1000)
                for number in range(calls)
            )
            packer = zlib.compressobj(1, wbits=31)
            data = packer.compress(lines) + packer.flush()
            (folder / "calls.jsonl.gz").write_bytes(data)
            manifest = {
                "model_id": model_id, "from_date": format_instant(begin), "to_date": format_instant(end),
                "count": calls, "unsettled": 0, "not_started": 0, "total_records": calls, "query": {},
                "asked": {"from_date": begin - 1000, "to_date": end + HOUR}, "pages": 1, "requests": 1, "walks": 1,
                "changed": True, "provider_version": "0.1.0", "extracted_at": format_instant(end + HOUR),
                "path": str(folder / "calls.jsonl.gz"), "format": "jsonl.gz", "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(), "dag_id": "calls", "task_id": "extract",
                "run_id": f"scheduled__{format_instant(end)}", "logical_date": format_instant(end),
            }  # fmt: skip
            (folder / "_manifest.json").write_text(json.dumps(manifest, indent=2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--agents", type=int, default=5)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--calls", type=int, default=23, help="in a window")
    parser.add_argument("--no-read", action="store_true", help="compare the sizes of files alone")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="synthflow-audit-scale-"))
    try:
        begun = time.monotonic()
        make_lake(root, options.agents, options.days, options.calls)
        windows = options.agents * options.days * 24
        print(f"made {windows:,} windows with {windows * options.calls:,} calls in {time.monotonic() - begun:.0f} s")
        command = [sys.executable, "-m", "airflow_provider_synthflow.audit", str(root), "--no-api", "--json", "--quiet"]
        command += ["--report", str(root.with_suffix(".html"))] + (["--no-read"] if options.no_read else [])
        begun = time.monotonic()
        done = subprocess.run(  # noqa: S603 - our own
            command, check=True, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(root.parent)}
        )
        seconds = time.monotonic() - begun
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        result = json.loads(done.stdout)
        assert (result["windows"], result["calls"]) == (windows, windows * options.calls)
        assert sum(result["counts"].values()) == 0
        size = root.with_suffix(".html").stat().st_size
        print(
            f"audited in {seconds:.1f} s: {seconds / windows * 1000:.2f} s a thousand windows, "
            f"peak {peak:.0f} MiB, report {size / 1e6:.1f} MB"
        )
    finally:
        shutil.rmtree(root, ignore_errors=True)
        root.with_suffix(".html").unlink(missing_ok=True)


if __name__ == "__main__":
    main()
