# SPDX-License-Identifier: Apache-2.0
"""Send requests to the API from an event loop: requests, answers, errors and retries as in :mod:`sender`."""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

import certifi
import httpx
import tenacity
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.redaction import hide_phone_numbers
from airflow_provider_synthflow.client.response import read_page
from airflow_provider_synthflow.client.retry import give_up
from airflow_provider_synthflow.client.transport import (
    HEADERS,
    FailureKinds,
    HttpResponse,
    authorization,
    error_of_failure,
    read_answer,
    retry_policy,
)
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.client.settings import Settings


__all__ = ["AsyncSynthflowClient", "shared_http_client", "users_of"]

_KINDS = FailureKinds(
    bad_address=(httpx.InvalidURL, httpx.UnsupportedProtocol),
    bad_encoding=(httpx.DecodingError,),
    timed_out=(httpx.TimeoutException,),
)
_LARGE = 256 * 1024
"""A body from this size on is read beside the event loop, which must never be held up."""


class AsyncSynthflowClient:
    """
    Send requests from coroutines; :meth:`open` makes one.

    :param settings: where to, with which key, how patiently
    :param http: what carries the requests
    :param sleep: how to wait, in seconds
    """

    def __init__(
        self,
        settings: Settings,
        http: httpx.AsyncClient,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.pace = RateLimiter()
        self.requests = 0
        self.retries = 0
        self._http = http
        self._sleep = sleep

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[AsyncSynthflowClient]:
        """
        Give a sender; its connections are given back with it, also where it is cancelled.

        :param settings: where to, with which key, how patiently
        """
        async with shared_http_client(settings) as http:
            yield cls(settings, http)

    @property
    def companions(self) -> int:
        """Return how many senders, this one among them, share the connections."""
        return users_of(self.settings)

    async def page(self, query: CallsQuery, limit: int, offset: int) -> Page:
        """
        Ask for one page of List calls.

        :param query: which calls
        :param limit: how many, 1 to 100
        :param offset: the index of the first
        :raises SynthflowError: typed, after the retries
        """
        return cast("Page", await self.ask("/calls", query.parameters(limit, offset), read_page))

    async def wait(self, seconds: float) -> None:
        """
        Wait as between two tries.

        :param seconds: how long
        """
        await self._sleep(seconds)

    async def ask(self, path: str, parameters: Mapping[str, str], read: Callable[[bytes], Any]) -> Any:
        """
        Send a GET until there is a proper answer, and read it.

        :param path: the path below the base URL
        :param parameters: the request's parameters
        :param read: what makes the result of the body; its retriable errors count as tries, too
        :raises SynthflowError: typed, after the retries
        """

        async def once() -> Any:
            answer = await self.send(path, parameters)
            if len(answer.body) < _LARGE:
                return read_answer(answer, read, self.settings)
            return await asyncio.to_thread(read_answer, answer, read, self.settings)

        return await self.retrying(once)

    async def retrying(self, once: Callable[[], Awaitable[Any]]) -> Any:
        """
        Call something at its pace until it succeeds, its error is final, or the tries are used up.

        :param once: sends one request and reads its answer
        :raises SynthflowError: the last error, with the number of tries
        """
        attempts = tenacity.AsyncRetrying(sleep=self._sleep, **retry_policy(self.settings, self._count_retry))
        number = 0
        try:
            async for attempt in attempts:
                with attempt:
                    number = attempt.retry_state.attempt_number
                    return await self._paced(once)
        except SynthflowError as error:
            raise give_up(error, number) from error.__cause__
        raise AssertionError  # the loop above returns or raises

    async def send(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """
        Send one GET, once, and return its answer whatever its status; redirects are not followed.

        :param path: the path below the base URL
        :param parameters: the request's parameters
        :raises SynthflowTransientError: where no whole answer came
        :raises SynthflowConfigError: where none can ever come
        """
        self.requests += 1
        try:
            response = await self._http.get(self.settings.base_url + path, params=dict(parameters))
            return HttpResponse(response.status_code, response.headers, response.content)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = error_of_failure(error, _KINDS, self.settings)
        raise failure  # apart from the other error, whose text may hold the address with its parameters

    async def _paced(self, once: Callable[[], Awaitable[Any]]) -> Any:
        delay = self.pace.reserve()
        if delay > 0:
            await self._sleep(delay)
        with self.pace.request():
            return await once()

    def _count_retry(self) -> None:
        self.retries += 1


_MOST_CONNECTIONS = 50
_KEPT_ALIVE_SECONDS = 30.0

hide_phone_numbers(("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy"))


@dataclass
class _Shared:
    """Hold a client, and how many use it."""

    http: httpx.AsyncClient
    users: int = 0


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, _Shared]] = WeakKeyDictionary()
_trusted: dict[str, ssl.SSLContext] = {}
_trusted_lock = threading.Lock()


