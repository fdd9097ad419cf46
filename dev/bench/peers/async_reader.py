# SPDX-License-Identifier: Apache-2.0
"""Asyncio and a fast JSON library: aiohttp with several pages in flight, orjson; rows are written as they come."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import zstandard
from isal import igzip
from peer import KEY, PAGE, Job, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OPENERS: dict[str, Callable[[Path], Any]] = {
    "jsonl": lambda path: path.open("wb"),
    "jsonl.gz": lambda path: igzip.open(path, "wb", compresslevel=1),
    "jsonl.zst": lambda path: zstandard.open(path, "wb"),
}


class Lines:
    """Write each page as lines when it comes."""

    def __init__(self, job: Job) -> None:
        self._file = OPENERS[job.format](job.file)

    def take(self, calls: list[dict[str, Any]]) -> None:
        self._file.write(b"".join(orjson.dumps(call, option=orjson.OPT_APPEND_NEWLINE) for call in calls))

    def close(self) -> None:
        self._file.close()


class Parquet:
    """Gather all pages and write one table, its schema found by pyarrow, nested values as JSON."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._calls: list[dict[str, Any]] = []

    def take(self, calls: list[dict[str, Any]]) -> None:
        for call in calls:
            for name, value in call.items():
                if isinstance(value, (dict, list)):
                    call[name] = orjson.dumps(value).decode()
        self._calls += calls

    def close(self) -> None:
        import pyarrow as pa  # noqa: PLC0415 - only this format needs it
        import pyarrow.parquet as pq  # noqa: PLC0415 - likewise

        pq.write_table(pa.Table.from_pylist(self._calls), self._job.file)


async def read_pages(job: Job, sink: Lines | Parquet) -> None:
    """Read the first page, and then as many side by side as may be in flight."""
    headers = {"Authorization": f"Bearer {KEY}"}
    connector = aiohttp.TCPConnector(limit=job.concurrency)
    async with aiohttp.ClientSession(headers=headers, connector=connector, read_bufsize=1 << 20) as session:

        async def page(offset: int) -> int:
            async with session.get(f"{job.url}/calls", params=job.parameters(offset)) as response:
                response.raise_for_status()
                answer = orjson.loads(await response.read())["response"]
            sink.take(answer["calls"])
            return answer["pagination"]["total_records"]

        total = await page(0)
        offsets = iter(range(PAGE, total, PAGE))

        async def worker() -> None:
            for offset in offsets:
                await page(offset)

        await asyncio.gather(*(worker() for _ in range(job.concurrency)))


def read(job: Job) -> None:
    """Read all pages."""
    with contextlib.closing(Parquet(job) if job.format == "parquet" else Lines(job)) as sink:
        asyncio.run(read_pages(job, sink))


if __name__ == "__main__":
    run(read)
