# SPDX-License-Identifier: Apache-2.0
"""
Bring all tasks of the runs into the state in which a worker leaves a deferred one.

A thousand task processes would take a small machine ten minutes and more, and are not what is measured. So each
sensor is really executed, one after the other in this process, and what Airflow's API server would write of its
deferral is written here.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from airflow.dag_processing.dagbag import DagBag
from airflow.models import TaskInstance, Trigger
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.utils.session import create_session
from airflow.utils.state import TaskInstanceState

dags = DagBag(sys.argv[1]).dags


def deferral_of(instance):
    """Execute a sensor up to its deferral."""
    try:
        dags[instance.dag_id].get_task(instance.task_id).execute({})
    except TaskDeferred as deferred:
        return deferred
    raise AssertionError(instance)


with create_session() as session, ThreadPoolExecutor(40) as pool:
    instances = session.query(TaskInstance).all()
    deferrals = pool.map(deferral_of, instances)
    for instance, deferred in zip(instances, deferrals, strict=True):
        row = Trigger.from_object(deferred.trigger)
        session.add(row)
        session.flush()
        instance.trigger_id = row.id
        instance.next_method = deferred.method_name
        instance.next_kwargs = {}
        instance.state = TaskInstanceState.DEFERRED