@asynccontextmanager
async def shared_http_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """
    Give the running loop's client for some settings; it is closed when the last user leaves.

    :param settings: where to, with which key
    :raises SynthflowConfigError: where the environment names certificates or a proxy that cannot be used
    """
    bundle = _bundle(settings)
    if bundle not in _trusted:
        await asyncio.to_thread(_trust, bundle)
    shared = _enter(settings, bundle)
    try:
        yield shared.http
    finally:
        shared.users -= 1
        if shared.users == 0:
            _of_this_loop().pop(settings)
            await shared.http.aclose()


def users_of(settings: Settings) -> int:
    """
    Return how many use the running loop's client for some settings.

    :param settings: where to, with which key
    """
    shared = _of_this_loop().get(settings)
    return 0 if shared is None else shared.users


def _of_this_loop() -> dict[Settings, _Shared]:
    return _shared.setdefault(asyncio.get_running_loop(), {})


def _enter(settings: Settings, bundle: str) -> _Shared:
    """Take the client, or make it; nothing is awaited here, so that two that come at once get the same."""
    clients = _of_this_loop()
    shared = clients.get(settings)
    if shared is None:
        proxy = _proxy(settings)
        try:
            http = httpx.AsyncClient(
                headers={**HEADERS, "Authorization": authorization(settings)},
                verify=_trusted[bundle],
                proxy=proxy,
                trust_env=False,  # what of the environment counts is in the two lines above
                timeout=settings.timeout,
                follow_redirects=False,
                limits=httpx.Limits(
                    max_connections=_MOST_CONNECTIONS,
                    max_keepalive_connections=_MOST_CONNECTIONS,
                    keepalive_expiry=_KEPT_ALIVE_SECONDS,
                ),
            )
        except (ImportError, ValueError, httpx.InvalidURL):  # their texts may hold the proxy's password
            http = None
        if http is None:
            msg = (
                "The proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used: its address is wrong, "
                "or it is a SOCKS proxy and the package httpx[socks] is not installed."
            )
            raise SynthflowConfigError(msg)
        shared = clients[settings] = _Shared(http)
    shared.users += 1
    return shared


def _proxy(settings: Settings) -> str | None:
    """Return the address of the proxy, None where there is none, as for a server on this machine."""
    if settings.is_local:
        return None
    url = settings.base_url
    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    return str(prepend_scheme_if_needed(proxy, "http")) if proxy else None  # type: ignore[no-untyped-call]


def _bundle(settings: Settings) -> str:
    """Return where the trusted certificates are."""
    if settings.is_local:
        return certifi.where()
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()


def _trust(bundle: str) -> None:
    """Read the trusted certificates, once; that takes long enough to be done beside the event loop."""
    with _trusted_lock:
        if bundle in _trusted:
            return
        try:
            if Path(bundle).is_dir():
                _trusted[bundle] = ssl.create_default_context(capath=bundle)
            else:
                _trusted[bundle] = ssl.create_default_context(cafile=bundle)
        except OSError:
            readable = False
        else:
            readable = True
    if not readable:
        msg = f"REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names {bundle}, which holds no certificates that can be read."
        raise SynthflowConfigError(msg)
