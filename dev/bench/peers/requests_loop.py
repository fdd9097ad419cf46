# SPDX-License-Identifier: Apache-2.0
"""A plain loop: one session of requests, one page after the other, json.dumps into a file."""

from __future__ import annotations

import gzip
import json
from typing import IO, TYPE_CHECKING

import requests
from peer import KEY, PAGE, Job, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPENERS: dict[str, Callable[[Path], IO[str]]] = {
    "jsonl": lambda path: path.open("w", encoding="utf-8"),
    "jsonl.gz": lambda path: gzip.open(path, "wt", compresslevel=1, encoding="utf-8"),  # noqa: SIM115 - closed there
}


def read(job: Job) -> None:
    """Read pages until one is empty or short."""
    with requests.Session() as session, OPENERS[job.format](job.file) as file:
        session.headers["Authorization"] = f"Bearer {KEY}"
        offset = 0
        while True:
            response = session.get(f"{job.url}/calls", params=job.parameters(offset), timeout=60)
            response.raise_for_status()
            calls = response.json()["response"]["calls"]
            for call in calls:
                file.write(json.dumps(call, ensure_ascii=False) + "\n")
            offset += PAGE
            if len(calls) < PAGE:
                return


if __name__ == "__main__":
    run(read)
