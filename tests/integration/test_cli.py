# SPDX-License-Identifier: Apache-2.0
"""Airflow's own commands know the provider, its connection type, and whether a connection works."""

from __future__ import annotations

import json

import pytest

from airflow_provider_synthflow import __version__
from tests.integration.airflow_home import AirflowHome
from tests.synthflow_server import TEST_KEY, SynthflowApi, serve

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def server():
    with serve(SynthflowApi(assistants=["agent-1"])) as handle:
        yield handle


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, server):
    wrong = {"conn_type": "synthflow", "host": server.url, "password": "wrong-key-0123456789"}
    return AirflowHome(
        tmp_path_factory.mktemp("home"),
        {"AIRFLOW__CORE__TEST_CONNECTION": "Enabled", "AIRFLOW_CONN_SYNTHFLOW_WRONG": json.dumps(wrong)},
    )


def json_of(done):
    # Airflow 3.0 logs before it, and 3.4 may behind it.
    return json.loads(next(line for line in reversed(done.stdout.splitlines()) if line.startswith(("[", "{"))))


def test_the_provider_is_listed(airflow):
    listed = json_of(airflow.airflow("providers", "list", "--output", "json"))

    (ours,) = [each for each in listed if each["package_name"] == "airflow-provider-synthflow"]
    assert ours["version"] == __version__


@pytest.mark.parametrize("lazy", ["True", "False"])
def test_the_plugin_is_loaded_once_also_where_providers_are_loaded_at_once(tmp_path, lazy):
    at_once = {f"AIRFLOW__CORE__LAZY_{what}": lazy for what in ("DISCOVER_PROVIDERS", "LOAD_PLUGINS")}
    done = AirflowHome(tmp_path, at_once).airflow("plugins", "--output", "json")

    assert [each["name"] for each in json_of(done)].count("synthflow") == 1
    assert "'synthflow' already registered" not in done.stdout + done.stderr


def test_a_connection_is_added_got_and_tested(airflow, server):
    extra = json.dumps({"region": "eu", "timeout": 5})
    airflow.airflow(
        "connections", "add", "synthflow_default", "--conn-type", "synthflow", "--conn-password", TEST_KEY,
        "--conn-host", server.url, "--conn-extra", extra,
    )  # fmt: skip

    (got,) = json_of(airflow.airflow("connections", "get", "synthflow_default", "--output", "json"))
    tested = airflow.airflow("connections", "test", "synthflow_default")

    assert (got["conn_type"], got["host"]) == ("synthflow", server.url)
    assert "Connection success!" in tested.stdout
    (request,) = server.api.requests
    assert (request.path, request.query) == ("/v2/assistants/", {"limit": "1"})
    assert TEST_KEY not in tested.stdout + tested.stderr


def test_a_wrong_key_is_told_by_the_test_and_not_shown(airflow):
    tested = airflow.airflow("connections", "test", "synthflow_wrong", check=False)

    assert "Connection failed!" in tested.stdout
    assert "Key or region" in tested.stdout
    assert "wrong-key-0123456789" not in tested.stdout + tested.stderr
