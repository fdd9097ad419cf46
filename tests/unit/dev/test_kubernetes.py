# SPDX-License-Identifier: Apache-2.0
"""The Helm values and the manifest for Kubernetes name one secret and one image; the secret is a connection of ours."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from airflow_provider_synthflow.get_provider_info import get_provider_info

FOLDER = Path(__file__).resolve().parents[3] / "deploy" / "kubernetes"
pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="only the repository has the files of Kubernetes")


@pytest.fixture
def values():
    return yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))


@pytest.fixture
def manifest():
    documents = yaml.safe_load_all((FOLDER / "manifest.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}


def test_the_values_take_the_connection_from_the_secret_of_the_manifest(values, manifest):
    (wanted,) = values["secret"]
    secret = manifest["Secret"]

    connection = json.loads(secret["stringData"][wanted["secretKey"]])
    assert wanted["envName"] == "AIRFLOW_CONN_SYNTHFLOW_DEFAULT"
    assert wanted["secretName"] == secret["metadata"]["name"]
    assert connection["conn_type"] == get_provider_info()["connection-types"][0]["connection-type"]


def test_the_job_runs_in_the_image_of_the_workers(values, manifest):
    image = values["images"]["airflow"]
    (container,) = manifest["Job"]["spec"]["template"]["spec"]["containers"]

    assert container["image"] == f"{image['repository']}:{image['tag']}"
    assert values["airflowVersion"] == image["tag"]
    assert f"FROM apache/airflow:{image['tag']}" in (FOLDER / "Dockerfile").read_text(encoding="utf-8")
