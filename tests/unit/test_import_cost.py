# SPDX-License-Identifier: Apache-2.0
"""A DAG file that uses this provider costs hardly more to parse than one that does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

OURS = [f"airflow_provider_synthflow.{room}.synthflow" for room in ("operators", "sensors", "hooks")]
DAG_FILE = """
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.sensors.synthflow import SynthflowNewCallsSensor
with DAG("dag", schedule=None):
    SynthflowNewCallsSensor(task_id="new", model_id="a") >> SynthflowListCallsOperator(task_id="calls", model_id="a")
"""
CASES = {name: f"import {name}" for name in OURS} | {"DAG file": DAG_FILE}
WORKERS = [
    f"airflow_provider_synthflow.{name}"
    for name in (
        "hooks.session", "operators.assistants_task", "operators.audit_task", "operators.calls_task",
        "operators.recordings_task", "sensors.new_calls", "triggers.new_calls",
    )
]  # fmt: skip
"""What is loaded once there is work."""
EXTRAS = ("airflow.providers.openlineage", "azure", "gcsfs", "openlineage", "pyarrow", "s3fs", "zstandard")
ALLOWED = {"airflow", "airflow_provider_synthflow", *sys.stdlib_module_names}

# Airflow is imported once; each case runs in a copy of that process, as a DAG processor's do.
PROGRAM = f"""
import json, os, sys
try:
    import airflow.sdk
    from airflow.sdk import DAG, BaseOperator
except ImportError:  # Airflow 2.11
    import airflow.models
    from airflow.models import DAG, BaseOperator
with DAG("plain", schedule=None):
    BaseOperator(task_id="plain")
for name, code in {[*CASES.items(), *((name, f"import {name}") for name in WORKERS)]!r}:
    if os.fork() == 0:
        before = set(sys.modules)
        exec(code, {{"DAG": DAG}})
        print(json.dumps([name, sorted(set(sys.modules) - before)]), flush=True)
        os._exit(0)
    assert os.wait()[1] == 0, name
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)  # noqa: S603 - our own program


@pytest.fixture(scope="module")
def loaded() -> dict[str, Any]:
    """Run all cases; return the modules that each loads."""
    return dict(json.loads(line) for line in run(PROGRAM).stdout.splitlines() if line.startswith("["))


@pytest.mark.parametrize("case", CASES)
def test_no_library_is_loaded_that_airflow_has_not_loaded(loaded, case):
    names = loaded[case]

    assert {name for name in names if name.split(".")[0] not in ALLOWED} == set()
    assert any(name.startswith("airflow_provider_synthflow.") for name in names)
    assert not any(name.startswith("airflow_provider_synthflow.client.") for name in names)


@pytest.mark.parametrize("module", WORKERS)
def test_a_worker_loads_no_extra_before_it_is_used(loaded, module):
    assert {name for name in loaded[module] if f"{name}.".startswith(tuple(f"{extra}." for extra in EXTRAS))} == set()
    assert module in loaded[module]


def test_provider_discovery_loads_nothing():
    code = """
import sys
sys.modules["airflow"] = None
before = set(sys.modules)
from airflow_provider_synthflow.get_provider_info import get_provider_info
get_provider_info()
print(sorted({name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""
    assert run(code).stdout.splitlines()[-1] == "['airflow_provider_synthflow']"
