# SPDX-License-Identifier: Apache-2.0
"""A request and its answer, as both clients send and read them. Pure: no network here."""

from __future__ import annotations

import contextlib
import string
import zlib
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.response import make_error
from airflow_provider_synthflow.client.settings import is_loopback
from airflow_provider_synthflow.exceptions import SynthflowProtocolError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_synthflow.client.settings import Settings

__all__ = [
    "CLOSED",
    "HEADERS",
    "BodyReader",
    "HttpResponse",
    "call_path",
    "check_answer",
    "is_safe_address",
    "make_headers",
    "read_address",
    "read_answer",
    "too_large",
]

CLOSED = "The connection to the API was closed before the request was done."
"""What is said of a request whose client was closed meanwhile."""

HEADERS = {
    "User-Agent": f"airflow-provider-synthflow/{__version__}",
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
}
"""The headers of every request, but for the key."""

_LONGEST_ERROR = 64 * 1024
_PACKED = {"gzip": (31,), "x-gzip": (31,), "deflate": (47, -15)}
"""By encoding, zlib's numbers: 47 finds out which of its headers there is, and some servers leave it out (-15)."""
_PIECE = 16 * 1024


class HttpResponse:
    """A response: its status, its headers, found by any case, and its whole body, unpacked."""

    __slots__ = ("body", "headers", "sent", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes, sent: int = 0) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.sent = sent  # when it was asked for, by a monotonic clock in nanoseconds; 0: unknown


class BodyReader:
    """The body of an answer, put together of its pieces and unpacked, within the connection's limit."""

    # Of an error's body only what is short is kept: its status is what counts.

    def __init__(self, status: int, headers: Mapping[str, str], settings: Settings) -> None:
        self._settings = settings
        self._is_error = not 200 <= status < 300
        self._limit = settings.max_response_bytes
        if self._is_error:
            self._limit = min(self._limit, _LONGEST_ERROR)
        self._encoding = headers.get("Content-Encoding", "").strip().lower()
        self._pieces: list[bytes] = []
        self.size = 0
        declared = headers.get("Content-Length", "").strip()
        self.length = int(declared[:20]) if declared.isascii() and declared.isdigit() else None
        """The declared length, None where there is none."""
        self.wants_more = self._fits(self.length or 0)

    @property
    def is_packed(self) -> bool:
        """Tell whether the body is compressed."""
        return self._encoding not in {"", "identity"}

    def add(self, piece: bytes) -> bool:
        """Add a piece as it came, and tell whether to read on."""
        self.size += len(piece)
        self._pieces.append(piece)
        self.wants_more = self._fits(self.size)
        return self.wants_more

    def unpack(self) -> bytes:
        """Return the whole body."""
        if not self.wants_more:
            return b""
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if not self.is_packed or not body:
            return body
        for window in _PACKED.get(self._encoding, ()):
            with contextlib.suppress(zlib.error):  # whose text may hold what could not be read
                return self._inflated(body, window)
        if self._is_error:
            return b""
        msg = f"An answer of {self._settings.host} is not compressed as its header says."
        raise SynthflowProtocolError(msg, retriable=True)

    def _inflated(self, body: bytes, window: int) -> bytes:
        """Unpack piece by piece, so that a small body neither fills the memory nor holds up other threads."""
        unpacked: list[bytes] = []
        size = 0
        machine = zlib.decompressobj(window)
        for at in range(0, len(body), _PIECE):
            piece = body[at : at + _PIECE]
            while piece:
                if machine.eof:  # gzip allows several members, and zeros behind them
                    piece = piece.lstrip(b"\0")
                    if not piece:
                        break
                    machine = zlib.decompressobj(window)
                unpacked.append(machine.decompress(piece, self._limit - size + 1))
                size += len(unpacked[-1])
                if not self._fits(size):
                    return b""
                piece = machine.unused_data
        if not machine.eof:
            msg = "it ends early"
            raise zlib.error(msg)
        return b"".join(unpacked)

    def _fits(self, size: int) -> bool:
        if size <= self._limit:
            return True
        if self._is_error:
            return False
        raise too_large(self._settings)


def too_large(settings: Settings) -> SynthflowProtocolError:
    """Make the error of an answer that is larger than the connection allows."""
    msg = (
        f"An answer of {settings.host} is larger than {settings.max_response_bytes:,} bytes, unpacked. Set "
        "max_response_bytes in the connection's extra to more, if answers of that size are expected."
    )
    return SynthflowProtocolError(msg)


def make_headers(settings: Settings) -> dict[str, str]:
    """Return the headers of every request."""
    return {**HEADERS, "Authorization": f"Bearer {settings.api_key}"}


def call_path(call_id: str, suffix: str = "") -> str:
    """Return the path of a call below the base URL."""
    if not isinstance(call_id, str) or not call_id or call_id in {".", ".."}:
        msg = "call_id is missing or not valid: give the id of a call as the API writes it."
        raise ValueError(msg)
    return f"/calls/{quote(call_id, safe='', errors='replace')}{suffix}"


def check_answer(answer: HttpResponse, settings: Settings) -> None:
    """Raise what an answer says is wrong."""
    error = make_error(answer.status, answer.headers, answer.body, settings)
    if error is not None:
        raise error


def read_answer(answer: HttpResponse, read: Callable[[bytes], Any], settings: Settings) -> Any:
    """Read an answer, or raise what it says is wrong."""
    check_answer(answer, settings)
    return read(answer.body)


def read_address(answer: HttpResponse, path: str, settings: Settings) -> str:
    """Return the address that an answer redirects to: https, or http on this machine alone."""
    location = answer.headers.get("Location")
    if not 300 <= answer.status < 400 or not location:
        error = make_error(answer.status, answer.headers, answer.body, settings)
        msg = f"The API answered HTTP {answer.status} instead of a redirect with an address."
        raise error or SynthflowProtocolError(msg)
    try:
        # what a header may not hold, such as a blank, stands percent-encoded in an address
        address = urljoin(settings.base_url + path, quote(location.encode("latin-1", "replace"), string.punctuation))
        if is_safe_address(address):
            return address
    except ValueError:
        pass  # its text may hold the address
    msg = "The API redirects to an address that is not https, so it is not used."
    raise SynthflowProtocolError(msg)


def is_safe_address(address: str) -> bool:
    """Tell whether what is read at an address, or sent there, stays between this machine and that host."""
    try:
        parts = urlsplit(address)
        name, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return bool(name) and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(name)))
