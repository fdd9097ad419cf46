# SPDX-License-Identifier: Apache-2.0
"""The links in Airflow's UI: from a task to Synthflow, and to the file it wrote."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.storage.address import FileAddress

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk import BaseOperatorLink
    except ImportError:
        from airflow.models.baseoperatorlink import BaseOperatorLink

__all__ = ["SynthflowAuditLink", "SynthflowCallsLink", "SynthflowOutputLink"]

_ENDPOINTS = ("endpoint_url", "host", "gcs.endpoint", "endpoint")
_ENDPOINTS_IN_THE_ENVIRONMENT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "STORAGE_EMULATOR_HOST")

DASHBOARD = "https://app.synthflow.ai"


class SynthflowCallsLink(BaseOperatorLink):
    """The link to Synthflow's dashboard, where the call logs are: no address of one agent's log is documented."""

    name = "Synthflow calls"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """
        Return the address of the dashboard.

        :param operator: the task's operator
        :param ti_key: the task instance
        """
        return DASHBOARD


class SynthflowOutputLink(BaseOperatorLink):
    """The link to the file that the task wrote, where its store has a console; to the first of several."""

    name = "Output"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """
        Return the address in the store's console, or nothing where it has none, as behind an ``endpoint_url``.

        :param operator: the task's operator, whose connection tells whether the store is the cloud's own
        :param ti_key: the task instance, whose result tells where the file is
        """
        from airflow.providers.common.compat.sdk import XCom  # noqa: PLC0415 - only for a link

        result: Any = XCom.get_value(key="return_value", ti_key=ti_key)
        if isinstance(result, list):
            result = next((each for each in result if isinstance(each, dict) and each.get("path")), None)
        path = result.get("path") if isinstance(result, dict) else None
        return _find_console(path, operator)


def _find_console(path: Any, operator: Any) -> str:
    """Return the address of a file in its store's console, or nothing where there is none."""
    console = FileAddress.parse(path).console if isinstance(path, str) else ""
    return console if console and not _has_own_endpoint(operator) else ""


def _has_own_endpoint(operator: Any) -> bool:
    """Tell whether the store of an operator's output is another one than the cloud whose console has the file."""
    from airflow.providers.common.compat.sdk import BaseHook  # noqa: PLC0415 - only for a link

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


class SynthflowAuditLink(BaseOperatorLink):
    """The way to the report of an audit, where its store has a console."""

    name = "Audit report"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """
        Return the address in the store's console, or nothing where it has none, as behind an ``endpoint_url``.

        :param operator: the task's operator, whose connection tells whether the store is the cloud's own
        :param ti_key: the task instance, which tells where the report is, also where it failed
        """
        from airflow.providers.common.compat.sdk import XCom  # noqa: PLC0415 - only for a link

        return _find_console(XCom.get_value(key="audit_report", ti_key=ti_key), operator)
