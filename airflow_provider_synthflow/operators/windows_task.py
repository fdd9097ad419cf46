# SPDX-License-Identifier: Apache-2.0
"""The work of a task on its worker, window by window, and its waits between them."""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred

from airflow_provider_synthflow.exceptions import SynthflowProtocolError
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from airflow_provider_synthflow.observability.metrics import Failures
from airflow_provider_synthflow.observability.openlineage import make_lineage
from airflow_provider_synthflow.operators.batch import StillOpenError
from airflow_provider_synthflow.operators.context import read_tags
from airflow_provider_synthflow.timestamps import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.common.compat.sdk import Context
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    from airflow_provider_synthflow.operators.waiting import WaitingOperator
else:
    try:  # it moved into a provider that Airflow 3 always has
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger
    except ImportError:
        from airflow.triggers.temporal import DateTimeTrigger

__all__ = ["WindowsTask"]

log = logging.getLogger(__name__)

_PASSING = (AirflowRescheduleException, AirflowSkipException, TaskDeferred, StillOpenError)
_MOST_SKEW_MS = 5 * 60_000
"""How far this worker's clock may be behind the triggerer's."""


class WindowsTask:
    """One try of a task that reads windows, and gives its worker back where it has to wait for one."""

    read_what = "calls"
    """What OpenLineage is told that the task read."""

    def __init__(self, operator: WaitingOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._failures = Failures(read_tags(context), _PASSING)
        with self._failures.of_task():
            self._asked = SimpleNamespace(**operator.read_parameters())
        self._hook = SynthflowHook(self._asked.synthflow_conn_id)
        self._begun_ms = now_ms()
        self._waited_since_ms: int | None = None
        self._waited_until_ms = 0
        self.results: list[dict[str, Any]] = []
        self.host = ""

    def run(self) -> dict[str, Any] | list[dict[str, Any]]:
        """Bring each window to where it goes; in subclasses."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connections; what is not published vanishes by itself."""
        self._hook.close()

    def make_lineage(self) -> Any:
        """Return the lineage of the windows that are done."""
        return make_lineage(self.results, self.host, what=self.read_what)

    def go_on(self, event: Any, since_ms: int | None) -> None:
        """Continue after a wait in the triggerer."""
        if not isinstance(event, dt.datetime) or event.utcoffset() is None:
            raise SynthflowProtocolError(
                "The triggerer ended the wait with an event that is not a time. Run the task again. If that does "
                "not help, check that the triggerer and the workers have the same versions installed."
            )
        self._waited_until_ms = int(event.timestamp() * 1000)
        self._waited_since_ms = since_ms if isinstance(since_ms, int) else None

    @contextmanager
    def _waiting_for(self, what: str) -> Iterator[None]:
        """Count what fails in the context, and release the worker where windows are still open."""
        try:
            with self._failures.of_task():
                yield
        except StillOpenError as error:
            until_ms, reason = error.until_ms, what.format(error.count)
        else:
            return
        self._give_back(until_ms, reason)

    def _is_over(self, moment_ms: int) -> bool:
        """Tell whether a moment is past, by this worker's clock or the triggerer's, which may be ahead a little."""
        now = now_ms()
        return moment_ms <= max(now, min(self._waited_until_ms, now + _MOST_SKEW_MS))

    def _give_back(self, moment_ms: int, reason: str) -> NoReturn:
        """Release the worker until a moment; the work begins again then."""
        moment = dt.datetime.fromtimestamp(moment_ms / 1000, dt.timezone.utc)
        log.info("Waiting until %s, when %s.", moment.isoformat(timespec="seconds"), reason)
        if self._operator.deferrable:
            since_ms = self._begun_ms if self._waited_since_ms is None else self._waited_since_ms
            raise TaskDeferred(
                trigger=DateTimeTrigger(moment=moment), method_name="execute_complete", kwargs={"since_ms": since_ms}
            )
        raise AirflowRescheduleException(moment)  # type: ignore[no-untyped-call]  # Airflow's own
