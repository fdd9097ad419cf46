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
    │   ├── SynthflowRequestError          the API refused the request: 400, 404, 422
    │   └── SynthflowAuditError            an audit found what it is to fail on
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

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    class AirflowException(Exception):  # noqa: N818 - Airflow's own name
        """Airflow's base class, as the type checker sees it on every Airflow version."""

    class AirflowFailException(AirflowException):
        """Airflow's class for an error that no retry mends."""
else:
    try:  # loaded with airflow.sdk already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk.exceptions import AirflowException, AirflowFailException
    except ImportError:
        try:
            from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
        except ImportError:  # the core is plain Python and works where no Airflow is installed

            class AirflowException(Exception):  # noqa: N818 - Airflow's own name
                """The base class where there is no Airflow."""

            class AirflowFailException(AirflowException):
                """The class for an error that no retry mends, where there is no Airflow."""


__all__ = [
    "SynthflowAgentsError",
    "SynthflowAgentsFatalError",
    "SynthflowAuditError",
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


_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Control characters but the end of a line, what turns the direction of a text, and halves of surrogate pairs."""
_PLAIN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


class SynthflowError(AirflowException):
    """The base of every error of this package; its message has no invisible characters."""

    remedy = "Run the task again."
    """What to do about an error of the class, in less than 120 characters."""

    def __init__(self, message: str = "") -> None:
        super().__init__(_UNSEEN.sub("\ufffd", str(message)))

    @staticmethod
    def show_id(value: object) -> str:
        """
        Return an id as errors and logs may show it: as it is where it is plain, else words in its place.

        :param value: the id of a call or an agent
        """
        return value if isinstance(value, str) and _PLAIN_ID.fullmatch(value) else "(an id not shown)"


class SynthflowConfigError(SynthflowError, AirflowFailException):
    """A wrong connection or parameter: correct it and run the task again."""

    remedy = "Correct the connection or the parameter named above, then clear the task: a retry does not help."


class SynthflowAuthError(SynthflowConfigError):
    """
    A key that the API does not accept (401) or that is not entitled to the request (403).

    A valid key gets 401 on another region's host, so the cause is the key or the region.

    :param status: the HTTP status, 401 or 403
    :param request_id: the API's id of the request, if it gave one
    """

    remedy = (
        "Check the key and the region of the connection (its Test button says which is wrong), then clear the task."
    )

    def __init__(self, message: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id


class SynthflowWindowError(SynthflowConfigError):
    """A run without a window of time, or with an invalid one."""

    remedy = (
        "Set from_date and to_date, each with its zone, or give the DAG a schedule with periods; then clear the task."
    )


class SynthflowRequestError(SynthflowError, AirflowFailException):
    """
    A request that the API refused (400, 404, 422 and other 4xx).

    :param status: the HTTP status
    :param request_id: the API's id of the request, if it gave one
    :param parameters: the parameters of the request that the API's answer names
    """

    remedy = "Correct the parameters that the API refuses, then clear the task: a retry does not help."

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        parameters: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.request_id = request_id
        self.parameters = tuple(parameters)


class SynthflowTransientError(SynthflowError):
    """
    A temporary problem of the API, the network or the store that lasted through all tries.

    :param status: the last HTTP status, None without an answer
    :param request_id: the API's id of the last request, if it gave one
    :param attempts: how many times the request was sent
    :param retry_after: seconds that the server asked to wait, None if it did not
    """

    remedy = "Clear the task when the problem is over, or set retries, so that Airflow runs it again."

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
    An answer that is not what the API promises: not JSON, no ``calls``, the window ignored.

    :param call_ids: the calls that the error is about, if their ids are plain
    :param request_id: the API's id of the request, if it gave one
    :param attempts: how many times the request was sent
    :param retriable: whether the same request may get a proper answer at once (a broken body), or not
    """

    remedy = "Clear the task to read the window again; if the error stays, send the text above to Synthflow's support."

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
        self.call_ids = tuple(call_id for call_id in call_ids if _PLAIN_ID.fullmatch(call_id))
        self.request_id = request_id
        self.attempts = attempts
        self.retriable = retriable


class SynthflowIncompleteError(SynthflowError):
    """
    A result that is not complete, so that nothing was written.

    :param expected: how many calls the API declared
    :param received: how many different calls came
    :param walks: how many times the pages were walked
    """

    remedy = "Clear the task later, or raise settle: a window in which calls still change cannot be proven complete."

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
    An existing file of the window that another query made, and that stays unchanged.

    :param path: the file
    :param differing: the names of the query's parts that differ
    """

    remedy = "Give this task another output_path, or remove the existing file, then clear the task."

    def __init__(self, message: str, *, path: str | None = None, differing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = path
        self.differing = tuple(differing)


class SynthflowAuditError(SynthflowError, AirflowFailException):
    """
    An audit with findings that its ``fail_on`` names.

    :param findings: all findings, each with ``finding``, ``model_id``, ``from_date``, ``to_date``, ``detail``, ``cure``
    """

    remedy = "Run the command that each finding names as its cure, then clear the task to audit again."

    def __init__(self, message: str, *, findings: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class SynthflowAgentsError(SynthflowError):
    """
    A task with several windows of which some failed; a retry repeats only those.

    :param model_ids: the agents of the windows that failed
    :param done: how many windows are done
    """

    remedy = "Correct what each window names above, then clear the task: finished windows are not read again."

    def __init__(self, message: str, *, model_ids: Sequence[str] = (), done: int = 0) -> None:
        super().__init__(message)
        self.model_ids = tuple(model_ids)
        self.done = done


class SynthflowAgentsFatalError(SynthflowAgentsError, AirflowFailException):
    """A task with several windows of which some failed, where a retry does not help."""
