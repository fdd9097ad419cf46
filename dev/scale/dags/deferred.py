# SPDX-License-Identifier: Apache-2.0
"""As many sensors as are to be measured, each of an agent of its own, ten in a DAG."""

from __future__ import annotations

import os

import pendulum
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor

SENSORS = int(os.environ["SCALE_SENSORS"])
IN_A_DAG = 10

for first in range(0, SENSORS, IN_A_DAG):
    with DAG(f"deferred_{first:04}", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
        for number in range(first, min(first + IN_A_DAG, SENSORS)):
            SynthflowNewCallsSensor(
                task_id=f"sensor_{number:04}",
                model_id=f"agent-{number:04}",
                from_date="2026-01-01T00:00:00Z",
                poke_interval=int(os.environ["SCALE_INTERVAL"]),
                timeout=86_400,
                deferrable=True,
            )
