# SPDX-License-Identifier: Apache-2.0
"""An operator that may wait without a worker: in the triggerer, or by being scheduled again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow import __version__

from airflow_provider_synthflow.operators.base import ReadableErrors, SynthflowOperator
from airflow_provider_synthflow.parameters import read_flag, read_parameter

if TYPE_CHECKING:
    from typing import Protocol

    from airflow.providers.common.compat.sdk import Context, conf

    from airflow_provider_synthflow.operators.base import WorkerTask

    class WaitingTask(WorkerTask, Protocol):
        """The work of a waiting operator on its worker."""

        def go_on(self, event: Any, since_ms: int | None) -> None:
            """Continue after a wait in the triggerer."""

        def make_lineage(self) -> Any:
            """Return the lineage for OpenLineage."""

else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk.configuration import conf
    except ImportError:
        from airflow.configuration import conf

__all__ = ["WaitingOperator"]

_AIRFLOW = tuple(int(part) for part in re.findall(r"\d+", __version__)[:3])
_ONLY_SENSORS_WAIT = _AIRFLOW < (3, 1, 7)
"""
Whether only what calls itself a sensor in reschedule mode is kept waiting for the date that it asks for: before Airflow
3.1.7 another task runs again at once, and asks again.
"""

if _AIRFLOW < (3,):
    from airflow.ti_deps.deps.ready_to_reschedule import ReadyToRescheduleDep


class WaitingOperator(SynthflowOperator):
    """
    A task that can wait for a moment without a worker, and then starts its work again on any free worker.

    :param deferrable: wait in the triggerer, or else reschedule the task; default:
        ``[operators] default_deferrable``
    """

    if _ONLY_SENSORS_WAIT:
        reschedule = True
        if _AIRFLOW >= (3,):
            _is_sensor = True
        else:
            deps = SynthflowOperator.deps | {ReadyToRescheduleDep()}  # type: ignore[attr-defined]  # of Airflow 2

        @classmethod
        def get_serialized_fields(cls) -> frozenset[str]:
            """Return the names of what the scheduler knows of the task."""
            own = {"reschedule", "_is_sensor"} if _AIRFLOW >= (3,) else {"reschedule"}
            return frozenset(super().get_serialized_fields() | own)  # type: ignore[no-untyped-call]  # Airflow's own

    def __init__(self, *, deferrable: bool | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._task: WaitingTask | None = None
        if deferrable is None:
            deferrable = conf.getboolean("operators", "default_deferrable", fallback=False)
        self.deferrable: bool = read_parameter(read_flag, deferrable, "deferrable")

    def execute_complete(self, context: Context, event: Any = None, since_ms: int | None = None, **_: Any) -> Any:
        """Do the work after a wait in the triggerer for a moment, which the event is, in a try that began before it."""
        with ReadableErrors():
            self._task = task = self._make_task(context)
            task.go_on(event, since_ms)
            return task.run()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Return what OpenLineage is told of the task: what was read, what was written, how many and how large."""
        return None if self._task is None else self._task.make_lineage()


if _ONLY_SENSORS_WAIT and _AIRFLOW >= (3,):
    # Of a mapped task Airflow asks the class, and not the task.
    from airflow.providers.common.compat.sdk import BaseSensorOperator

    BaseSensorOperator.register(WaitingOperator)
