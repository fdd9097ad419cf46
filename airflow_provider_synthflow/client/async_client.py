# SPDX-License-Identifier: Apache-2.0
"""
The ``httpx`` clients of an event loop: one for all that ask the same API with the same key.

A thousand triggers in one process so share a pool of connections, and trusted certificates are read once. Which
proxy and which certificates count is decided as ``requests`` does, so that a task and its trigger take the same way.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import certifi
import httpx
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

from airflow_provider_synthflow.client.exchange import HEADERS, authorization
from airflow_provider_synthflow.client.log_filter import hide_phone_numbers
from airflow_provider_synthflow.exceptions import SynthflowConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["client_of", "users_of"]

_MOST_CONNECTIONS = 50
_KEPT_ALIVE_SECONDS = 30.0

hide_phone_numbers(("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "httpcore.proxy"))


@dataclass
class _Shared:
    """Hold a client, and how many use it."""

    client: httpx.AsyncClient
    users: int = 0


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Settings, _Shared]] = WeakKeyDictionary()
_trusted: dict[str, ssl.SSLContext] = {}
_trusted_lock = threading.Lock()


@asynccontextmanager
async def client_of(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
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
        yield shared.client
    finally:
        shared.users -= 1
        if shared.users == 0:
            _of_this_loop().pop(settings)
            await shared.client.aclose()


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
            client = httpx.AsyncClient(
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
            client = None
        if client is None:
            msg = (
                "The proxy that the environment names (HTTPS_PROXY, ALL_PROXY) cannot be used: its address is wrong, "
                "or it is a SOCKS proxy and the package httpx[socks] is not installed."
            )
            raise SynthflowConfigError(msg)
        shared = clients[settings] = _Shared(client)
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
