# SPDX-License-Identifier: Apache-2.0
"""A task that waits is kept waiting by the scheduler of every Airflow, and comes back to what it did not finish."""

from __future__ import annotations

import datetime as dt

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import DAG, BaseSensorOperator, TaskDeferred
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

from airflow_provider_synthflow.operators import calls_task, windows_task
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.operators.waiting import WaitingOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
from tests.synthflow_server import Fault
from tests.unit.making import FROM, HOUR, TO, TO_MS, make_call

try:
    from airflow.serialization.serialized_objects import DagSerialization as Serialization
except ImportError:  # before Airflow 3.2
    from airflow.serialization.serialized_objects import SerializedDAG as Serialization

ANY_TASK_WAITS = get_base_airflow_version_tuple() >= (3, 1, 7)


def as_the_scheduler_sees_it() -> DAG:
    with DAG("waits", schedule="@daily", start_date=dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)) as dag:
        for kind in (SynthflowListCallsOperator, SynthflowNewCallsSensor):
            kind(task_id=f"plain_{kind.__name__}", model_id="a")
            kind.partial(task_id=f"mapped_{kind.__name__}").expand(model_id=["a", "b"])
    return Serialization.from_dict(Serialization.to_dict(dag))


def test_the_scheduler_waits_for_the_date_that_a_task_asks_for_also_of_mapped_ones():
    dag = as_the_scheduler_sees_it()
    assert len(dag.task_ids) == 4

    for task_id in dag.task_ids:
        task = dag.get_task(task_id)
        waits = "ReadyToRescheduleDep" in {type(dep).__name__ for dep in task.deps}
        assert ANY_TASK_WAITS or (waits and ("mapped" in task_id or task.reschedule)), task_id


def test_an_operator_passes_for_a_sensor_only_where_airflow_lets_nothing_else_wait():
    older = not ANY_TASK_WAITS and get_base_airflow_version_tuple() >= (3, 0)

    assert issubclass(WaitingOperator, BaseSensorOperator) is older


@pytest.fixture
def serve(synthflow, connect):
    def start(calls, **options):
        handle = synthflow(calls, **options)
        connect(host=handle.url, extra={"max_attempts": 1})
        return handle

    return start


class TestOpenWindows:
    """Of several windows of a task, some have calls that are not final, and `on_unsettled` is `wait`."""

    RUNNING = make_call("running", agent="agent-1", lasts=None)
    OTHER = make_call("other", agent="agent-2")

    def operator(self, **arguments):
        return SynthflowListCallsOperator(
            **{"task_id": "calls", "model_id": ["agent-1", "agent-2"], "from_date": FROM, "to_date": TO,
               "on_unsettled": "wait", "max_unsettled_wait": 10**9, **arguments}
        )  # fmt: skip

    @pytest.mark.parametrize("deferrable", [True, False])
    def test_are_read_again_also_where_their_time_passes_while_others_are_read(
        self, serve, tmp_path, monkeypatch, deferrable
    ):
        handle = serve([self.RUNNING, self.OTHER])
        for module in (windows_task, calls_task):  # an hour passes with each request
            monkeypatch.setattr(module, "now_ms", lambda: TO_MS + HOUR * (1 + len(handle.api.requests)))
        one = self.operator(
            output_path=str(tmp_path), max_unsettled_wait=dt.timedelta(hours=1.5), deferrable=deferrable
        )

        with pytest.raises((AirflowRescheduleException, TaskDeferred)):
            one.execute({})
        assert [path.parts[-4] for path in tmp_path.rglob("_manifest.json")] == ["model_id=agent-2"]
        results = one.execute({})

        assert [result["unsettled"] for result in results] == [1, 0]
        assert len(list(tmp_path.rglob("_manifest.json"))) == 2

    def test_are_waited_for_also_where_another_failed_which_is_tried_again(self, serve, tmp_path):
        handle = serve([self.RUNNING, self.OTHER], faults=[Fault(status=404, at=(2,))])
        one = self.operator(output_path=str(tmp_path))

        with pytest.raises(AirflowRescheduleException):
            one.execute({})
        handle.api.finish("running")

        assert [result["count"] for result in one.execute({})] == [1, 1]
