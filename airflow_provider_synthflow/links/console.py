# SPDX-License-Identifier: Apache-2.0
"""The page of a task's file in its store's console."""

from __future__ import annotations

import os
from typing import Any

from airflow.providers.common.compat.sdk import BaseHook, XCom

from airflow_provider_synthflow.storage.address import FileAddress

__all__ = ["find_console"]

_ENDPOINTS = ("endpoint_url", "host", "gcs.endpoint", "endpoint")
_ENDPOINTS_IN_THE_ENVIRONMENT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST")


def find_console(operator: Any, ti_key: Any, xcom: str) -> str:
    """Return the address of a task's file in its store's console, or nothing where it has none."""
    found: Any = XCom.get_value(key=xcom, ti_key=ti_key)
    if isinstance(found, list):
        found = next((each for each in found if isinstance(each, dict) and each.get("path")), None)
    path = found.get("path") if isinstance(found, dict) else found
    console = FileAddress.parse(path).console if isinstance(path, str) else ""
    return console if console and not _has_own_endpoint(operator) else ""


def _has_own_endpoint(operator: Any) -> bool:
    """Tell whether the store of an operator's output is another one than the cloud whose console has the file."""
    output_path = str(getattr(operator, "output_path", None) or "")
    conn_id = getattr(operator, "output_conn_id", None) or FileAddress.parse(output_path).within
    if not conn_id:
        return any(os.environ.get(name) for name in _ENDPOINTS_IN_THE_ENVIRONMENT)
    try:
        extra = BaseHook.get_connection(conn_id).extra_dejson
    except Exception:  # noqa: BLE001 - where the connection cannot be read, nobody knows where the link would lead
        return True
    services = extra.get("service_config")
    of_s3 = services.get("s3") if isinstance(services, dict) else None
    return any(extra.get(name) for name in _ENDPOINTS) or bool(isinstance(of_s3, dict) and of_s3.get("endpoint_url"))
