# SPDX-License-Identifier: Apache-2.0
"""Connections of ``requests`` that end a whole request in time, connecting and the last byte of the answer included."""

from __future__ import annotations

import functools
import http.client
import io
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from urllib3.util.connection import allowed_gai_family

from airflow_provider_synthflow.client.environment import TrustingAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DeadlineAdapter", "within"]


class _Bounds(threading.local):
    """The limits of the request that this thread sends, None where it is not one of ours."""

    ends_at: float | None = None
    bytes_left = 0
    on_excess: Callable[[], Exception] = OSError

    def seconds_left(self) -> float | None:
        if self.ends_at is None:
            return None
        left = self.ends_at - time.monotonic()
        if left <= 0:
            msg = "the request's time is over"
            raise TimeoutError(msg)
        return left


_bounds = _Bounds()


@contextmanager
def within(seconds: float, most_bytes: int, on_excess: Callable[[], Exception]) -> Iterator[None]:
    """Bound what is done inside of the block, in this thread and by sessions with a :class:`DeadlineAdapter`."""
    _bounds.ends_at = time.monotonic() + seconds
    _bounds.bytes_left = most_bytes
    _bounds.on_excess = on_excess
    try:
        yield
    finally:
        _bounds.ends_at = None


class _BoundedReader(io.RawIOBase):
    """A socket's file whose every read ends with the request's time."""

    def __init__(self, sock: Any, raw: io.RawIOBase) -> None:
        self._sock = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = _bounds.seconds_left()
        if left is None:
            return self._raw.readinto(buffer)
        self._sock.settimeout(left)
        count = self._raw.readinto(buffer)
        _bounds.bytes_left -= count or 0
        if _bounds.bytes_left < 0:
            raise _bounds.on_excess()
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _BoundedSocket:
    """The part of a socket that an answer is read from."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_BoundedReader(self._sock, self._sock.makefile(mode, buffering=0)))


class _BoundedConnection:
    """The changes to a connection of urllib3."""

    def response_class(self, sock: Any, *args: Any, **options: Any) -> http.client.HTTPResponse:
        """Make what reads an answer, a proxy's too."""
        bounded: Any = _BoundedSocket(sock)
        return http.client.HTTPResponse(bounded, *args, **options)

    def _new_conn(self) -> Any:
        """Connect to one of the host's addresses after the other, and leave time for each."""
        itself: Any = self
        connect: Callable[[], Any] = super()._new_conn  # type: ignore[misc]
        left = _bounds.seconds_left()
        if left is None:
            return connect()
        host, found = itself.host, []
        try:
            if not hasattr(self, "_socks_options"):  # a SOCKS proxy looks up the name itself
                found = socket.getaddrinfo(host, itself.port, allowed_gai_family(), socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            pass  # connecting fails likewise, and is told as urllib3 tells it
        addresses = list(dict.fromkeys(str(each[4][0]) for each in found)) or [host]
        try:
            for rest in range(len(addresses), 0, -1):
                itself.host = addresses[-rest]
                itself.timeout = (_bounds.seconds_left() or left) / rest
                try:
                    sock = connect()
                except OSError:
                    raise
                except Exception:
                    if rest == 1:
                        raise
                else:
                    sock.settimeout(_bounds.seconds_left())
                    return sock
        finally:
            itself.host = host
        raise AssertionError  # the loop returns or raises


@functools.cache
def _bounded_pool(pool: Any) -> Any:
    connection = type(pool.ConnectionCls.__name__, (_BoundedConnection, pool.ConnectionCls), {})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection})


def _bound(manager: Any) -> Any:
    """Make the pools of a manager create bounded connections."""
    if "bounded" not in vars(manager):
        manager.bounded = True
        manager.pool_classes_by_scheme = {
            scheme: _bounded_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }
    return manager


class DeadlineAdapter(TrustingAdapter):
    """An adapter for sessions that heeds :func:`within`."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools for direct connections."""
        super().init_poolmanager(*args, **options)
        _bound(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools for connections by way of a proxy."""
        return _bound(super().proxy_manager_for(proxy, **options))
