# SPDX-License-Identifier: Apache-2.0
"""What Airflow discovers of this provider. Imports nothing but data."""

from __future__ import annotations

from typing import Any

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.hooks.connection_form import (
    CONN_FIELDS,
    CONNECTION_TYPE,
    HOOK_CLASS_NAME,
    HOOK_NAME,
    UI_FIELD_BEHAVIOUR,
)

__all__ = ["get_provider_info"]

_INTEGRATION = "Synthflow"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as Airflow's ``provider_info.schema.json`` wants it."""
    return {
        "package-name": "airflow-provider-synthflow",
        "name": "Synthflow",
        "description": (
            "Every call of your `Synthflow <https://synthflow.ai/>`__ voice agents, each in exactly one window."
        ),
        "versions": [__version__],
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.synthflow.ai/",
                "tags": ["service"],
            }
        ],
        "hooks": [_modules("hooks")],
        "operators": [_modules("operators")],
        "sensors": [_modules("sensors")],
        "triggers": [_modules("triggers")],
        "extra-links": [
            "airflow_provider_synthflow.links.synthflow.SynthflowCallsLink",
            "airflow_provider_synthflow.links.synthflow.SynthflowOutputLink",
        ],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": HOOK_CLASS_NAME,
                "hook-name": HOOK_NAME,
                "ui-field-behaviour": UI_FIELD_BEHAVIOUR,
                "conn-fields": CONN_FIELDS,
            }
        ],
    }


def _modules(kind: str) -> dict[str, Any]:
    return {
        "integration-name": _INTEGRATION,
        "python-modules": [f"airflow_provider_synthflow.{kind}.synthflow"],
    }
