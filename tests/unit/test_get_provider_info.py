# SPDX-License-Identifier: Apache-2.0
"""Airflow finds the provider, and its connection's form has what the contract names."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import distributions, entry_points, version
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.settings import REGIONS, Settings
from airflow_provider_synthflow.get_provider_info import get_provider_info
from airflow_provider_synthflow.hooks.synthflow import SynthflowHook
from tests.versions import AIRFLOW

SCHEMAS = Path(airflow.__path__[0])
EXTRA = {
    "region": "eu", "timeout": 7.5, "max_response_bytes": 1000, "max_attempts": 2, "hash_key": "pepper",
    "allow_insecure": True,
}  # fmt: skip


installed = pytest.mark.skipif(
    not any(each.metadata["Name"] == "airflow-provider-synthflow" for each in distributions()),
    reason="the provider is not installed here, only its source is on the path",
)


@pytest.fixture
def connection_type() -> dict[str, Any]:
    (declared,) = get_provider_info()["connection-types"]
    return declared


def schema(name: str) -> dict[str, Any]:
    return json.loads((SCHEMAS / name).read_text(encoding="utf-8"))


class TestInfo:
    def test_fits_the_schema_of_discovered_providers(self):
        jsonschema.validate(get_provider_info(), schema("provider_info.schema.json"))

    def test_fits_the_strict_schema_too(self):
        strict = schema("provider.yaml.schema.json")
        # What Airflow's own release manager keeps in that file, and no discovered provider has.
        managed = {"state": "ready", "source-date-epoch": 0, "dependencies": []}
        declared = {name: value for name, value in managed.items() if name in strict["required"]}

        info = get_provider_info() | declared
        if AIRFLOW < (3, 0):  # it calls them dataset-uris, and passes over the new name in a discovered provider
            del info["asset-uris"]
        jsonschema.validate(info, strict)

    @installed
    def test_is_what_the_entry_point_gives(self):
        (point,) = [each for each in entry_points(group="apache_airflow_provider") if "synthflow" in each.value]

        assert point.value == "airflow_provider_synthflow.get_provider_info:get_provider_info"
        assert point.load()() == get_provider_info()

    @installed
    def test_names_the_distribution_and_its_version(self):
        info = get_provider_info()

        assert info["package-name"] == "airflow-provider-synthflow"
        assert info["versions"][0] == __version__ == version("airflow-provider-synthflow")

    def test_names_modules_that_there_are(self):
        info = get_provider_info()

        names = [
            name
            for kind in ("hooks", "operators", "sensors", "triggers")
            for entry in info.get(kind, [])
            for name in entry["python-modules"]
        ]
        assert len(names) >= 3
        for name in names:
            assert importlib.import_module(name).__all__
        assert {entry["integration-name"] for entry in info["hooks"]} == {
            entry["integration-name"] for entry in info["integrations"]
        }

    def test_is_made_anew_for_each_caller(self):
        get_provider_info()["versions"].clear()

        assert get_provider_info()["versions"]


class TestConnectionForm:
    def test_belongs_to_the_hook(self, connection_type):
        module, _, name = connection_type["hook-class-name"].rpartition(".")

        assert getattr(importlib.import_module(module), name) is SynthflowHook
        assert connection_type["connection-type"] == SynthflowHook.conn_type == "synthflow"
        assert connection_type["hook-name"] == SynthflowHook.hook_name == "Synthflow"
        assert SynthflowHook.default_conn_name == "synthflow_default"
        assert SynthflowHook.conn_name_attr == "synthflow_conn_id"

    def test_has_the_fields_of_the_contract(self, connection_type):
        fields = {
            name: (field["schema"]["type"], field["schema"].get("default"))
            for name, field in connection_type["conn-fields"].items()
        }

        assert fields == {
            "region": (["string", "null"], "global"),
            "timeout": (["number", "null"], 60),
            "max_response_bytes": (["integer", "null"], 256 * 1024 * 1024),
            "max_attempts": (["integer", "null"], 6),
            "hash_key": (["string", "null"], None),
            "allow_insecure": (["boolean", "null"], False),
        }

    def test_labels_every_field_and_says_what_it_is_for(self, connection_type):
        for field in connection_type["conn-fields"].values():
            assert field["label"]
            assert field["description"].endswith(".")

    def test_offers_the_regions_that_there_are(self, connection_type):
        assert connection_type["conn-fields"]["region"]["schema"]["enum"] == list(REGIONS) == ["global", "us", "eu"]

    def test_hides_the_secrets(self, connection_type):
        hidden = [
            name
            for name, field in connection_type["conn-fields"].items()
            if field["schema"].get("format") == "password"
        ]

        assert hidden == ["hash_key"]
        assert connection_type["ui-field-behaviour"]["relabeling"]["password"] == "API key"

    def test_shows_of_airflow_s_fields_those_that_are_read(self, connection_type):
        behaviour = connection_type["ui-field-behaviour"]

        assert set(behaviour["hidden-fields"]) == {"login", "extra"}
        assert behaviour["relabeling"].keys() == {"password", "host", "schema", "port"}
        assert not set(behaviour["hidden-fields"]) & (behaviour["relabeling"].keys() | behaviour["placeholders"].keys())

    def test_is_the_same_where_airflow_asks_the_hook(self, connection_type):
        behaviour = SynthflowHook.get_ui_field_behaviour()

        jsonschema.validate(behaviour, schema("customized_form_field_behaviours.schema.json"))
        assert {name.replace("_", "-"): value for name, value in behaviour.items()} == connection_type[
            "ui-field-behaviour"
        ]

    def test_gives_defaults_that_are_those_of_an_empty_connection(self, connection_type):
        empty = Settings.from_connection(password="key-0123456789")
        defaults = {name: field["schema"].get("default") for name, field in connection_type["conn-fields"].items()}

        assert (empty.region, empty.timeout, empty.max_attempts, empty.hash_key) == (
            defaults["region"], defaults["timeout"], defaults["max_attempts"], defaults["hash_key"],
        )  # fmt: skip

    @pytest.mark.parametrize("as_text", [False, True], ids=["typed", "text"])
    def test_has_no_field_that_is_not_read(self, connection_type, as_text):
        extra = {name: str(value) if as_text else value for name, value in EXTRA.items()}

        read = Settings.from_connection(password="key-0123456789", extra=extra)
        insecure = Settings.from_connection(password="key-0123456789", host="http://api.example.test", extra=extra)

        assert EXTRA.keys() == connection_type["conn-fields"].keys()
        assert (read.region, read.timeout, read.max_attempts, read.hash_key) == ("eu", 7.5, 2, "pepper")
        assert insecure.base_url == "http://api.example.test/v2"
