# SPDX-License-Identifier: Apache-2.0
"""What the operators and the sensor have in common: checked parameters, and errors that a person can read."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError
from airflow_provider_synthflow.parameters import CheckedParameters

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.providers.common.compat.sdk import BaseOperator, Context
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk import BaseOperator
    except ImportError:
        from airflow.models.baseoperator import BaseOperator

__all__ = ["SynthflowOperator", "run_readably"]

log = logging.getLogger(__name__)

_SHORT = 120


def run_readably(act: Callable[[], Any]) -> Any:
    """
    Do something of which an error of this package ends the task's log with its cure, in a line of its own.

    It is typed and says what is wrong: the frames below the task, and those of its causes, tell a user nothing more.
    They are logged at level DEBUG.
    """
    try:
        return act()
    except SynthflowError as error:
        log.debug("The whole traceback of %s:", type(error).__name__, exc_info=True)
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
    if isinstance(error, SynthflowConfigError) and before and len(last) < _SHORT and "\n" not in last:
        return f"{before}.\n{last}"  # the last sentence of these is what to do
    return text if text.endswith(error.remedy) else f"{text}\n{error.remedy}"


class SynthflowOperator(CheckedParameters, BaseOperator):
    """A task of this package: its work lies in :meth:`work`, its parameters are :attr:`readers`."""

    def __init__(self, **kwargs: Any) -> None:
        # Without an own one, Airflow takes BaseOperator's as if it were this class's, since another class comes between
        # them, and gives each mapped task its signature's None for the lists that it needs, such as the inlets.
        super().__init__(**kwargs)

    def execute(self, context: Context) -> Any:
        """
        Do the work.

        :param context: the task's context
        :return: what the work returns
        """
        return run_readably(lambda: self.work(context))

    def work(self, context: Context) -> Any:
        """
        Do what the task is for; in subclasses.

        :param context: the task's context
        """
        raise NotImplementedError
