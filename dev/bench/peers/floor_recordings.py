# SPDX-License-Identifier: Apache-2.0
"""
The floor of recordings: the address and the bytes of each, over kept-alive connections, thrown away by bare sockets.

It looks at nothing but the lengths, in one thread, so that no downloader in Python can be faster.
"""

from __future__ import annotations

import selectors
import socket
from urllib.parse import urlsplit

from peer import KEY, Job, run


class Reader:
    """The connections, and what is left to read of each."""

    def __init__(self, job: Job) -> None:
        self._api = urlsplit(job.url)
        self._asked = iter(job.recordings())
        self._selector = selectors.DefaultSelector()
        self._left: dict[socket.socket, int | None] = {}
        self.size = 0

    def read(self, concurrency: int) -> None:
        """Read all recordings."""
        for _ in range(concurrency):
            connection = socket.create_connection((self._api.hostname, self._api.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(connection, selectors.EVENT_READ)
            self._ask_for_next(connection)
        buffer = bytearray(1 << 20)
        view = memoryview(buffer)
        while self._selector.get_map():
            for key, _ in self._selector.select():
                got = key.fileobj.recv_into(view)
                if not got:
                    raise ConnectionError
                self._take(key.fileobj, buffer, got)

    def _take(self, connection: socket.socket, buffer: bytearray, got: int) -> None:
        rest = self._left[connection]
        if rest is None:  # the server sends the whole header at once
            if buffer.startswith(b"HTTP/1.1 302 "):
                address = urlsplit(_header(buffer, b"Location: ").decode())
                self._ask(connection, f"{address.path}?{address.query}")
                return
            assert buffer.startswith(b"HTTP/1.1 200 "), bytes(buffer[:200])
            length = int(_header(buffer, b"Content-Length: "))
            rest = length + buffer.index(b"\r\n\r\n") + 4
            self.size += length
        self._left[connection] = rest - got
        if rest == got:
            self._ask_for_next(connection)

    def _ask_for_next(self, connection: socket.socket) -> None:
        call_id = next(self._asked, None)
        if call_id is None:
            self._selector.unregister(connection)
            connection.close()
            return
        self._ask(connection, f"{self._api.path}/calls/{call_id}/recording", f"Authorization: Bearer {KEY}\r\n")

    def _ask(self, connection: socket.socket, target: str, key: str = "") -> None:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {self._api.netloc}\r\n{key}\r\n".encode())
        self._left[connection] = None


def _header(buffer: bytearray, name: bytes) -> bytes:
    begin = buffer.index(name) + len(name)
    return bytes(buffer[begin : buffer.index(b"\r", begin)])


def read(job: Job) -> dict[str, int]:
    """Read all recordings; return of how many bytes they were."""
    reader = Reader(job)
    reader.read(job.concurrency)
    return {"bytes": reader.size}


if __name__ == "__main__":
    run(read)
