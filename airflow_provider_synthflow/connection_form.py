# SPDX-License-Identifier: Apache-2.0
"""The form of a Synthflow connection in Airflow's UI: one definition for every version of Airflow."""

from __future__ import annotations

from typing import Any

__all__ = ["CONNECTION_TYPE", "CONN_FIELDS", "HOOK_CLASS_NAME", "HOOK_NAME", "UI_FIELD_BEHAVIOUR"]

CONNECTION_TYPE = "synthflow"
HOOK_NAME = "Synthflow"
HOOK_CLASS_NAME = "airflow_provider_synthflow.hooks.synthflow.SynthflowHook"

UI_FIELD_BEHAVIOUR: dict[str, Any] = {
    "hidden-fields": ["login", "schema", "extra"],
    "relabeling": {"password": "API key", "host": "Host (optional)", "port": "Port (optional)"},
    "placeholders": {
        "password": "your Synthflow API key",
        "host": "empty: the region's own host",
    },
}
"""What becomes of Airflow's own fields; the names are those of the provider info."""

CONN_FIELDS: dict[str, dict[str, Any]] = {
    "region": {
        "label": "Region",
        "description": "The workspace's region, which decides on the host where none is set.",
        "schema": {"type": ["string", "null"], "enum": ["global", "us", "eu"], "default": "global"},
    },
    "timeout": {
        "label": "Timeout (seconds)",
        "description": "How long one request may take.",
        "schema": {"type": ["number", "null"], "minimum": 1, "default": 60},
    },
    "max_attempts": {
        "label": "Tries",
        "description": "How often one request is sent before the task fails.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "default": 6},
    },
    "hash_key": {
        "label": "Hash key",
        "description": "The secret that hash_fields needs; another key gives other hashes.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "allow_insecure": {
        "label": "Allow plain http",
        "description": "Send the key over plain http to a host that is not this machine.",
        "schema": {"type": ["boolean", "null"], "default": False},
    },
}
"""The connection's own fields, which Airflow keeps in its extra."""
