# SPDX-License-Identifier: Apache-2.0
"""A deployment of the tests ends whatever it started."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.airflow_deployment import AirflowDeployment

# What Airflow's worker does with a task: a process group of its own, and a title; its parent is gone.
_ORPHAN = """
import os, time
if os.fork():
    os._exit(0)
os.setsid()
from setproctitle import setproctitle
setproctitle("airflow worker -- a task")
print(os.getpid(), flush=True)
time.sleep(60)
"""


def test_a_task_that_outlived_its_scheduler_is_ended_too(tmp_path):
    deployment = AirflowDeployment(tmp_path / "home")
    command = [sys.executable, "-c", _ORPHAN]
    with subprocess.Popen(command, env=deployment.env, stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603
        orphan = psutil.Process(int(parent.stdout.readline()))

        assert orphan.name().startswith("airflow worker")
        deployment.stop()

        assert not orphan.is_running()
