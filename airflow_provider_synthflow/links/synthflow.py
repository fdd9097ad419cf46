# SPDX-License-Identifier: Apache-2.0
"""The links in Airflow's UI: from a task to Synthflow, and to the file it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, BaseOperatorLink
else:
    try:  # loaded already, where the compatibility provider would cost each DAG file milliseconds
        from airflow.sdk import BaseOperatorLink
    except ImportError:
        from airflow.models.baseoperatorlink import BaseOperatorLink

__all__ = ["SynthflowAuditLink", "SynthflowCallsLink", "SynthflowOutputLink"]

DASHBOARD = "https://app.synthflow.ai"


class SynthflowCallsLink(BaseOperatorLink):
    """The link to Synthflow's dashboard, where the call logs are: no address of one agent's log is documented."""

    name = "Synthflow calls"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the address of the dashboard."""
        return DASHBOARD


class SynthflowOutputLink(BaseOperatorLink):
    """The link to the file that the task wrote, where its store has a console; to the first of several."""

    name = "Output"
    source = "return_value"
    """The XCom that has the path."""

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """Return the address in the store's console, or nothing where it has none, as behind an ``endpoint_url``."""
        from airflow_provider_synthflow.links.console import find_console  # noqa: PLC0415 - only once a task has run

        return find_console(operator, ti_key, self.source)


class SynthflowAuditLink(SynthflowOutputLink):
    """The link to the report of an audit, where its store has a console."""

    name = "Audit report"
    source = "audit_report"
