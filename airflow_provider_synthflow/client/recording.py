# SPDX-License-Identifier: Apache-2.0
"""Download a recording from the signed address that the API leads to: whole or not at all, and without the key."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from urllib3.util import wait_for_read

from airflow_provider_synthflow.client.audio import HEAD, is_text, read_media_type, to_extension
from airflow_provider_synthflow.client.environment import TrustingAdapter, trust
from airflow_provider_synthflow.client.redaction import hide_addresses
from airflow_provider_synthflow.client.settings import is_loopback
from airflow_provider_synthflow.client.transport import CLOSED, HEADERS, call_path, is_safe_address
from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from typing_extensions import Self

    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["Recording", "RecordingDownloader", "RecordingTooLargeError", "Sink"]

_PIECE = 256 * 1024
_MOST_REDIRECTS = 3
_NOT_THERE = {404, 410}
_FAILURES = (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError)


class Sink(Protocol):
    """Something that takes the bytes of a recording, and tells their number and their SHA-256."""

    size: int

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""

    def write(self, data: bytes, /) -> Any:
        """Write bytes at the end."""


@dataclass(frozen=True)
class Recording:
    """A recording that was downloaded."""

    bytes: int
    sha256: str
    content_type: str | None


class RecordingTooLargeError(SynthflowConfigError):
    """A recording that is larger than is wanted."""


class _BodyError(SynthflowTransientError):
    """An answer of the recording's host that may be another one from a new address."""


class _LastError(Exception):
    """An error after which to download again would not help, such as of the place that the bytes go to."""

    def __init__(self, error: SynthflowError) -> None:
        super().__init__()
        self.error = error


