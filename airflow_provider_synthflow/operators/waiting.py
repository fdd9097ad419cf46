# SPDX-License-Identifier: Apache-2.0
"""Waiting for a moment without a worker: in the triggerer, or by being scheduled again."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.version_compat import AIRFLOW_V_3_0_PLUS, get_base_airflow_version_tuple

from airflow_provider_synthflow.exceptions import SynthflowProtocolError
from airflow_provider_synthflow.operators.base import SynthflowOperator

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, TaskDeferred, conf
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk.configuration import conf
        from airflow.sdk.exceptions import TaskDeferred
    except ImportError:
        from airflow.configuration import conf
        from airflow.exceptions import TaskDeferred

__all__ = ["WaitingOperator", "now_ms"]

_MOST_SKEW_MS = 5 * 60_000
"""How far this worker's clock may be behind the triggerer's."""


_ONLY_SENSORS_WAIT = get_base_airflow_version_tuple() < (3, 1, 7)
"""
Whether only what calls itself a sensor in reschedule mode is kept waiting for the date that it asks for: before Airflow
3.1.7 another task runs again at once, and asks again.
"""


class WaitingOperator(SynthflowOperator):
    """
    A task that gives its worker back until a moment, before its work or between two tries of it.

    A subclass does its work in :meth:`work` and calls :meth:`wait_until` there; after the wait it is done again from
    its beginning, on whichever worker is free.

    :param deferrable: wait in the triggerer; else the task is rescheduled; default:
        ``[operators] default_deferrable``
    """

    if _ONLY_SENSORS_WAIT:
        reschedule = True
        if AIRFLOW_V_3_0_PLUS:
            _is_sensor = True
        else:
            from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep  # noqa: PLC0415 - Airflow 2 only

            deps = SynthflowOperator.deps | {ReadyToRescheduleDep()}  # type: ignore[attr-defined]  # of Airflow 2

        @classmethod
        def get_serialized_fields(cls) -> frozenset[str]:
            """Return the names of what the scheduler knows of the task."""
            own = {"reschedule", "_is_sensor"} if AIRFLOW_V_3_0_PLUS else {"reschedule"}
            return frozenset(super().get_serialized_fields() | own)  # type: ignore[no-untyped-call]  # Airflow's own

    def __init__(self, *, deferrable: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )
        self.waited_since_ms: int | None = None
        self._waited_until_ms = 0
        self._begun_ms = 0

    def execute(self, context: Context) -> Any:
        """
        Do the work.

        :param context: the task's context
        :return: what the work returns
        """
        self._begun_ms = now_ms()
        return super().execute(context)

    def execute_complete(self, context: Context, event: Any = None, since_ms: int | None = None, **_: Any) -> Any:
        """
        Do the work after a wait in the triggerer.

        :param context: the task's context
        :param event: the moment that was waited for, as the triggerer hands it over
        :param since_ms: when this try began, before it waited, UTC milliseconds since 1970
        :return: what the work returns
        :raises SynthflowProtocolError: where the event is no moment
        """
        if not isinstance(event, dt.datetime) or event.utcoffset() is None:
            msg = (
                "The triggerer ended the wait with an event that is no moment in time. Run the task again; where that "
                "does not help, check that triggerer and workers have the same versions installed."
            )
            raise SynthflowProtocolError(msg)
        self._waited_until_ms = int(event.timestamp() * 1000)
        self.waited_since_ms = since_ms if isinstance(since_ms, int) else None
        return super().execute(context)

    def is_over(self, moment_ms: int) -> bool:
        """
        Tell whether a moment is past, by this worker's clock or the triggerer's, which may be ahead a little.

        :param moment_ms: UTC milliseconds since 1970
        """
        now = now_ms()
        return moment_ms <= max(now, min(self._waited_until_ms, now + _MOST_SKEW_MS))

    def wait_until(self, moment_ms: int, reason: str) -> None:
        """
        Give the worker back until a moment, unless it is past.

        :param moment_ms: UTC milliseconds since 1970
        :param reason: what is the case then, for the log
        """
        if not self.is_over(moment_ms):
            self.give_back(moment_ms, reason)

    def give_back(self, moment_ms: int, reason: str) -> NoReturn:
        """
        Give the worker back until a moment, or at once where it is past: the work is done again from its beginning.

        :param moment_ms: UTC milliseconds since 1970
        :param reason: what is the case then, for the log
        """
        moment = dt.datetime.fromtimestamp(moment_ms / 1000, dt.timezone.utc)
        self.log.info("Waiting until %s, when %s.", moment.isoformat(timespec="seconds"), reason)
        if self.deferrable:
            since_ms = self._begun_ms if self.waited_since_ms is None else self.waited_since_ms
            raise TaskDeferred(
                trigger=_make_trigger(moment), method_name="execute_complete", kwargs={"since_ms": since_ms}
            )
        raise AirflowRescheduleException(moment)  # type: ignore[no-untyped-call]  # Airflow's own


if _ONLY_SENSORS_WAIT and AIRFLOW_V_3_0_PLUS:
    # Of a mapped task Airflow asks the class, and not the task.
    from airflow.providers.common.compat.sdk import BaseSensorOperator

    BaseSensorOperator.register(WaitingOperator)


def now_ms() -> int:
    """Return the time, in UTC milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _make_trigger(moment: dt.datetime) -> Any:
    """Return Airflow's own trigger of a moment; it moved into a provider that Airflow 3 always has."""
    try:
        from airflow.providers.standard.triggers.temporal import DateTimeTrigger  # noqa: PLC0415 - only to wait
    except ImportError:
        from airflow.triggers.temporal import (  # type: ignore[import-not-found,no-redef]  # noqa: PLC0415 - Airflow 2
            DateTimeTrigger,
        )
    return DateTimeTrigger(moment=moment)
