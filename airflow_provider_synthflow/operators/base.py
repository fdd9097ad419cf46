# SPDX-License-Identifier: Apache-2.0
"""The base of operators and sensor: checked parameters, and errors that a person can read."""

from __future__ import annotations

import logging
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError, SynthflowRequestError
from airflow_provider_synthflow.parameters import CheckedParameters

if TYPE_CHECKING:
    from typing import Protocol

    from airflow.providers.common.compat.sdk import BaseOperator, Context

    class WorkerTask(Protocol):
        """The work of an operator on its worker, which DAG files do not load."""

        def run(self) -> Any:
            """Do the work, and return the task's result."""

        def close(self) -> None:
            """Close the connections; what is not published vanishes by itself."""
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk import BaseOperator
    except ImportError:
        from airflow.models.baseoperator import BaseOperator

__all__ = ["ReadableErrors", "SynthflowOperator"]

log = logging.getLogger(__name__)

_SHORT = 120


class ReadableErrors:
    """
    A context that lets an error of this package end the task's log with its cure, in a line of its own.

    It is typed and says what is wrong: the frames below the task, and those of its causes, tell a user nothing more.
    They are logged at level DEBUG.
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: object) -> None:
        """Raise the error again as a person reads it, where it is one of this package."""
        if not isinstance(error, SynthflowError):
            return
        log.debug("The full traceback of %s:", type(error).__name__, exc_info=error)
        error.args = (_with_cure_last(error), *error.args[1:])
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        first = cause
        while cause is not None:
            cause.__traceback__ = None
            cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
        raise error.with_traceback(None) from first


def _with_cure_last(error: SynthflowError) -> str:
    """Return an error's text with its cure as the last line, which a log shows first, and cuts at its right."""
    text = str(error)
    before, _, last = text.rpartition(". ")
    if (
        isinstance(error, (SynthflowConfigError, SynthflowRequestError))
        and before
        and len(last) < _SHORT
        and "\n" not in last
    ):
        return f"{before}.\n{last}"  # the last sentence of these is what to do
    return text if text.endswith(error.remedy) else f"{text}\n{error.remedy}"


class SynthflowOperator(CheckedParameters, BaseOperator):
    """A task of this package: its parameters are :attr:`readers`, and :attr:`worker_task` does its work."""

    worker_task: ClassVar[str]
    """The module and the class of the work on a worker, which DAG files do not load."""

    def __init__(self, **kwargs: Any) -> None:
        # Without an own one, Airflow takes BaseOperator's as if it were this class's, since another class comes between
        # them, and gives each mapped task its signature's None for the lists that it needs, such as the inlets.
        super().__init__(**kwargs)
        self._task: WorkerTask | None = None

    def _make_task(self, context: Context) -> Any:
        return resolve_name(self.worker_task)(self, context)

    def execute(self, context: Context) -> Any:
        """Do the work, and return the result; a list of results where several windows are meant."""
        with ReadableErrors():
            self._task = self._make_task(context)
            return self._task.run()

    def on_kill(self) -> None:
        """Close the connections, so that nothing waits on; what is not published vanishes by itself."""
        if self._task is not None:
            self._task.close()
