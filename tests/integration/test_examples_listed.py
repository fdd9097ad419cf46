# SPDX-License-Identifier: Apache-2.0
"""A running Airflow with `[core] load_examples` lists the example DAGs that the installed wheel brings."""

from __future__ import annotations

from pathlib import Path

import pytest

import airflow_provider_synthflow
from tests.airflow_deployment import AirflowDeployment
from tests.versions import needs_airflow

INSTALLED = Path(airflow_provider_synthflow.__file__).parent / "example_dags"

pytestmark = [
    pytest.mark.long,
    needs_airflow("3.3", "a look into the installed package for its example DAGs"),
    pytest.mark.skipif(not INSTALLED.is_dir(), reason="the source tree is installed here, not a wheel"),
]


def test_the_examples_of_the_wheel_are_listed_without_an_error_and_wait_to_be_switched_on(tmp_path):
    wanted = {path.stem for path in INSTALLED.glob("*.py")}
    (tmp_path / "dags").mkdir()
    env = {"AIRFLOW__CORE__LOAD_EXAMPLES": "True", "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"}
    with AirflowDeployment(tmp_path / "home", tmp_path / "dags", env) as deployment:
        deployment.wait_for(lambda: deployment.dag_ids() >= wanted, f"{wanted} are known", timeout=180)
        listed = deployment.rest("GET", "/dags?tags=synthflow&limit=100&exclude_stale=true")["dags"]
        errors = deployment.rest("GET", "/importErrors?limit=100")["import_errors"]

    assert len(wanted) >= 8
    assert {dag["dag_id"] for dag in listed} == wanted
    assert {Path(dag["fileloc"]).parent for dag in listed} == {INSTALLED}
    assert all(dag["is_paused"] for dag in listed)
    assert [error["filename"] for error in errors if "synthflow" in error["filename"]] == []
