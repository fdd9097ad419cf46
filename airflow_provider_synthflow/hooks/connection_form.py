# SPDX-License-Identifier: Apache-2.0
"""The form of a Synthflow connection in Airflow's UI: one definition for every version of Airflow."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["CONNECTION_TYPE", "CONN_FIELDS", "HOOK_CLASS_NAME", "HOOK_NAME", "UI_FIELD_BEHAVIOUR", "form_widgets"]

CONNECTION_TYPE = "synthflow"
HOOK_NAME = "Synthflow"
HOOK_CLASS_NAME = "airflow_provider_synthflow.hooks.synthflow.SynthflowHook"

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["login", "extra"],
    "relabeling": {
        "password": "API key",
        "host": "Host (optional)",
        "schema": "Schema (optional)",
        "port": "Port (optional)",
    },
    "placeholders": {
        "password": "your Synthflow API key",
        "host": "empty: the region's own host",
        "schema": "http or https",
    },
}
"""The changes to Airflow's own fields, as the provider info names them."""

CONN_FIELDS: dict[str, dict[str, Any]] = {
    "region": {
        "label": "Region",
        "description": "The region of your workspace: global, us or eu. It sets the host if Host is empty.",
        "schema": {"type": ["string", "null"], "enum": ["global", "us", "eu"], "default": "global"},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "The most time for one request, from connecting to the last byte of the response.",
        "schema": {"type": ["number", "null"], "minimum": 1, "default": 60},
    },
    "max_response_bytes": {
        "label": "Largest answer (bytes)",
        "description": "The largest body of one response, after decompression; 268435456 is 256 MiB.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "default": 268435456},
    },
    "max_attempts": {
        "label": "Tries",
        "description": "How many times one request is sent before the task fails.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "default": 6},
    },
    "hash_key": {
        "label": "Hash key",
        "description": "The secret for hash_fields. Another key gives other hashes.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "allow_insecure": {
        "label": "Allow plain http",
        "description": "Allow sending the key over plain http to another machine.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}
"""The connection's own fields, which Airflow stores in its extra."""


def form_widgets() -> dict[str, Any]:
    """Return the connection's own fields as wtforms fields, for Airflow before 3.2."""
    # Airflow replaces these modules while it asks, so they are imported each time.
    forms = importlib.import_module("flask_appbuilder.fieldwidgets")
    fields = importlib.import_module("wtforms")
    validators = importlib.import_module("wtforms.validators")
    widgets: dict[str, Any] = {}
    for name, declared in CONN_FIELDS.items():
        schema = declared["schema"]
        about = {"label": declared["label"], "description": declared["description"], "default": schema.get("default")}
        checks: list[Any] = [validators.Optional()]
        if "minimum" in schema:
            checks.append(validators.NumberRange(min=schema["minimum"]))
        if "enum" in schema:
            checks.append(validators.any_of(schema["enum"]))  # by this name Airflow 3.0 and 3.1 know a drop-down
        if schema.get("format") == "password":
            widgets[name] = fields.PasswordField(**about, validators=checks, widget=forms.BS3PasswordFieldWidget())
        elif "boolean" in schema["type"]:
            widgets[name] = fields.BooleanField(**about)
        elif {"number", "integer"} & set(schema["type"]):
            widgets[name] = fields.IntegerField(**about, validators=checks, widget=forms.BS3TextFieldWidget())
        else:
            widgets[name] = fields.StringField(**about, validators=checks, widget=forms.BS3TextFieldWidget())
    return widgets
