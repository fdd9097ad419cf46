# SPDX-License-Identifier: Apache-2.0
"""The typed error of a failed connection, whichever HTTP library raised it."""

from __future__ import annotations

import re
import socket
import ssl
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError, SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["make_failure"]

_PROXY_NAMES = "HTTPS_PROXY, HTTP_PROXY or ALL_PROXY"
_TUNNEL = re.compile(r"(?:Tunnel connection failed: )?([1-5]\d\d)\b")


def make_failure(
    error: Exception, settings: Settings, proxy: str | None, bad_address: tuple[type[Exception], ...]
) -> SynthflowError:
    """Make a typed error of a failure, whose own text may hold the address with its parameters and is left out."""
    host = settings.host
    causes = list(_causes(error))
    for each in causes:
        if isinstance(each, ssl.SSLCertVerificationError):
            return SynthflowConfigError(
                f"The TLS certificate of {host} is not trusted here: {each.verify_message}. "
                "Check the connection's host, or add the certificate authority (REQUESTS_CA_BUNDLE)."
            )
    if proxy is not None:
        for each in causes:
            status = _TUNNEL.match(str(each)) if isinstance(each, OSError) or "Proxy" in type(each).__name__ else None
            if status is not None:
                return _make_tunnel_error(int(status[1]), settings, proxy)
    if isinstance(error, bad_address):
        return SynthflowConfigError(f"The connection's host is not a valid address: {host}.")
    return SynthflowTransientError(_describe(causes, settings, proxy))


def _describe(causes: list[BaseException], settings: Settings, proxy: str | None) -> str:
    """Return the cause of a broken connection, and the cure."""
    host, way = settings.host, f" through the proxy {proxy}" if proxy else ""
    near = f"The proxy {proxy}" if proxy else host
    cure = f"Check {_PROXY_NAMES}." if proxy else "Check the connection's host or region."
    for each in causes:
        if isinstance(each, socket.gaierror):
            return f"{near} is an unknown host: its name does not resolve. {cure}"
        if isinstance(each, ConnectionRefusedError):
            return f"{near} refused the connection: nothing listens there. {cure}"
        if isinstance(each, ssl.SSLError):
            return f"{host} does not speak TLS correctly{way}. Check its schema and its port."
        if isinstance(each, TimeoutError):
            return f"{host} did not answer within {settings.timeout:g} s{way}."
    return f"The network connection to {host}{way} failed before the whole answer arrived."


def _make_tunnel_error(status: int, settings: Settings, proxy: str) -> SynthflowError:
    """Make the error of a proxy that answers in the API's place."""
    host = settings.host
    if status == 407:
        msg = f"The proxy {proxy} requires a user name and a password (HTTP 407). Add them to {_PROXY_NAMES}."
        return SynthflowConfigError(msg)
    if 400 <= status < 500:
        msg = f"The proxy {proxy} blocks requests to {host} (HTTP {status}). Allow them there, or set NO_PROXY."
        return SynthflowConfigError(msg)
    return SynthflowTransientError(f"The proxy {proxy} cannot reach {host} (HTTP {status}).")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was made of, wherever a library keeps that."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop()
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        linked = (
            each.__context__,
            each.__cause__,
            getattr(each, "reason", None),
            *each.args,
            *getattr(each, "exceptions", ()),
        )
        waiting += [other for other in linked if isinstance(other, BaseException)]
