# SPDX-License-Identifier: Apache-2.0
"""The provider's description for Airflow. Imports nothing but data."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
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

_CONFIG = {
    "synthflow": {
        "description": 'The page "Synthflow coverage" of Airflow\'s UI, from Airflow 3.1 on.',
        "options": {
            "audit_report": {
                "description": "The path of the audits' report, as in ``report_path``: a file in any store.",
                "type": "string",
                "version_added": None,
                "default": "",
                "example": "s3://lake/reports/audit.html",
            },
            "audit_report_conn_id": {
                "description": "The Airflow connection of that store; a local disk needs none.",
                "type": "string",
                "version_added": None,
                "default": "",
                "example": "aws_default",
            },
        },
    }
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider's description, as the installed Airflow's ``provider_info.schema.json`` wants it."""
    described: dict[str, Any] = {
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
            "airflow_provider_synthflow.links.synthflow.SynthflowAuditLink",
            "airflow_provider_synthflow.links.synthflow.SynthflowCallsLink",
            "airflow_provider_synthflow.links.synthflow.SynthflowOutputLink",
        ],
        "config": _CONFIG,
        "asset-uris": [{"schemes": ["synthflow"], "handler": None}],
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
    if _find_airflow() >= (3, 4):
        described["retry-policies"] = [_modules("retry_policies")]
    return described


def _find_airflow() -> tuple[int, ...]:
    """Return the minor version of Airflow, or (0,) where there is none."""
    try:
        return tuple(int(part) for part in version("apache-airflow").split(".")[:2])
    except (PackageNotFoundError, ValueError):
        return (0,)


def _modules(kind: str) -> dict[str, Any]:
    return {
        "integration-name": _INTEGRATION,
        "python-modules": [f"airflow_provider_synthflow.{kind}.synthflow"],
    }
