# SPDX-License-Identifier: Apache-2.0
"""A store's errors: whether a person must act or a retry helps."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, cast

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError, SynthflowTransientError
from airflow_provider_synthflow.storage.disk_errors import typed_disk_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["is_not_implemented", "is_refused_condition", "typed", "unless_refused", "was_cut_off"]

_DENIED = {
    "ClientAuthenticationError",
    "CredentialRetrievalError",
    "DefaultCredentialsError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
    "RefreshError",
    "TokenRetrievalError",
    "UnauthorizedSSOTokenError",
}
_WRONG = {"InvalidEndpoint", "NoRegionError", "ParamValidationError", "UnknownEndpointError"}
_PASSING_CODES = {"BadDigest", "IncompleteBody", "InvalidPart", "RequestTimeout", "XAmzContentSHA256Mismatch"}
_PASSING_STATUSES = {408, 409, 412, 429}
_EXPIRED_CODES = {
    "ExpiredAuthenticationToken",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAuthenticationInfo",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "TokenRefreshRequired",
}
_EXPIRED_WORDS = ("expired", "reasonable timeframe", "specified time frame", "date header too old", "not yet valid")
"""What Azure and Google say of an expired token or a skewed clock, for which they have no code."""

_BUGS = (AssertionError, AttributeError, LookupError, NotImplementedError)
_OWN = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}


@contextlib.contextmanager
def typed(url: str, name: str = "output_path") -> Iterator[None]:
    """Turn a store's errors into errors of this package, of their text only the name and the number."""
    try:
        yield
    except (SynthflowError, *_BUGS):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OWN and _find_response(error) is None:
            with typed_disk_errors(f"{name} {url}"):
                raise
        raise _make_error(error, f"{name} {url}") from None


@contextlib.contextmanager
def unless_refused() -> Iterator[None]:
    """Skip what the credentials do not allow."""
    try:
        yield
    except PermissionError as error:
        if _is_expired(error):
            raise


def was_cut_off(error: BaseException) -> bool:
    """Tell whether an upload failed because another task aborted it."""
    return _read_code(error) == "NoSuchUpload"


def is_refused_condition(error: BaseException) -> bool:
    """Tell whether a conditional request failed because its condition does not hold."""
    if isinstance(error, FileExistsError) or _read_status(error) in {409, 412}:
        return True
    code = _read_code(error)
    return code in {"404", "NoSuchKey"} or (code is None and isinstance(error, FileNotFoundError))


def is_not_implemented(error: BaseException) -> bool:
    """Tell whether a store does not support a request."""
    return _read_code(error) == "NotImplemented" or _read_status(error) == 501


def _make_error(error: Exception, where: str) -> SynthflowError:
    status, code = _read_status(error), _read_code(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    said = ", ".join(str(part) for part in (status, code, type(error).__name__) if part)
    denied = isinstance(error, PermissionError) or status in {401, 403} or names & _DENIED
    if code in _EXPIRED_CODES or (denied and _is_expired(error)):
        return SynthflowTransientError(
            (
                f"The store of {where} says that the credentials have expired, or a clock is wrong ({said}). Run the "
                "task again. If that does not help, renew the credentials, or set the worker's clock."
            ),
            status=status,
        )
    if denied:
        return SynthflowConfigError(
            f"The store of {where} denies this task access ({said}). Check its connection and credentials: "
            "they must be allowed to list, read, write and delete below the path."
        )
    if code == "NoSuchUpload":
        return SynthflowTransientError(
            f"An upload to {where} was cut off by another task ({said}). Let one task at a time write a window.",
            status=status,
        )
    if isinstance(error, FileNotFoundError) or status == 404:
        return SynthflowConfigError(
            f"The bucket or container of {where} does not exist ({said}). Create it, or correct the path, or the "
            "endpoint and the region of its connection."
        )
    passing = code in _PASSING_CODES or status in _PASSING_STATUSES
    if names & _WRONG or isinstance(error, (TypeError, ValueError)) or (300 <= (status or 0) < 500 and not passing):
        return SynthflowConfigError(
            f"The store of {where} refuses the request ({said}). Correct the path, or the endpoint and the region "
            "of its connection."
        )
    return SynthflowTransientError(
        (
            f"The store of {where} failed, and its own retries did not help ({said}). No part of the file is visible; "
            "run the task again."
        ),
        status=status,
    )


def _is_expired(error: BaseException) -> bool:
    """Tell whether credentials were refused because a token has expired or a clock is wrong."""
    if _read_code(error) in _EXPIRED_CODES:
        return True
    if getattr(error, "retryable", False):  # google-auth's own word for it
        return True
    if _read_status(error) == 401 and type(error).__module__.startswith("gcsfs"):
        return True  # Google's 401 is about the token alone; what it may not do is 403
    words = f"{error} {getattr(error, 'additional_info', '')}".lower()
    return any(each in words for each in _EXPIRED_WORDS)


def _find_response(error: BaseException) -> object | None:
    """Return the response of an error or of its cause."""
    for each in (error, error.__cause__, error.__context__):
        if each is not None and (response := getattr(each, "response", None)) is not None:
            return cast("object", response)
    return None


def _read_status(error: BaseException) -> int | None:
    """Return the HTTP status of an error of botocore, gcsfs or Azure."""
    response = _find_response(error)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status if isinstance(status, int) else None
    for each in (error, error.__cause__):
        for name in ("status_code", "status", "code"):
            status = getattr(each, name, None)
            if isinstance(status, int) or (isinstance(status, str) and status.isdigit()):
                return int(status)
    return None


def _read_code(error: BaseException) -> str | None:
    """Return the error code of S3 or Azure."""
    response = _find_response(error)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    code = code or getattr(error, "error_code", None)
    return str(code) if code else None
