# SPDX-License-Identifier: Apache-2.0
"""The client for event loops: requests to the API by ``httpx``, with the retries and errors of the client for tasks."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary

import anyio
import httpx

from airflow_provider_synthflow.client.environment import read_proxy, show_proxy, trust, unusable_proxy
from airflow_provider_synthflow.client.failure import make_failure
from airflow_provider_synthflow.client.rate_limit import RateLimiter
from airflow_provider_synthflow.client.redaction import hide_phone_numbers
from airflow_provider_synthflow.client.response import read_page
from airflow_provider_synthflow.client.retry import tries
from airflow_provider_synthflow.client.transport import BodyReader, HttpResponse, make_headers, read_answer
from airflow_provider_synthflow.exceptions import SynthflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["AsyncSynthflowClient", "shared_http_client"]

_T = TypeVar("_T")
_BAD_ADDRESS = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_LARGE = 256 * 1024  # a body from this size on is read beside the event loop, which must never be held up
_LARGE_PACKED = 1024  # which unpacks to a thousand times as much at the most
_MOST_CONNECTIONS = 50
_KEPT_ALIVE_SECONDS = 30.0

hide_phone_numbers(("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy"))


@dataclass
class _SharedHttp:
    """The connections of the running loop for some settings, and how many clients use them."""

    http: httpx.AsyncClient
    proxy: str | None
    users: int = 0


class AsyncSynthflowClient:
    """The API as coroutines ask it; :meth:`open` makes one."""

    def __init__(
        self,
        settings: Settings,
        shared: _SharedHttp,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.pace = RateLimiter()
        self.requests = 0
        self.retries = 0
        self._shared = shared
        self._sleep = sleep

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[AsyncSynthflowClient]:
        """Open a client, whose connections are returned at the end of the context."""
        async with shared_http_client(settings) as shared:
            yield cls(settings, shared)

    @property
    def companions(self) -> int:
        """Return how many clients, this one among them, share the connections."""
        return self._shared.users

    async def page(self, query: CallsQuery, limit: int, offset: int) -> Page:
        """Ask for one page of List calls."""
        return await self.ask("/calls", query.parameters(limit, offset), lambda body: read_page(body, offset))

    async def wait(self, seconds: float) -> None:
        """Wait as between two tries."""
        await self._sleep(seconds)

    async def ask(self, path: str, parameters: Mapping[str, str], read: Callable[[bytes], _T]) -> _T:
        """Send a GET until there is a proper answer, and read it."""

        async def once() -> _T:
            return cast("_T", await self._send(path, parameters, read))

        return await self.retrying(once)

    async def retrying(self, once: Callable[[], Awaitable[_T]]) -> _T:
        """Call something at its pace until it succeeds, its error is final, or the tries are used up."""
        steps = tries(self.settings.max_attempts, self.pace, self._count_retry)
        wait = next(steps)
        while True:
            if wait is not None:
                await self._sleep(wait)
                wait = next(steps)
                continue
            try:
                with self.settings.named_in_errors():
                    result = await once()
            except SynthflowError as error:
                failure = error
            else:
                next(steps, None)
                return result
            wait = steps.throw(failure)

    async def _send(self, path: str, parameters: Mapping[str, str], read: Callable[[bytes], Any]) -> Any:
        """Send one GET, once, and read its answer; redirects are not followed."""
        self.requests += 1
        settings = self.settings
        try:
            # asyncio.wait_for would lose a cancellation that comes together with the answer, before Python 3.12.
            with anyio.fail_after(settings.timeout):
                status, headers, body = await self._receive(path, parameters)
        except TimeoutError:
            failure = make_failure(TimeoutError(), settings, self._shared.proxy, _BAD_ADDRESS)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            failure = make_failure(error, settings, self._shared.proxy, _BAD_ADDRESS)
        else:

            def answer() -> Any:
                return read_answer(HttpResponse(status, headers, body.unpack()), read, settings)

            if body.size >= (_LARGE_PACKED if body.is_packed else _LARGE):
                return await asyncio.to_thread(answer)
            return answer()
        raise failure  # apart from the other error, whose text may hold the address with its parameters

    async def _receive(self, path: str, parameters: Mapping[str, str]) -> tuple[int, httpx.Headers, BodyReader]:
        url = self.settings.base_url + path
        async with self._shared.http.stream("GET", url, params=dict(parameters)) as response:
            body = BodyReader(response.status_code, response.headers, self.settings)
            if body.wants_more:
                async for piece in response.aiter_raw():
                    if not body.add(piece):
                        break
            return response.status_code, response.headers, body

    def _count_retry(self) -> None:
        self.retries += 1


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, _SharedHttp]] = WeakKeyDictionary()


@asynccontextmanager
async def shared_http_client(settings: Settings) -> AsyncIterator[_SharedHttp]:
    """Open or share the running loop's connections for some settings; the last user closes them."""
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # where there is no TLS, nothing is to be trusted, or read
    with settings.named_in_errors():
        proxy = read_proxy(settings, "socksio")
        certificates = await asyncio.to_thread(trust) if settings.uses_tls else nobody
        clients = _shared.setdefault(asyncio.get_running_loop(), {})
        shared = clients.get(settings)
        if shared is None:  # nothing is awaited from here on, so that two that come at once get the same
            shared = clients[settings] = _SharedHttp(_open(settings, proxy, certificates), show_proxy(proxy))
    shared.users += 1
    try:
        yield shared
    finally:
        shared.users -= 1
        if shared.users == 0:
            clients.pop(settings)
            await shared.http.aclose()


def _open(settings: Settings, proxy: str | None, certificates: ssl.SSLContext) -> httpx.AsyncClient:
    try:
        return httpx.AsyncClient(
            headers=make_headers(settings),
            verify=certificates,
            proxy=proxy,
            trust_env=False,  # what counts of the environment is in the arguments
            timeout=None,  # noqa: S113 - the client bounds the whole request
            follow_redirects=False,
            limits=httpx.Limits(
                max_connections=_MOST_CONNECTIONS,
                max_keepalive_connections=_MOST_CONNECTIONS,
                keepalive_expiry=_KEPT_ALIVE_SECONDS,
            ),
        )
    except (ImportError, ValueError, httpx.InvalidURL):
        pass  # their texts may hold the proxy's password
    raise unusable_proxy()
