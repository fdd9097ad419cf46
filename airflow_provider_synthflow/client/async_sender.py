# SPDX-License-Identifier: Apache-2.0
"""Send requests to the API from an event loop: requests, answers, errors and retries as in :mod:`sender`."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

import httpx
import tenacity

from airflow_provider_synthflow.client.answer import read_page
from airflow_provider_synthflow.client.async_client import client_of, users_of
from airflow_provider_synthflow.client.exchange import Answer, read_answer, retry_policy
from airflow_provider_synthflow.client.failure import FailureKinds, error_of_failure
from airflow_provider_synthflow.client.pace import Pace
from airflow_provider_synthflow.client.retry import give_up
from airflow_provider_synthflow.exceptions import SynthflowError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from airflow_provider_synthflow.client.answer import Page
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["AsyncSender"]

_KINDS = FailureKinds(
    bad_address=(httpx.InvalidURL, httpx.UnsupportedProtocol),
    bad_encoding=(httpx.DecodingError,),
    timed_out=(httpx.TimeoutException,),
)
_LARGE = 256 * 1024
"""A body from this size on is read beside the event loop, which must never be held up."""


class AsyncSender:
    """
    Send requests from coroutines; :meth:`open` makes one.

    :param settings: where to, with which key, how patiently
    :param client: what carries the requests
    :param sleep: how to wait, in seconds
    """

    def __init__(
        self,
        settings: Settings,
        client: httpx.AsyncClient,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.pace = Pace()
        self.requests = 0
        self.retries = 0
        self._client = client
        self._sleep = sleep

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[AsyncSender]:
        """
        Give a sender; its connections are given back with it, also where it is cancelled.

        :param settings: where to, with which key, how patiently
        """
        async with client_of(settings) as client:
            yield cls(settings, client)

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

    async def send(self, path: str, parameters: Mapping[str, str]) -> Answer:
        """
        Send one GET, once, and return its answer whatever its status; redirects are not followed.

        :param path: the path below the base URL
        :param parameters: the request's parameters
        :raises SynthflowTransientError: where no whole answer came
        :raises SynthflowConfigError: where none can ever come
        """
        self.requests += 1
        try:
            response = await self._client.get(self.settings.base_url + path, params=dict(parameters))
            return Answer(response.status_code, response.headers, response.content)
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
