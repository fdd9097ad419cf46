# SPDX-License-Identifier: Apache-2.0
"""
Measure the memory of a whole extraction: one process a measurement, its highest resident size as the system saw it.

``python -m bench.memory`` prints, for each format and each number of calls, the peak and the seconds of the
extraction, and fails where 100,000 calls cost more above 1,000 than the limit allows. A server in a process
of its own makes up calls of 5 KB, newest first.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["main"]

FROM_MS = 1_794_182_400_000
SPAN_MS = 86_400_000
LIMIT_MIB = 32
_RANGE = re.compile(rb"[?&]limit=(\d+).*?[?&]offset=(\d+)|[?&]offset=(\d+).*?[?&]limit=(\d+)")


def main() -> int:
    """Measure each format, print a line for each, and return 1 where one takes more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--formats", nargs="+", default=["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
    parser.add_argument("--bytes", type=int, default=5_000, help="of one call")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--extract", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.extract:
        print(json.dumps(_extract(given.extract, given.formats[0], given.concurrency)))
        return 0
    failed = False
    peaks: dict[tuple[str, int], float] = {}
    for count in given.calls:
        with _Server(count, given.bytes) as url:
            for name in given.formats * given.repeat:
                command = [sys.executable, "-m", "bench.memory", "--extract", url, "--formats", name]
                command += ["--concurrency", str(given.concurrency)]
                done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own
                found = json.loads(done.stdout)
                peak = max(found["peak"], peaks.get((name, count), 0.0))
                peaks[name, count] = peak
                more = peak - peaks[name, given.calls[0]]
                failed |= more > LIMIT_MIB or found["count"] != count
                print(
                    f"{name:10} {count:8} calls  peak {found['peak']:7.1f} MiB  {more:+7.1f} MiB  "
                    f"read {found['read']:6.2f} s  publish {found['publish']:6.2f} s  cpu {found['cpu']:6.2f} s  "
                    f"{found['bytes'] / 1e6:7.1f} MB",
                    flush=True,
                )
    return int(failed)


def _extract(url: str, format_name: str, concurrency: int) -> dict[str, float]:
    """Extract the server's calls into a file, as the operator does, and tell what it took."""
    from airflow_provider_synthflow.client.query import CallsQuery  # noqa: PLC0415 - in the measured process alone
    from airflow_provider_synthflow.client.sender import Sender  # noqa: PLC0415
    from airflow_provider_synthflow.client.settings import Settings  # noqa: PLC0415
    from airflow_provider_synthflow.extraction import WindowPlan, extract_window  # noqa: PLC0415
    from airflow_provider_synthflow.output.publication import Publication  # noqa: PLC0415
    from airflow_provider_synthflow.result import result_of  # noqa: PLC0415
    from airflow_provider_synthflow.spill import Spill  # noqa: PLC0415
    from airflow_provider_synthflow.stores import open_store  # noqa: PLC0415
    from airflow_provider_synthflow.window import Window  # noqa: PLC0415

    window = Window(FROM_MS, FROM_MS + SPAN_MS)
    plan = WindowPlan(window=window, query=CallsQuery("agent-1"), settle_ms=0, concurrency=concurrency)
    settings = Settings(base_url=url, api_key="key")
    with tempfile.TemporaryDirectory() as folder, Sender(settings) as sender, Spill() as spill:
        publication = Publication(open_store(folder), "agent-1", window, format_name, {})
        publication.check()
        start = time.perf_counter()
        extraction = extract_window(sender, plan, spill)
        read = time.perf_counter()
        result = publication.publish(spill.records(), result_of(plan, extraction))
        end = time.perf_counter()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "count": extraction.count,
        "bytes": result["bytes"],
        "peak": _peak(),
        "read": read - start,
        "publish": end - read,
        "cpu": usage.ru_utime + usage.ru_stime,
    }


def _peak() -> float:
    """Return the most memory that this process ever held, in MiB."""
    try:
        with open("/proc/self/status") as status:  # noqa: PTH123 - no path is needed before Python is measured
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    except OSError:
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


class _Server:
    """Serve made-up calls from a process of its own."""

    def __init__(self, count: int, record_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._pipe = ours
        self._process = context.Process(target=_serve, args=(theirs, count, record_bytes), daemon=True)

    def __enter__(self) -> str:
        """Start it, and return its address."""
        self._process.start()
        return f"http://127.0.0.1:{self._pipe.recv()}/v2"

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._process.terminate()
        self._process.join()


def _serve(pipe: Connection, count: int, record_bytes: int) -> None:
    import msgspec  # noqa: PLC0415 - in the server's process alone

    from tests.synthflow_server.dataset import make_calls  # noqa: PLC0415

    pool = []
    for call in make_calls(1, 2_000, agents=["agent-1"], record_bytes=record_bytes, unfinished=0.0):
        record = call.record
        rest = {name: value for name, value in record.items() if name not in {"call_id", "start_time"}}
        pool.append(msgspec.json.encode(rest)[1:])
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    pipe.send(listener.getsockname()[1])
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_answer, args=(connection, pool, count), daemon=True).start()


def _answer(connection: socket.socket, pool: list[bytes], count: int) -> None:
    rest = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in rest:
                piece = connection.recv(65_536)
                if not piece:
                    return
                rest += piece
            head, _, rest = rest.partition(b"\r\n\r\n")
            found = _RANGE.search(head.split(b"\r\n", 1)[0])
            if found is None:
                return
            limit, offset = (int(each) for each in (found[1] or found[4], found[2] or found[3]))
            rows = b",".join(
                _row(pool, count - 1 - index, count) for index in range(offset, min(offset + limit, count))
            )
            body = (
                b'{"status":"ok","response":{"pagination":{"total_records":%d,"limit":%d,"offset":%d},"calls":[%b]}}'
                % (
                    count,
                    limit,
                    offset,
                    rows,
                )
            )
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )


def _row(pool: list[bytes], number: int, count: int) -> bytes:
    """Make the record of one call: its id and start, and the rest out of the pool."""
    start = FROM_MS + number * SPAN_MS // count
    call_id = b"%08x-5f3c-4d0e-9c55-%012x" % (number * 2_654_435_761 % 2**32, number)
    return b'{"call_id":"%b","start_time":"%d",%b' % (call_id, start, pool[number % len(pool)])


if __name__ == "__main__":
    os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
    sys.exit(main())
