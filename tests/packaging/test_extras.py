# SPDX-License-Identifier: Apache-2.0
"""
The wheel installs with each extra into an environment with nothing else, and brings what the extra promises.

Run by ``make extras``, which builds the wheel; it downloads what is not in uv's cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider_synthflow import __version__

ROOT = Path(__file__).resolve().parents[2]
WHEEL = ROOT / "dist" / f"airflow_provider_synthflow-{__version__}-py3-none-any.whl"
PROMISED = {
    "": "airflow.providers.common.compat.sdk",
    "parquet": "pyarrow.parquet",
    "zstd": "zstandard",
    "s3": "airflow.providers.amazon.aws.fs.s3, s3fs",
    "gcs": "airflow.providers.google.cloud.fs.gcs, gcsfs",
    "azure": "airflow.providers.microsoft.azure.fs.adls, adlfs",
    "openlineage": "airflow.providers.openlineage.extractors",
}
"""By extra, what can be imported with it."""

PROGRAM = """
import sys
from pathlib import Path
import {promised}
from airflow.dag_processing.dagbag import DagBag
from airflow.providers_manager import ProvidersManager
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
import airflow_provider_synthflow
assert airflow_provider_synthflow.__file__.startswith(sys.prefix), airflow_provider_synthflow.__file__
manager = ProvidersManager()
print("found", manager.providers["airflow-provider-synthflow"].version, manager.hooks["synthflow"].hook_name)
examples = DagBag(Path(airflow_provider_synthflow.__file__).parent / "example_dags")
assert not examples.import_errors, examples.import_errors
print("examples", len(examples.dags))
"""


def run(*command: str | Path, cwd: Path, timeout: float = 900, **env: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=cwd, env=environment | env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.mark.parametrize("extra", PROMISED, ids=lambda extra: extra or "none")
def test_the_wheel_installs_into_a_clean_environment_and_airflow_finds_the_provider(extra, tmp_path):
    assert WHEEL.exists(), "run `make build`"
    uv, python = Path(sys.executable).parent / "uv", tmp_path / "venv" / "bin" / "python"
    try:
        run(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
        wanted = f"{WHEEL}[{extra}]" if extra else str(WHEEL)
        run(uv, "pip", "install", "--quiet", "--python", python, wanted, cwd=tmp_path)

        run(uv, "pip", "check", "--python", python, cwd=tmp_path)
        told = run(
            python, "-c", PROGRAM.format(promised=PROMISED[extra]), cwd=tmp_path, AIRFLOW_HOME=str(tmp_path / "home")
        )
    finally:
        shutil.rmtree(tmp_path / "venv", ignore_errors=True)

    assert f"found {__version__} Synthflow" in told
    assert f"examples {len(list((ROOT / 'example_dags').glob('*.py')))}" in told


PINS = ROOT / "requirements" / "dev.txt"
"""What stands in for Airflow's constraints here: one version of each library, on every Python."""
PIP_SECONDS = 600
"""Far more than pip takes on a quiet machine, far less than the hours of one that tries each release of a library."""


@pytest.mark.parametrize(
    ("extra", "constrained"),
    [("s3", False), ("s3", True), ("gcs", False), ("azure", False)],
    ids=["s3", "s3-constrained", "gcs", "azure"],
)
def test_pip_finds_what_an_extra_needs_beside_an_airflow_in_a_time_that_people_wait(extra, constrained, tmp_path):
    uv, python = Path(sys.executable).parent / "uv", tmp_path / "venv" / "bin" / "python"
    (airflow,) = [line for line in PINS.read_text(encoding="utf-8").splitlines() if line.startswith("apache-airflow==")]
    try:
        run(uv, "venv", "--quiet", "--seed", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
        bounds = ["--constraint", str(PINS)] if constrained else []
        run(uv, "pip", "install", "--quiet", "--python", python, airflow, *bounds, cwd=tmp_path)

        installed = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *bounds]
        run(*installed, f"{WHEEL}[{extra}]", airflow, cwd=tmp_path, timeout=PIP_SECONDS)

        run(python, "-c", f"import {PROMISED[extra]}", cwd=tmp_path, AIRFLOW_HOME=str(tmp_path / "home"))
    finally:
        shutil.rmtree(tmp_path / "venv", ignore_errors=True)
