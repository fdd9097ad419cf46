# SPDX-License-Identifier: Apache-2.0
"""A relay before a store's server: it counts what a client sends, acts in the middle of it, or answers itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

__all__ = ["Relay"]

_PIECE = 65_536


class Relay:
    """
    Pass bytes to a server and back, while the context lasts.

    :param server_port: the port of the server on loopback
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._lock = threading.Lock()
        self._left = 0
        self._then: Callable[[], None] | None = None
        self._answer: bytes | None = None
        self._open: set[socket.socket] = set()
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def after(self, count: int, then: Callable[[], None]) -> None:
        """
        Do something once, when a client has sent so many more bytes, before they are passed on.

        :param count: how many
        :param then: what to do
        """
        with self._lock:
            self._left, self._then = count, then

    def answer(self, text: str) -> None:
        """
        Answer the next request itself, and close its connection.

        :param text: the answer, as HTTP writes it
        """
        with self._lock:
            self._answer = text.replace("\n", "\r\n").encode()

    @property
    def has_answered(self) -> bool:
        """Tell whether that has been done."""
        return self._answer is None

    @property
    def has_acted(self) -> bool:
        """Tell whether that has been done."""
        return self._then is None

    def cut(self) -> None:
        """Close all connections that are open."""
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            _close(end)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._server_port))
            with self._lock:
                self._open |= {client, server}
            for source, target, counted in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(source, target, counted), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:  # noqa: FBT001 - of two kinds
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE):
                if counted:
                    self._count(len(piece))
                    with self._lock:
                        answer, self._answer = self._answer, None
                    if answer:
                        source.sendall(answer)
                        break
                target.sendall(piece)
        with self._lock:
            self._open -= {source, target}
        for end in (source, target):
            _close(end)

    def _count(self, size: int) -> None:
        with self._lock:
            self._left -= size
            then = self._then if self._left <= 0 else None
            if then:
                self._then = None
        if then:
            then()


def _close(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
