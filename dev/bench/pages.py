# SPDX-License-Identifier: Apache-2.0
"""What server.c does, for machines without a C compiler: `python pages.py ROWS INDEX`. Only the standard library."""

from __future__ import annotations

import asyncio
import bisect
import mmap
import re
import struct
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

__all__ = ["Pages"]

_PATH = re.compile(r"(?:/wait-(\d+))?(?:/first-(\d+))?/v2/calls")
_RECORDING = re.compile(r"(?:/wait-(\d+))?/(v2/calls|signed)/([^/]+-(\d+))(?:/recording)?")
_JSON = "Content-Type: application/json"
_MARK = b"ID3\4"


class Pages:
    """
    Make the answers.

    :param rows: the file of rows
    :param index: the file that says where each begins and when it started
    """

    def __init__(self, rows: Path, index: Path) -> None:
        with rows.open("rb") as file:
            self._rows = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        pairs = list(struct.iter_unpack("<Qq", index.read_bytes()))
        self._begins = [begin for begin, _ in pairs]
        self._ages = [-start for _, start in pairs[:-1]]  # growing, as bisect wants it

    def answer(self, head: bytes) -> tuple[float, list[bytes | memoryview]]:
        """
        Return how many seconds to wait, and the answer in pieces.

        :param head: the request up to its blank line
        """
        method, target = head.split(b" ", 2)[:2]
        parts = urlsplit(target.decode("ascii"))
        recording = _RECORDING.fullmatch(parts.path)
        if recording is not None:
            host = head.lower().partition(b"\r\nhost: ")[2].partition(b"\r")[0].decode()
            return int(recording[1] or 0) / 1000, self._recording(host, *recording.groups(default="0"))
        path = _PATH.fullmatch(parts.path)
        if method != b"GET" or path is None:
            return 0.0, _refusal(404, "Not found.")
        wait = int(path[1] or 0) / 1000
        if b"\r\nauthorization: bearer " not in head.lower():
            return wait, _refusal(401, "Unauthorized.")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        limit, offset = int(query.get("limit", 20)), int(query.get("offset", 0))
        if "model_id" not in query or not 1 <= limit <= 100:
            why = "Limit must be between 1 and 100." if "model_id" in query else "model_id is missing."
            return wait, _refusal(400, why)
        return wait, self._page(query, limit, offset, min(int(path[2] or len(self._ages)), len(self._ages)))

    def _page(self, query: dict[str, str], limit: int, offset: int, count: int) -> list[bytes | memoryview]:
        first = bisect.bisect_left(self._ages, -int(query["to_date"]), 0, count) if "to_date" in query else 0
        last = bisect.bisect_right(self._ages, -int(query["from_date"]), 0, count) if "from_date" in query else count
        total = max(0, last - first)
        shown = max(0, min(limit, total - offset))
        calls: bytes | memoryview = b""
        if shown:
            at = first + offset
            calls = self._rows[self._begins[at] : self._begins[at + shown] - 1]
        pagination = f'"pagination":{{"total_records":{total},"limit":{limit},"offset":{offset}}}'
        return _answer(200, _JSON, [f'{{"status":"ok","response":{{{pagination},"calls":['.encode(), calls, b"]}}"])

    def _recording(self, host: str, wait: str, route: str, call_id: str, size: str) -> list[bytes | memoryview]:
        """Lead to a recording, or send it: as many bytes as its call's id ends with."""
        if route != "signed":
            address = f"http://{host}/wait-{wait}/signed/{call_id}?X-Amz-Signature=0123456789abcdef"
            return _answer(302, f"Location: {address}", [])
        return _answer(200, "Content-Type: audio/mpeg", [_MARK, self._rows[: max(0, int(size) - len(_MARK))]])


def _refusal(status: int, why: str) -> list[bytes | memoryview]:
    return _answer(status, _JSON, [f'{{"detail":{{"status":"error","description":"{why}"}}}}'.encode()])


def _answer(status: int, header: str, pieces: list[bytes | memoryview]) -> list[bytes | memoryview]:
    size = sum(map(len, pieces))
    word = "OK" if status == 200 else "Other"
    head = f"HTTP/1.1 {status} {word}\r\n{header}\r\nContent-Length: {size}\r\n\r\n"
    return [head.encode(), *pieces]


class _Connection(asyncio.Protocol):
    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._got += data
        if b"\r\n\r\n" in self._got:
            head, self._got = self._got, b""
            wait, pieces = self._pages.answer(head)
            asyncio.get_running_loop().call_later(wait, self._transport.writelines, pieces)


async def _serve(pages: Pages) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(pages), "127.0.0.1", 0)
    print(f"port {server.sockets[0].getsockname()[1]}", flush=True)
    ended = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: ended.set() if not sys.stdin.buffer.read1() else None)
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(_serve(Pages(*map(Path, sys.argv[1:3]))))
