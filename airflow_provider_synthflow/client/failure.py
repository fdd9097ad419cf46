# SPDX-License-Identifier: Apache-2.0
"""What a failure below HTTP means: a typed error, whichever library met it. Pure: no network here."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowTransientError,
)

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["FailureKinds", "error_of_failure"]


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
