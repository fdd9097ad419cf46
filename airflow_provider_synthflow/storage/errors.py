# SPDX-License-Identifier: Apache-2.0
"""What a store's error means: something that a person mends, or something that passes."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, cast

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError, SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["typed", "was_cut_off"]

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
_BUGS = (AssertionError, AttributeError, LookupError, NotImplementedError)
_OWN = {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE}


@contextlib.contextmanager
def typed(url: str) -> Iterator[None]:
    """
    Raise a store's errors as errors of this package; what they say beyond a name and a number is left out.

    :param url: the store's URL, for the text
    :raises SynthflowConfigError: for what a person has to mend
    :raises SynthflowTransientError: for what may pass
    """
    try:
        yield
    except SynthflowError:
        raise
    except Exception as error:
        if isinstance(error, _BUGS) or (
            isinstance(error, OSError) and error.errno in _OWN and _response(error) is None
        ):
            raise  # of this program or this machine
        raise _error_of(error, url) from None


def was_cut_off(error: BaseException) -> bool:
    """
    Tell whether an upload failed since somebody aborted it.

    :param error: the store's error
    """
    return _code_of(error) == "NoSuchUpload"


def _error_of(error: Exception, url: str) -> SynthflowError:
    status, code = _status_of(error), _code_of(error)
    names = {kind.__name__ for kind in type(error).__mro__}
    said = ", ".join(str(part) for part in (status, code, type(error).__name__) if part)
    if isinstance(error, PermissionError) or status in {401, 403} or names & _DENIED:
        return SynthflowConfigError(
            f"The store of output_path {url} does not let this task read and write there ({said}). "
            "Check output_conn_id and its credentials, and that they may list, read, write and delete below the path."
        )
    if isinstance(error, FileNotFoundError) or status == 404:
        return SynthflowConfigError(
            f"The bucket or container of output_path {url} is not there ({said}). "
            "Make it, or correct output_path, or the endpoint and the region of output_conn_id."
        )
    passing = code in _PASSING_CODES or status in _PASSING_STATUSES
    if names & _WRONG or isinstance(error, (TypeError, ValueError)) or (300 <= (status or 0) < 500 and not passing):
        return SynthflowConfigError(
            f"The store of output_path {url} refuses it ({said}). "
            "Correct output_path, or the endpoint and the region of output_conn_id."
        )
    return SynthflowTransientError(
        f"The store of output_path {url} failed, also after its own retries ({said}). "
        "Nothing of the file is visible; run the task again.",
        status=status,
    )


def _response(error: BaseException) -> object | None:
    """Return the answer that an error, or its cause, holds in its own way."""
    for each in (error, error.__cause__, error.__context__):
        if each is not None and (response := getattr(each, "response", None)) is not None:
            return cast("object", response)
    return None


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status in an error of botocore's, gcsfs's or Azure's."""
    response = _response(error)
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return status if isinstance(status, int) else None
    for each in (error, error.__cause__):
        for name in ("status_code", "status", "code"):
            status = getattr(each, name, None)
            if isinstance(status, int) or (isinstance(status, str) and status.isdigit()):
                return int(status)
    return None


def _code_of(error: BaseException) -> str | None:
    """Return the name that S3 gives an error."""
    response = _response(error)
    code = response.get("Error", {}).get("Code") if isinstance(response, dict) else None
    return str(code) if code else None
