# SPDX-License-Identifier: Apache-2.0
"""Asyncio: aiohttp with several recordings in flight, each written as it comes; it checks and hashes nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiohttp
from peer import KEY, Job, run

PIECE = 256 * 1024


async def read_all(job: Job) -> None:
    """Ask for the address of each recording, and write what is there."""
    asked = iter(job.recordings())
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=1 << 20) as session:

        async def worker() -> None:
            for call_id in asked:
                address = f"{job.url}/calls/{call_id}/recording"
                headers = {"Authorization": f"Bearer {KEY}"}
                async with session.get(address, headers=headers, allow_redirects=False) as response:
                    location = response.headers["Location"]
                async with session.get(location) as response:
                    response.raise_for_status()
                    with (Path(job.out) / f"{call_id}.mp3").open("wb") as file:
                        async for piece in response.content.iter_chunked(PIECE):
                            file.write(piece)

        await asyncio.gather(*(worker() for _ in range(job.concurrency)))


def read(job: Job) -> None:
    """Download all recordings."""
    asyncio.run(read_all(job))


if __name__ == "__main__":
    run(read)
