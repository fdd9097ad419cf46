# SPDX-License-Identifier: Apache-2.0
"""
The floor: the pages that we read, over as many kept-alive connections, thrown away by bare sockets in one thread.

It knows all offsets beforehand and looks at nothing but the lengths, so that no reader in Python can be faster.
"""

from __future__ import annotations

import selectors
import socket
from urllib.parse import urlencode, urlsplit

from peer import KEY, Job, run


def offsets(total: int) -> list[int]:
    """Return where our pages begin: each has one row in common with the one before it."""
    return [0, *range(99, max(total - 1, 1), 99)]


def read(job: Job) -> dict[str, int]:
    """Read all pages; return how many there were, and of how many bytes."""
    address = urlsplit(job.url)
    total = job.calls
    asks = iter(offsets(total))
    buffer = bytearray(1 << 20)
    view = memoryview(buffer)
    left: dict[socket.socket, int | None] = {}
    pages = size = 0
    with selectors.DefaultSelector() as selector:

        def ask(connection: socket.socket) -> None:
            offset = next(asks, None)
            if offset is None:
                selector.unregister(connection)
                connection.close()
                return
            target = f"{address.path}/calls?{urlencode(job.parameters(offset))}"
            connection.sendall(
                f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
            )
            left[connection] = None

        for _ in range(job.concurrency):
            connection = socket.create_connection((address.hostname, address.port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
            ask(connection)
        while selector.get_map():
            for key, _ in selector.select():
                connection = key.fileobj
                got = connection.recv_into(view)
                if not got:
                    raise ConnectionError
                rest = left[connection]
                if rest is None:  # the server sends the whole header at once
                    assert buffer.startswith(b"HTTP/1.1 200 "), bytes(buffer[:200])
                    begin = buffer.index(b"Content-Length: ") + 16
                    length = int(buffer[begin : buffer.index(b"\r", begin)])
                    rest = length + buffer.index(b"\r\n\r\n") + 4
                    pages, size = pages + 1, size + length
                left[connection] = rest - got
                if rest == got:
                    ask(connection)
    return {"pages": pages, "bytes": size}


if __name__ == "__main__":
    run(read)
