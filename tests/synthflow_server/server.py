# SPDX-License-Identifier: Apache-2.0
"""The API over HTTP: one thread a connection, kept alive, on a loopback port."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.synthflow_server.answer import Answer, Stream
    from tests.synthflow_server.api import SynthflowApi
    from tests.synthflow_server.recordings import RecordingHost

__all__ = ["Handle", "serve"]

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_NO_LINGER = struct.pack("ii", 1, 0)
_LONGEST_LINE = 65_536


class Handle:
    """
    Hold a running server.

    :param api: what answers
    :param host: the address to listen at
    :param port: the port; 0 takes a free one
    """

    def __init__(self, api: SynthflowApi | RecordingHost, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.api = api
        self.host = host
        self.port = port
        self._server: _Server | None = None
        self.resume()

    @property
    def url(self) -> str:
        """Return the base URL, up to and with `/v2`."""
        return f"http://{self.host}:{self.port}/v2"

    def pause(self) -> None:
        """Refuse connections, and break those that there are."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def resume(self) -> None:
        """Take connections again, at the same port."""
        if self._server is None:
            self._server = _Server((self.host, self.port), self.api)
            self.port = self._server.server_address[1]
            self._server.start()

    def close(self) -> None:
        """Stop the server for good."""
        self.pause()


@contextlib.contextmanager
def serve(api: SynthflowApi | RecordingHost, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[Handle]:
    """
    Serve an API over HTTP as long as the context lasts.

    :param api: what answers
    :param host: the address to listen at
    :param port: the port; 0 takes a free one
    """
    handle = Handle(api, host=host, port=port)
    try:
        yield handle
    finally:
        handle.close()


class _Server(ThreadingHTTPServer):
    """Listen, and hand each connection to a thread of its own."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], api: SynthflowApi | RecordingHost) -> None:
        self.api = api
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def server_bind(self) -> None:
        """Bind without asking for the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)

    def start(self) -> None:
        """Begin to accept connections."""
        threading.Thread(target=self.serve_forever, args=(0.02,), name="synthflow-server", daemon=True).start()

    def stop(self) -> None:
        """Refuse connections, and break those that there are."""
        self.stopping.set()
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients broke; let what is the server's own fault be seen."""
        import sys  # noqa: PLC0415

        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, OSError)):
            super().handle_error(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    """Read requests from one connection and send their answers, until either side closes it."""

    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        """Note the connection, so that it can be broken."""
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        """Forget the connection."""
        self.server.connections.discard(self.connection)
        with contextlib.suppress(OSError):
            super().finish()

    def handle(self) -> None:
        """Answer one request after the other."""
        while not self.server.stopping.is_set() and self._answer_one():
            pass

    def _answer_one(self) -> bool:
        """Answer one request and tell whether the connection stays open."""
        line = self.rfile.readline(_LONGEST_LINE)
        if not line:
            return False
        parts = line.decode("latin-1").split()
        if len(parts) != 3:
            self.connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        method, target, version = parts
        headers = self._read_headers()
        body = self.rfile.read(int(headers.get("content-length", "0") or 0))
        answer = self.server.api.handle(method, target, headers, body)
        if answer.delay_s and self.server.stopping.wait(answer.delay_s):
            return False
        wants_close = headers.get("connection", "").lower() == "close" or version == "HTTP/1.0"
        return self._send(answer, close=wants_close, with_body=method != "HEAD")

    def _read_headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        while True:
            line = self.rfile.readline(_LONGEST_LINE)
            if line in (b"\r\n", b"\n", b""):
                return headers
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()

    def _send(self, answer: Answer, *, close: bool, with_body: bool) -> bool:
        if answer.action == "reset":
            self._reset()
            return False
        if answer.action == "timeout_before_headers" and self.server.stopping.wait(answer.seconds):
            return False
        if answer.stream is not None and answer.action is None and with_body:
            return self._stream(answer, answer.stream, close=close)
        if answer.stream is not None:
            answer.body = b"".join(answer.stream.pieces())
        return self._send_whole(answer, close=close, body=answer.body if with_body else b"")

    def _send_whole(self, answer: Answer, *, close: bool, body: bytes) -> bool:
        head = _head(answer, close=close or answer.action == "truncated_body")
        if answer.action == "drip_headers":
            return self._drip(head, answer.seconds) and not close
        if answer.action in ("truncated_body", "timeout_mid_body"):
            half = len(body) // 2
            self.connection.sendall(head + body[:half])
            if answer.action == "truncated_body" or self.server.stopping.wait(answer.seconds):
                return False
            self.connection.sendall(body[half:])
        elif len(body) < 65_536:
            self.connection.sendall(head + body)
        else:
            self.connection.sendall(head)
            self.connection.sendall(body)
        return not close

    def _drip(self, head: bytes, seconds: float) -> bool:
        """Send the headers byte by byte, and tell whether the client stayed for all of them."""
        for at in range(len(head)):
            self.connection.sendall(head[at : at + 1])
            if self.server.stopping.wait(seconds):
                return False
        return True

    def _stream(self, answer: Answer, stream: Stream, *, close: bool) -> bool:
        """Send a body as it is made, with a length that may be wrong; where it is, the connection ends."""
        lengths = {"exact": stream.size, "more": stream.size + 10, "less": stream.size - 10}
        close = close or stream.length in ("more", "absent") or isinstance(stream.length, int)
        self.connection.sendall(_head(answer, close=close, length=lengths.get(str(stream.length), stream.length)))
        for piece in stream.pieces():
            if stream.pause_s and self.server.stopping.wait(stream.pause_s):
                return False
            self.connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if stream.length == "chunked" else piece)
        if stream.length == "chunked":
            self.connection.sendall(b"0\r\n\r\n")
        return not close

    def _reset(self) -> None:
        """Break the connection so that the client sees a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.rfile.close()
        self.wfile.close()
        self.connection.close()


def _head(answer: Answer, *, close: bool, length: int | str | None = None) -> bytes:
    lines = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if length == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif length != "absent":
        lines.append(f"Content-Length: {len(answer.body) if length is None else length}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