class RecordingDownloader:
    """The downloads of recordings, from any number of threads."""

    def __init__(
        self,
        client: SynthflowClient,
        *,
        max_bytes: int | None = None,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        self._client = client
        self._max_bytes = max_bytes
        self._on_bytes = on_bytes or (lambda _: None)
        self._local = threading.local()
        self._lock = threading.Lock()
        self._closed = False
        self._sessions: list[requests.Session] = []
        self._sockets: set[socket.socket] = set()

    def __enter__(self) -> Self:
        """Return the downloader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the downloader."""
        self.close()

    def close(self) -> None:
        """End all downloads at once; what is under way fails."""
        with self._lock:
            self._closed = True
            sessions, self._sessions = self._sessions, []
            sockets, self._sockets = self._sockets, set()
        for each in sockets:
            with contextlib.suppress(OSError):  # its download has ended meanwhile
                each.shutdown(socket.SHUT_RDWR)
        for session in sessions:
            session.close()

    def download(self, call_id: str, open_sink: Callable[[str], AbstractContextManager[Sink]]) -> Recording:
        """Download the recording of a call; each try asks the API for the address and begins anew."""
        path = call_path(call_id, "/recording")
        missing = 0

        def once() -> Recording:
            nonlocal missing
            self._check_open()
            address = self._client.redirect_once(path)
            with hide_addresses(), self._answer(address) as response:
                if response.status_code in _NOT_THERE:
                    missing += 1
                    if missing > 1:
                        msg = (
                            "The API gives an address for the recording, but there is no recording at that "
                            "address (HTTP 404)."
                        )
                        raise SynthflowRequestError(msg, status=404)
                if response.status_code != 200:
                    raise _BodyError(f"{_host(address)} answered HTTP {response.status_code} instead of a recording.")
                return self._store(_Body(response, _host(address)), open_sink)

        try:
            return self._client.retrying(once)
        except _LastError as failure:
            raise failure.error from None
        except _BodyError as error:
            text, tries = error.args[0].partition(" Gave up after")[0], error.attempts
        msg = (
            f"The recording could not be downloaded: {text} Gave up after {tries} "
            f"{'try' if tries == 1 else 'tries'}. Check that this worker reaches that host, and run the task "
            "again."
        )
        raise SynthflowTransientError(msg, attempts=tries)

    def _store(self, body: _Body, open_sink: Callable[[str], AbstractContextManager[Sink]]) -> Recording:
        """Copy a body to where it goes."""
        body.check_size(self._max_bytes)
        try:
            with open_sink(body.extension) as sink:
                found = body.copy_to(sink, self._max_bytes, self._on_bytes)
                self._check_open()  # what was broken by closing may look like its end
                return found
        except _BodyError:
            raise
        except SynthflowTransientError as error:
            raise _LastError(error) from None

    def _check_open(self) -> None:
        if self._closed:
            raise _LastError(SynthflowTransientError(CLOSED))

    @contextlib.contextmanager
    def _answer(self, address: str) -> Iterator[requests.Response]:
        """Ask an address, follow its redirects, and give the answer that is none."""
        for _ in range(_MOST_REDIRECTS + 1):
            _check(address)
            response = self._get(address)
            listening = _find_socket(response)
            with response, self._breakable(listening):
                location = response.headers.get("Location")
                if not (300 <= response.status_code < 400 and location):
                    yield response
                    return
            address = urljoin(address, location)
        raise SynthflowProtocolError(f"The address of the recording redirects more than {_MOST_REDIRECTS} times.")

    def _get(self, address: str) -> requests.Response:
        timeout = self._client.settings.timeout
        try:
            session = self._session()
            request = copy(self._local.request)
            request.url = address  # as it was signed
            options: dict[str, Any] = {"stream": True, "proxies": {}}
            if not is_loopback(urlsplit(address).hostname or ""):
                options = dict(session.merge_environment_settings(address, {}, stream=True, verify=None, cert=None))
            # The session itself would look at where a redirect leads, and make another request of it.
            return session.get_adapter(address).send(request, timeout=(timeout, timeout), **options)
        except _FAILURES as error:
            failure = _make_error(error, _host(address), timeout)
        raise failure  # apart from the other error, whose text holds the address

    def _session(self) -> requests.Session:
        """Return this thread's session, which has no key."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.mount("https://", TrustingAdapter(trust()))
            session.auth = _unchanged  # else a .netrc's would go along, beside the signature
            session.headers.update({"User-Agent": HEADERS["User-Agent"], "Accept": "*/*"})
            session.headers["Accept-Encoding"] = "identity"  # so that the length is that of the recording
            with self._lock:
                self._check_open()
                self._sessions.append(session)
            self._local.session = session
            self._local.request = session.prepare_request(requests.Request("GET", "https://localhost"))
        return session

    @contextlib.contextmanager
    def _breakable(self, listening: socket.socket | None) -> Iterator[None]:
        """Allow :meth:`close` to break a connection that is being read."""
        if listening is None:
            yield
            return
        with self._lock:
            self._check_open()
            self._sockets.add(listening)
        try:
            yield
        finally:
            with self._lock:
                self._sockets.discard(listening)


class _Body:
    """The bytes of an answer, of which the first are read."""

    def __init__(self, response: requests.Response, host: str) -> None:
        headers = response.headers
        self._raw: Any = response.raw
        self._host = host
        self._encoded = headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}
        length = headers.get("Content-Length", "").strip()
        plain = not self._encoded and "Transfer-Encoding" not in headers
        self._length = int(length) if plain and length.isascii() and length.isdecimal() else None
        self._pieces = self._read_all()
        self._first = next(self._pieces, b"")
        self.content_type = read_media_type(headers.get("Content-Type"))
        if not self._first:
            raise _BodyError(f"{host} sent an empty recording.")
        head = self._first[:HEAD]
        if is_text(self.content_type, head):
            raise _BodyError(f"{host} sent text or a web page instead of a recording.")
        self.extension = to_extension(self.content_type, head)

    def check_size(self, max_bytes: int | None, size: int = 0) -> None:
        """Raise where the recording is larger than is wanted."""
        size = max(size, self._length or 0)
        if max_bytes is not None and size > max_bytes:
            raise RecordingTooLargeError(
                f"A recording has at least {size:,} bytes, more than max_bytes ({max_bytes:,}). Raise it to store this."
            )

    def copy_to(self, sink: Sink, max_bytes: int | None, on_bytes: Callable[[int], None]) -> Recording:
        """Write all bytes, and return what they were."""
        piece = self._first
        while piece:
            self.check_size(max_bytes, sink.size + len(piece))
            sink.write(piece)
            on_bytes(len(piece))
            piece = next(self._pieces, b"")
        return Recording(sink.size, sink.sha256, self.content_type)

    def _read_all(self) -> Iterator[bytes]:
        if self._length is None:
            while piece := self._read(_PIECE):
                yield piece
            return
        left = self._length
        while left > 1:
            left -= len(piece := self._read(min(_PIECE, left - 1)) or self._cut())
            yield piece
        if left:
            more = _has_more(self._raw)  # while the last byte is due, since the reader goes with it
            yield self._read(1) or self._cut()
            if more:
                raise _BodyError(f"{self._host} sent more bytes of a recording than its Content-Length says.")

    def _read(self, size: int) -> bytes:
        try:
            return cast("bytes", self._raw.read(size, decode_content=self._encoded))
        except _FAILURES as error:
            failure = _make_error(error, self._host, None)
        raise failure

    def _cut(self) -> bytes:
        raise _BodyError(f"{self._host} sent fewer bytes of a recording than its Content-Length says.")


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _host(address: str) -> str:
    """Return the name of an address's host: nothing else of a signed address is told."""
    try:
        name = urlsplit(address).hostname or ""
    except ValueError:
        name = ""
    plain = name.isascii() and name.replace("-", "").replace(".", "").replace(":", "").isalnum()
    return name if plain else "The host of the recording"


def _check(address: str) -> None:
    """Raise where an address must not be asked."""
    if not is_safe_address(address) or urlsplit(address).username is not None:
        raise SynthflowProtocolError(
            "The API gives an address for the recording that is not https, so it was not used. Something between "
            "this worker and the API may change its answers: check the connection's host and the proxy."
        )


def _make_error(error: Exception, host: str, timeout: float | None) -> SynthflowError:
    """Make a typed error of a failure, whose own text may hold the address."""
    seen: BaseException | None = error
    for _ in range(10):
        if isinstance(seen, ssl.SSLCertVerificationError):
            return SynthflowConfigError(
                f"The TLS certificate of {host}, where the recordings are, is not trusted here: {seen.verify_message}. "
                "Add the certificate authority (REQUESTS_CA_BUNDLE)."
            )
        reason = getattr(seen, "reason", None)
        inner = seen.args[0] if seen is not None and seen.args and isinstance(seen.args[0], BaseException) else None
        seen = reason if isinstance(reason, BaseException) else inner
    late = (requests.Timeout, urllib3.exceptions.TimeoutError, TimeoutError)
    if isinstance(error, late) or "timed out" in type(error).__name__.lower():
        return _BodyError(f"{host} sent nothing for {timeout:g} s." if timeout else f"{host} stopped sending.")
    return _BodyError(f"The connection to {host} failed ({type(error).__name__}).")


def _find_socket(response: requests.Response) -> socket.socket | None:
    """Return the socket that an answer is read from; no library hands it out."""
    reader = getattr(getattr(response.raw, "_fp", None), "fp", None)
    found = getattr(getattr(reader, "raw", None), "_sock", None)
    return found if isinstance(found, socket.socket) else None


def _has_more(raw: Any) -> bool:
    """Tell whether more than the last byte of a body is there already."""
    # HTTP libraries stop at the declared length, and would pass a recording that is cut by a wrong one.
    reader: Any = getattr(getattr(raw, "_fp", None), "fp", None)
    listening = getattr(getattr(reader, "raw", None), "_sock", None)
    if not hasattr(reader, "peek"):
        return False
    try:
        if len(reader.peek(2)) > 1:
            return True
        if isinstance(listening, ssl.SSLSocket):
            return listening.pending() > 0
        if isinstance(listening, socket.socket):
            return wait_for_read(listening, timeout=0) and bool(listening.recv(1, socket.MSG_PEEK))
    except (OSError, ValueError):  # nothing there yet; what is wrong with the connection, the next read tells
        pass
    return False
