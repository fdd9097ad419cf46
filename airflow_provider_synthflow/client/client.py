# SPDX-License-Identifier: Apache-2.0
"""Send requests to the API with ``requests``: one session a thread, typed errors, retries, one pace for all."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode, urljoin

import requests
import tenacity
import urllib3

from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.redaction import hide_phone_numbers
from airflow_provider_synthflow.client.response import error_of, read_elements, read_page
from airflow_provider_synthflow.client.retry import give_up
from airflow_provider_synthflow.client.transport import (
    CLOSED,
    HEADERS,
    FailureKinds,
    HttpResponse,
    authorization,
    error_of_failure,
    read_answer,
    retry_policy,
)
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowProtocolError, SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Self

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["HttpResponse", "SynthflowClient"]

_KINDS = FailureKinds(
    bad_address=(requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema),
    bad_encoding=(requests.exceptions.ContentDecodingError, urllib3.exceptions.DecodeError),
    timed_out=(requests.Timeout, urllib3.exceptions.TimeoutError),
)

hide_phone_numbers(("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry"))


class _Bearer(requests.auth.AuthBase):
    """Put the key into the header; as a session's auth it keeps a .netrc from replacing it."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


class SynthflowClient:
    """
    Send requests, from any number of threads.

    :param settings: where to, with which key, how patiently
    :param pace: the pace that the requests share; default: one of its own
    :param sleep: how to wait; default: until the time is over or the sender is closed
    """

    def __init__(
        self, settings: Settings, *, pace: RateLimiter | None = None, sleep: Callable[[float], None] | None = None
    ) -> None:
        self.settings = settings
        self.pace = pace or RateLimiter()
        self.requests = 0
        self.retries = 0
        self.waits = 0  # for the shared pace, and before a further try
        self._count_lock = threading.Lock()
        self._closed = threading.Event()
        self._sleep = sleep or self._sleep_until_closed
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def __enter__(self) -> Self:
        """Return the sender itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the sender."""
        self.close()

    def close(self) -> None:
        """Close all sessions for good and end all waiting; what is still to be sent fails."""
        self._closed.set()
        with self._count_lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        self._local = threading.local()

    def session(self) -> requests.Session:
        """
        Return this thread's session: authenticated, with kept-alive connections.

        :raises SynthflowTransientError: where the sender is closed
        """
        if self._closed.is_set():
            raise SynthflowTransientError(CLOSED)
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = requests.Session()
            session.auth = _Bearer(authorization(self.settings))
            session.trust_env = not self.settings.is_local  # a proxy would take the key elsewhere, in plain text
            session.headers.update(HEADERS)
            self._local.session = session
            with self._count_lock:
                self._sessions.append(session)
        return session

    def wait(self, seconds: float) -> None:
        """
        Wait as between two tries, and count it.

        :param seconds: how long
        :raises SynthflowTransientError: where the sender is closed meanwhile
        """
        with self._count_lock:
            self.waits += 1
        self._sleep(seconds)

    def page(self, query: CallsQuery, limit: int, offset: int) -> Page:
        """
        Ask for one page of List calls.

        :param query: which calls
        :param limit: how many, 1 to 100
        :param offset: the index of the first
        :raises SynthflowError: typed, after the retries
        """
        return cast("Page", self.ask("/calls", query.parameters(limit, offset), read_page))

    def elements(self, path: str, name: str, parameters: Mapping[str, str]) -> tuple[list[dict[str, Any]], int | None]:
        """
        Ask for one page of another list, and its declared total.

        :param path: the path below the base URL
        :param name: the list's name in the envelope
        :param parameters: the request's parameters
        :raises SynthflowError: typed, after the retries
        """
        return cast(
            "tuple[list[dict[str, Any]], int | None]",
            self.ask(path, parameters, lambda body: read_elements(body, name)),
        )

    def call_path(self, call_id: str, suffix: str = "") -> str:
        """
        Return the path of a call.

        :param call_id: the API's opaque id
        :param suffix: what follows, such as ``/recording``
        :raises ValueError: where the id is none
        """
        if not isinstance(call_id, str) or not call_id:
            msg = "call_id is missing: give the id of a call, as the API writes it."
            raise ValueError(msg)
        return f"/calls/{quote(call_id, safe='')}{suffix}"

    def ask(self, path: str, parameters: Mapping[str, str], read: Callable[[bytes], Any]) -> Any:
        """
        Send a GET until there is a proper answer, and read it.

        :param path: the path below the base URL
        :param parameters: the request's parameters
        :param read: what makes the result of the body; its retriable errors count as tries, too
        :raises SynthflowError: typed, after the retries
        """
        return self.retrying(lambda: read_answer(self.send(path, parameters), read, self.settings))

    def redirect(self, path: str) -> str:
        """
        Ask for a path that answers with another address, and return that address; nothing is asked of it.

        :param path: the path below the base URL
        :raises SynthflowProtocolError: where no address came
        :raises SynthflowError: typed, after the retries
        """
        return cast("str", self.retrying(lambda: self.redirect_once(path)))

    def redirect_once(self, path: str) -> str:
        """Ask as :meth:`redirect` does, in one try that waits for no pace."""
        answer = self.send(path, {})
        location = answer.headers.get("Location")
        if 300 <= answer.status < 400 and location:
            return urljoin(self.settings.base_url + path, location)
        msg = f"The API answered HTTP {answer.status} without an address where a redirect was due."
        raise error_of(answer.status, answer.headers, answer.body, self.settings) or SynthflowProtocolError(msg)

    def retrying(self, once: Callable[[], Any]) -> Any:
        """
        Call something at the shared pace until it succeeds, its error is final, or the tries are used up.

        :param once: sends one request and reads its answer
        :raises SynthflowError: the last error, with the number of tries
        """
        attempts = tenacity.Retrying(sleep=self.wait, **retry_policy(self.settings, self._count_retry))
        number = 0
        try:
            for attempt in attempts:
                with attempt:
                    number = attempt.retry_state.attempt_number
                    return self._paced(once)
        except SynthflowError as error:
            raise give_up(error, number) from error.__cause__
        raise AssertionError  # the loop above returns or raises

    def send(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """
        Send one GET, once, and return its answer whatever its status; redirects are not followed.

        :param path: the path below the base URL
        :param parameters: the request's parameters
        :raises SynthflowTransientError: where no whole answer came
        :raises SynthflowConfigError: where none can ever come
        """
        with self._count_lock:
            self.requests += 1
        timeout = self.settings.timeout
        try:
            with self._get(path, parameters, timeout) as response:
                # response.content would copy the body in pieces of 10 KB
                body = response.raw.read(decode_content=True)
                return HttpResponse(response.status_code, response.headers, body)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = error_of_failure(error, _KINDS, self.settings)
        raise failure  # apart from the other error, whose text may hold the address with its parameters

    def _get(self, path: str, parameters: Mapping[str, str], timeout: float) -> requests.Response:
        """Do as session.get does, without reading the environment and building the same headers for every page."""
        session = self.session()
        base: tuple[requests.PreparedRequest, dict[str, Any]] | None = getattr(self._local, "base", None)
        if base is None:
            url = self.settings.base_url
            prepared = session.prepare_request(requests.Request("GET", url))
            base = self._local.base = (
                prepared,
                dict(session.merge_environment_settings(url, {}, stream=True, verify=None, cert=None)),
            )
        request = base[0].copy()
        request.url = f"{request.url}{path}?{urlencode(parameters)}" if parameters else f"{request.url}{path}"
        if session.cookies:
            request.prepare_cookies(session.cookies)
        return session.send(request, timeout=timeout, allow_redirects=False, **base[1])

    def _paced(self, once: Callable[[], Any]) -> Any:
        delay = self.pace.reserve()
        if delay > 0:
            self.wait(delay)
        with self.pace.request():
            return once()

    def _count_retry(self) -> None:
        with self._count_lock:
            self.retries += 1

    def _sleep_until_closed(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise SynthflowTransientError(CLOSED)
