# SPDX-License-Identifier: Apache-2.0
"""The client for tasks: requests to the API by ``requests``, one session a thread, one pace for all."""

from __future__ import annotations

import os
import threading
import time
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from urllib.parse import urlencode

import requests
import urllib3

from airflow_provider_synthflow.client.deadline import DeadlineAdapter, within
from airflow_provider_synthflow.client.environment import read_proxy, show_proxy, trust
from airflow_provider_synthflow.client.failure import make_failure
from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.redaction import hide_phone_numbers
from airflow_provider_synthflow.client.response import read_elements, read_page
from airflow_provider_synthflow.client.retry import tries
from airflow_provider_synthflow.client.transport import (
    CLOSED,
    BodyReader,
    HttpResponse,
    check_answer,
    make_headers,
    read_address,
    read_answer,
    too_large,
)
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["HttpResponse", "PageAnswer", "SynthflowClient"]

_T = TypeVar("_T")
_BAD_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    urllib3.exceptions.LocationValueError,
)
_PIECE = 64 * 1024
_OVERHEAD = 1024 * 1024  # headers, and the marks between pieces

hide_phone_numbers(("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"))


class _Bearer(requests.auth.AuthBase):
    """The key as a session's auth, so that a .netrc file does not replace it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


class _Session(requests.Session):
    """A session that looks at where a redirect leads only where it is to follow it."""

    def resolve_redirects(self, *args: Any, yield_requests: bool = False, **options: Any) -> Iterator[Any]:
        """Return what follows a response."""
        return iter(()) if yield_requests else super().resolve_redirects(*args, **options)


class SynthflowClient:
    """The API as tasks ask it, from any number of threads."""

    def __init__(
        self, settings: Settings, *, pace: RateLimiter | None = None, sleep: Callable[[float], None] | None = None
    ) -> None:
        self.settings = settings
        self.pace = pace or RateLimiter()
        self.requests = 0
        self.retries = 0
        self.waits = 0  # for the shared pace, and before a further try
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._sleep = sleep or self._sleep_until_closed
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def __enter__(self) -> Self:
        """Return the client itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the client."""
        self.close()

    def close(self) -> None:
        """Close all sessions for good and end all waiting; what is still to be sent fails."""
        self._closed.set()
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        self._local = threading.local()

    def session(self) -> requests.Session:
        """Return this thread's session: authenticated, with kept-alive connections."""
        if self._closed.is_set():
            raise SynthflowTransientError(CLOSED)
        if getattr(self._local, "process", None) != os.getpid():  # a forked one must not share its parent's connections
            return self._open_session()
        session: requests.Session = self._local.session
        return session

    def wait(self, seconds: float) -> None:
        """Wait as between two tries, and count it; raise where the client is closed meanwhile."""
        with self._lock:
            self.waits += 1
        self._sleep(seconds)

    def page(self, query: CallsQuery, limit: int, offset: int) -> Page:
        """Ask for one page of List calls."""
        return self.answer(query, limit, offset).read()

    def answer(self, query: CallsQuery, limit: int, offset: int) -> PageAnswer:
        """Ask for one page of List calls, and return the answer unread."""
        request = _Request(self, partial(self.send, "/calls", query.parameters(limit, offset)), check_answer)
        return PageAnswer(request, request.succeed(), offset)

    def elements(self, path: str, name: str, parameters: Mapping[str, str]) -> tuple[list[dict[str, Any]], int | None]:
        """Ask for one page of another list, and its declared total."""
        return self.ask(path, parameters, lambda body: read_elements(body, name))

    def ask(self, path: str, parameters: Mapping[str, str], read: Callable[[bytes], _T]) -> _T:
        """Send a GET until there is a proper answer, and read it."""
        return cast("_T", self.retrying(lambda: read_answer(self.send(path, parameters), read, self.settings)))

    def redirect(self, path: str) -> str:
        """Ask for a path that answers with another address, and return that address; nothing is asked of it."""
        return self.retrying(lambda: self.redirect_once(path))

    def redirect_once(self, path: str) -> str:
        """Ask as :meth:`redirect` does, in one try that waits for no pace."""
        with self.settings.named_in_errors():
            return read_address(self.send(path, {}), path, self.settings)

    def retrying(self, once: Callable[[], _T]) -> _T:
        """Call something at the shared pace until it succeeds, its error is final, or the tries are used up."""
        request = _Request(self, once)
        result = request.succeed()
        request.end()
        return result

    def send(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """Send one GET, once, and return its answer whatever its status; redirects are not followed."""
        with self._lock:
            self.requests += 1
        settings = self.settings
        sent = time.monotonic_ns()
        try:
            session, request, how = self._prepare(path, parameters)
            with (
                within(settings.timeout, 2 * settings.max_response_bytes + _OVERHEAD, lambda: too_large(settings)),
                session.send(request, timeout=settings.timeout, allow_redirects=False, **how) as response,
            ):
                return _read(response, settings, sent)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = make_failure(error, settings, getattr(self._local, "proxy", None), _BAD_ADDRESS)
        raise failure  # apart from the other error, whose text may hold the address with its parameters

    def _open_session(self) -> requests.Session:
        settings = self.settings
        with settings.named_in_errors():
            proxy = read_proxy(settings, "socks")
            trusted = trust() if settings.uses_tls else None
        headers = make_headers(settings)
        session = _Session()
        session.auth = _Bearer(headers.pop("Authorization"))
        session.trust_env = not settings.is_local  # a proxy would take the key elsewhere, in plain text
        session.headers.update(headers)
        for scheme in ("https://", "http://"):
            session.mount(scheme, DeadlineAdapter(trusted))
        self._local.proxy = show_proxy(proxy)
        self._local.session = session
        self._local.process = os.getpid()
        with self._lock:
            self._sessions.append(session)
        return session

    def _prepare(
        self, path: str, parameters: Mapping[str, str]
    ) -> tuple[requests.Session, requests.PreparedRequest, dict[str, Any]]:
        """Return what session.get would send, and how, without making the same headers anew for every page."""
        session = self.session()
        if not hasattr(self._local, "base"):
            url = self.settings.base_url
            how = session.merge_environment_settings(url, {}, stream=True, verify=None, cert=None)
            self._local.base = session.prepare_request(requests.Request("GET", url)), dict(how)
        prepared, how = self._local.base
        request = copy(prepared)
        request.url = f"{request.url}{path}?{urlencode(parameters)}" if parameters else f"{request.url}{path}"
        if session.cookies:
            request.headers = prepared.headers.copy()
            request.prepare_cookies(session.cookies)
        return session, request, how

    def count_retry(self) -> None:
        """Count a further try."""
        with self._lock:
            self.retries += 1

    def _sleep_until_closed(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise SynthflowTransientError(CLOSED)


class _Request(Generic[_T]):
    """A request with its tries, which may go on after an answer that turns out to be none."""

    def __init__(
        self,
        client: SynthflowClient,
        once: Callable[[], _T],
        check: Callable[[_T, Settings], None] = lambda *_: None,
    ) -> None:
        self.settings = client.settings
        self._client = client
        self._once = once
        self._check = check
        self._steps = tries(client.settings.max_attempts, client.pace, client.count_retry)
        self._wait = next(self._steps)

    def succeed(self) -> _T:
        """Send it until it succeeds, its error is final, or the tries are used up."""
        while True:
            while self._wait is not None:
                self._client.wait(self._wait)
                self._wait = next(self._steps)
            try:
                with self.settings.named_in_errors():
                    found = self._once()
                    self._check(found, self.settings)
            except SynthflowError as error:
                failure = error
            else:
                return found
            self.fail(failure)

    def fail(self, failure: SynthflowError) -> None:
        """Take in why the last try was of no use, or raise it where no further one helps."""
        self._wait = self._steps.throw(failure)

    def end(self) -> None:
        """Take in that the last try was of use."""
        next(self._steps, None)


class PageAnswer:
    """An answer that holds a page of calls, still to be read."""

    # Reading takes the processor for longer than receiving. Left to whoever uses the page, it does not hold up the
    # threads that wait for answers, and few pages are in memory (docs/performance.md).

    def __init__(self, request: _Request[HttpResponse], answer: HttpResponse, offset: int) -> None:
        self._request = request
        self._answer = answer
        self._offset = offset

    def read(self) -> Page:
        """Read the page, and ask again as long as the answer is none and there are tries left."""
        while True:
            try:
                with self._request.settings.named_in_errors():
                    page = read_page(self._answer.body, self._offset)
            except SynthflowError as error:
                failure = error
            else:
                self._request.end()
                return replace(page, sent=self._answer.sent)
            self._request.fail(failure)
            self._answer = self._request.succeed()


def _read(response: requests.Response, settings: Settings, sent: int) -> HttpResponse:
    """Read a whole answer; response.content would copy the body in pieces of 10 KB."""
    body = BodyReader(response.status_code, response.headers, settings)
    raw = response.raw
    if body.length is not None and body.wants_more and not raw.chunked:
        body.add(raw.read(decode_content=False))
    elif body.wants_more:
        for piece in raw.stream(_PIECE, decode_content=False):
            if not body.add(piece):
                break
    return HttpResponse(response.status_code, response.headers, body.unpack(), sent)
