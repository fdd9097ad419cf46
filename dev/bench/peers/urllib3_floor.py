# SPDX-License-Identifier: Apache-2.0
"""The floor of an ordinary HTTP library: the same pages as floor.py, read by urllib3 in threads and thrown away."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import urllib3
from floor import offsets
from peer import KEY, Job, run


def read(job: Job) -> dict[str, int]:
    """Read all pages; return how many there were, and of how many bytes."""
    address = urlsplit(job.url)
    pool = urllib3.HTTPConnectionPool(address.hostname or "", address.port, maxsize=job.concurrency)
    headers = {"Authorization": f"Bearer {KEY}"}

    def page(offset: int) -> int:
        target = f"{address.path}/calls?{urlencode(job.parameters(offset))}"
        response = pool.urlopen("GET", target, headers=headers, preload_content=False)
        assert response.status == 200, response.status
        body = response.read()
        response.release_conn()
        return len(body)

    with ThreadPoolExecutor(job.concurrency) as threads:
        sizes = list(threads.map(page, offsets(job.calls)))
    return {"pages": len(sizes), "bytes": sum(sizes)}


if __name__ == "__main__":
    run(read)
