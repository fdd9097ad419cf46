# SPDX-License-Identifier: Apache-2.0
"""A request and its answer, as every sender sends and reads them. Pure: no network here."""

from __future__ import annotations

import logging
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import tenacity

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.response import error_of
from airflow_provider_synthflow.client.retry import is_retriable, wait_seconds
from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowTransientError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_synthflow.client.settings import Settings

__all__ = [
    "CLOSED",
    "HEADERS",
    "FailureKinds",
    "HttpResponse",
    "authorization",
    "error_of_failure",
    "read_answer",
    "retry_policy",
]

log = logging.getLogger(__name__)

CLOSED = "The connection to the API was closed before the request was done."
"""What is said of a request whose sender was closed meanwhile."""

HEADERS = {"User-Agent": f"airflow-provider-synthflow/{__version__}", "Accept": "application/json"}
"""The headers of every request, but for the key."""


class HttpResponse:
    """
    Hold what came back: a status, headers and the whole body.

    :param status: the HTTP status
    :param headers: the headers, found by any case
    :param body: the body, decompressed
    """

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body


def authorization(settings: Settings) -> str:
    """
    Return the header that holds the key.

    :param settings: the key
    """
    return f"Bearer {settings.api_key}"


def read_answer(answer: HttpResponse, read: Callable[[bytes], Any], settings: Settings) -> Any:
    """
    Read an answer, or raise what it says is wrong.

    :param answer: what came back
    :param read: what makes the result of the body
    :param settings: where the request went
    :raises SynthflowError: typed
    """
    error = error_of(answer.status, answer.headers, answer.body, settings)
    if error is not None:
        raise error
    return read(answer.body)


def retry_policy(settings: Settings, count: Callable[[], None]) -> dict[str, Any]:
    """
    Return how often and when a request is sent again, as the arguments of tenacity's loops.

    :param settings: how patiently
    :param count: is called before each further try
    """

    def before_sleep(state: tenacity.RetryCallState) -> None:
        count()
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        log.warning(
            "Try %d of %d failed: %s Next try in %.1f s.",
            state.attempt_number,
            settings.max_attempts,
            error,
            wait,
        )

    return {
        "stop": tenacity.stop_after_attempt(settings.max_attempts),
        "retry": tenacity.retry_if_exception(is_retriable),
        "wait": _wait_of_state,
        "before_sleep": before_sleep,
        "reraise": True,
    }


def _wait_of_state(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return wait_seconds(state.attempt_number, error)


@dataclass(frozen=True)
class FailureKinds:
    """
    Name the errors of an HTTP library by what they mean; all others mean that the connection failed.

    :param bad_address: the address is none
    :param bad_encoding: the body is not compressed as its header says
    :param timed_out: the time was over
    """

    bad_address: tuple[type[Exception], ...]
    bad_encoding: tuple[type[Exception], ...]
    timed_out: tuple[type[Exception], ...]


def error_of_failure(error: Exception, kinds: FailureKinds, settings: Settings) -> SynthflowError:
    """
    Make a typed error of a failure; the failure's own text may hold the address with its parameters and is left out.

    :param error: what the library raised
    :param kinds: what its errors mean
    :param settings: where the request went
    """
    host = settings.host
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return SynthflowConfigError(
                f"The TLS certificate of {host} is not trusted here: {seen.verify_message}. "
                "Check the connection's host, or add the certificate authority (REQUESTS_CA_BUNDLE)."
            )
        reason = getattr(seen, "reason", None)
        inner = seen.args[0] if seen.args and isinstance(seen.args[0], BaseException) else None
        seen = reason if isinstance(reason, BaseException) else inner or seen.__cause__ or seen.__context__
    if isinstance(error, kinds.bad_address):
        return SynthflowConfigError(f"The connection's host makes no valid address: {host}.")
    if isinstance(error, kinds.bad_encoding):
        return SynthflowProtocolError(f"An answer of {host} is not compressed as its header says.", retriable=True)
    if isinstance(error, (*kinds.timed_out, TimeoutError)):
        return SynthflowTransientError(f"{host} did not answer within {settings.timeout:g} s.")
    kind = type(error).__name__
    return SynthflowTransientError(f"The network connection to {host} failed ({kind}).")
