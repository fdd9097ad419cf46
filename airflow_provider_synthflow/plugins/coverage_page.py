# SPDX-License-Identifier: Apache-2.0
"""
The page "Synthflow coverage" in Airflow's own UI: the newest report of an audit.

What a plugin's application serves is behind no login by itself: this one asks the auth manager, as Airflow's own pages
do. The report is a file that others may write, so it runs in the browser as a page of nobody: none of the user's rights
are with it.
"""

from __future__ import annotations

from html import escape

from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.configuration import conf
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse

from airflow_provider_synthflow.auditing.report.page import read_report
from airflow_provider_synthflow.exceptions import SynthflowError

__all__ = ["app", "find_page", "show_page"]

_SECTION = "synthflow"
_HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

app = FastAPI(title="Synthflow coverage", docs_url=None, redoc_url=None, openapi_url=None)


@app.get("/coverage", dependencies=[Depends(requires_access_dag(method="GET"))])
def show_page() -> HTMLResponse:
    """Answer with the newest report."""
    status, page = find_page()
    return HTMLResponse(page, status_code=status, headers=_HEADERS)


def find_page() -> tuple[int, bytes]:
    """Return the report, or what is to be done that there is one, with its status."""
    path = conf.get(_SECTION, "audit_report", fallback="") or ""
    if not path:
        return 404, _say(
            "No report is named yet. Let SynthflowAuditOperator write one (report_path), and name the same path in "
            "Airflow's configuration: [synthflow] audit_report, with audit_report_conn_id where a store needs it."
        )
    try:
        conn_id = conf.get(_SECTION, "audit_report_conn_id", fallback=None) or None
        report = read_report(path, conn_id, name="audit_report")
    except SynthflowError as error:
        return 502, _say(f"The report cannot be read: {error}")
    if report is None:
        return 404, _say(f"There is no report at {path} yet: it comes with the next audit.")
    return 200, report


def _say(text: str) -> bytes:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Synthflow coverage</title>'
        '<meta name="color-scheme" content="light dark">'
        f'<body style="font-family:sans-serif;margin:2rem;max-width:40rem"><h1>Synthflow coverage</h1>'
        f"<p>{escape(text)}</p></body></html>"
    ).encode("utf-8", "replace")
