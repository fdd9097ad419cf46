# SPDX-License-Identifier: Apache-2.0
"""
Every error this package raises, by how one recovers from it.

::

    SynthflowError(AirflowException)
    │
    ├── fatal: nothing changes until a person fixes something; Airflow does not spend the task's retries
    │   ├── SynthflowConfigError           the connection or a parameter is wrong
    │   │   ├── SynthflowAuthError         401, 403: the key or the region
    │   │   └── SynthflowWindowError       no window, or an impossible one
    │   └── SynthflowRequestError          the API refused the request: 400, 404, 422
    │
    ├── retriable: the same task may well succeed later
    │   ├── SynthflowTransientError        429, 5xx, time-outs, broken connections, after all tries; the store too
    │   └── SynthflowProtocolError         an answer that is not what the API promises
    │
    ├── incomplete: the result would not be the truth, so there is none
    │   ├── SynthflowIncompleteError       no complete walk over the window
    │   └── SynthflowOutputConflictError   the file there was made by another query
    │
    └── several agents in one task: the others are done
        └── SynthflowAgentsError           some windows failed; a retry does those again
            └── SynthflowAgentsFatalError  likewise, and no retry mends any of them

No text and no field of these errors holds a response body, a key, a phone number or a transcript.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    class AirflowException(Exception):  # noqa: N818 - Airflow's own name
        """Airflow's base class, as the type checker sees it on every Airflow version."""

    class AirflowFailException(AirflowException):
        """Airflow's class for an error that no retry mends."""
else:
    try:
        from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
    except ImportError:  # the core is plain Python and works where no Airflow is installed

        class AirflowException(Exception):  # noqa: N818 - Airflow's own name
            """Stands in for Airflow's base class where there is no Airflow."""

        class AirflowFailException(AirflowException):
            """Stands in for Airflow's class for an error that no retry mends."""


__all__ = [
    "SynthflowAgentsError",
    "SynthflowAgentsFatalError",
    "SynthflowAuthError",
    "SynthflowConfigError",
    "SynthflowError",
    "SynthflowIncompleteError",
    "SynthflowOutputConflictError",
    "SynthflowProtocolError",
    "SynthflowRequestError",
    "SynthflowTransientError",
    "SynthflowWindowError",
]


class SynthflowError(AirflowException):
    """Be the base of every error of this package."""


class SynthflowConfigError(SynthflowError, AirflowFailException):
    """Say that the connection or a parameter is wrong: fix it and run again."""


class SynthflowAuthError(SynthflowConfigError):
    """
    Say that the API did not accept the key (401) or does not entitle it (403).

    A valid key gets 401 on another region's host, so the cause is the key or the region.

    :param status: the HTTP status, 401 or 403
    :param request_id: the API's id of the request, if it gave one
    """

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class SynthflowWindowError(SynthflowConfigError):
    """Say that there is no window of time to read, or an impossible one."""


class SynthflowRequestError(SynthflowError, AirflowFailException):
    """
    Say that the API refused the request itself (400, 404, 422 and other 4xx).

    :param status: the HTTP status
    :param request_id: the API's id of the request, if it gave one
    :param description: the API's own sentence, redacted and shortened, if it gave one
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.description = description


class SynthflowTransientError(SynthflowError):
    """
    Say that the API, the network or the store failed in a way that passes, and still did after all tries.

    :param status: the last HTTP status, None where there was no answer
    :param request_id: the API's id of the last request, if it gave one
    :param attempts: how many times the request was sent
    :param retry_after: seconds the server asked to wait, None where it did not say
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        attempts: int = 1,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.attempts = attempts
        self.retry_after = retry_after


class SynthflowProtocolError(SynthflowError):
    """
    Say that an answer is not what the API promises: not JSON, no ``calls``, the window ignored.

    :param call_ids: the calls it is about, where it is about some
    :param request_id: the API's id of the request, if it gave one
    :param attempts: how many times the request was sent
    :param retriable: whether the same request may get a proper answer at once (a broken body), or not
    """

    def __init__(
        self,
        message: str,
        *,
        call_ids: Sequence[str] = (),
        request_id: str | None = None,
        attempts: int = 1,
        retriable: bool = False,
    ) -> None:
        super().__init__(message)
        self.call_ids = tuple(call_ids)
        self.request_id = request_id
        self.attempts = attempts
        self.retriable = retriable


class SynthflowIncompleteError(SynthflowError):
    """
    Say that no complete result could be had, so that none was written.

    :param expected: how many calls the API declared
    :param received: how many different calls came
    :param walks: how many times the pages were walked
    """

    def __init__(
        self,
        message: str,
        *,
        expected: int | None = None,
        received: int | None = None,
        walks: int | None = None,
    ) -> None:
        super().__init__(message)
        self.expected = expected
        self.received = received
        self.walks = walks


class SynthflowOutputConflictError(SynthflowError):
    """
    Say that the file of this window was made by another query and is left as it is.

    :param path: the file
    :param differing: the names of the query's parts that differ
    """

    def __init__(self, message: str, *, path: str | None = None, differing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.differing = tuple(differing)


class SynthflowAgentsError(SynthflowError):
    """
    Say that some windows of a task with several failed; the others are done, and a retry does those again.

    :param model_ids: the agents of the windows that failed
    :param done: how many windows are done
    """

    def __init__(self, message: str, *, model_ids: Sequence[str] = (), done: int = 0) -> None:
        super().__init__(message)
        self.model_ids = tuple(model_ids)
        self.done = done


class SynthflowAgentsFatalError(SynthflowAgentsError, AirflowFailException):
    """Say that some windows of a task with several failed, none of them in a way that a retry mends."""
