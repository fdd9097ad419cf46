# SPDX-License-Identifier: Apache-2.0
"""The settings of a process's environment: its proxy, and the certificates that it trusts."""

from __future__ import annotations

import os
import ssl
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import certifi
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, prepend_scheme_if_needed, select_proxy

from airflow_provider_synthflow.exceptions import SynthflowConfigError

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["TrustingAdapter", "read_proxy", "show_proxy", "trust", "unusable_proxy"]

_SCHEMES = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
_trusted: dict[str, ssl.SSLContext] = {}
_trusted_lock = threading.Lock()


def read_proxy(settings: Settings, socks_library: str) -> str | None:
    """Return the address of the proxy, None where there is none, as for a server on this machine."""
    if settings.is_local:
        return None
    url = settings.base_url
    named = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    if not named:
        return None
    try:
        proxy = str(prepend_scheme_if_needed(named, "http"))  # type: ignore[no-untyped-call]
        parts = urlsplit(proxy)
        is_usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its text may hold the proxy's password
        proxy, is_usable = "", False
    if not is_usable:
        raise unusable_proxy()
    if parts.scheme.startswith("socks") and find_spec(socks_library) is None:
        msg = (
            f"The proxy {show_proxy(proxy)} needs SOCKS support, which is not installed. Install it: pip install "
            "'requests[socks]' 'httpx[socks]', or list the API's host in NO_PROXY."
        )
        raise SynthflowConfigError(msg)
    return proxy


def unusable_proxy() -> SynthflowConfigError:
    """Make the error of a proxy whose address is none; it is not shown, since it may hold a password."""
    msg = (
        "The proxy address in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not valid. Write it as http://host:port, "
        "or list the API's host in NO_PROXY."
    )
    return SynthflowConfigError(msg)


def show_proxy(proxy: str | None) -> str | None:
    """Return a proxy's address as errors may show it, without a name and a password."""
    if proxy is None:
        return None
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def trust() -> ssl.SSLContext:
    """Return what trusts the certificates that this process is to trust, which are read once: that takes a while."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    with _trusted_lock:
        known = _trusted.get(bundle)
        if known is not None:
            return known
        where = "capath" if Path(bundle).is_dir() else "cafile"
        try:
            made = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, **{where: bundle})
        except OSError:
            pass
        else:
            _trusted[bundle] = made
            return made
    msg = (
        f"REQUESTS_CA_BUNDLE or CURL_CA_BUNDLE names {bundle}, which contains no readable certificates. Correct "
        "the path, or unset the variable to use the default authorities."
    )
    raise SynthflowConfigError(msg)


class TrustingAdapter(HTTPAdapter):
    """An adapter whose connections share what :func:`trust` returned; else each would read all certificates anew."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Make the pools for direct connections."""
        super().init_poolmanager(*args, ssl_context=self._context, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Return the pools for connections by way of a proxy."""
        options["ssl_context"] = self._context
        if not proxy.lower().startswith("socks"):
            options["proxy_ssl_context"] = self._context
        return super().proxy_manager_for(proxy, **options)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Verify a server's certificate, by the shared context where there is one."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        if self._context is not None:
            conn.ca_certs = conn.ca_cert_dir = None
