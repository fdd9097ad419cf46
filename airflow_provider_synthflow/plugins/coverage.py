# SPDX-License-Identifier: Apache-2.0
"""
The page "Synthflow coverage" in Airflow's own UI: the newest report of an audit.

What a plugin's application serves is behind no login by itself: this one asks the auth manager, as Airflow's own pages
do. The report is a file that others may write, so it runs in the browser as a page of nobody: none of the user's rights
are with it.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

from airflow_provider_synthflow.exceptions import SynthflowError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["SynthflowPlugin"]

_SECTION = "synthflow"
_PREFIX = "/synthflow"
_HEADERS = {
    "Content-Security-Policy": (
        "sandbox allow-scripts; default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "img-src data:; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_HAS_VIEWS = tuple(int(part) for part in airflow_version.split(".")[:2]) >= (3, 1)


class _Coverage:
    """The application, made with its first request: each process of Airflow loads a plugin, and one serves pages."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        if self._app is None:
            self._app = _make_app()
        await self._app(scope, receive, send)


def _make_app() -> Any:
    from airflow.api_fastapi.core_api.security import requires_access_dag  # noqa: PLC0415 - only an API server has it
    from fastapi import Depends, FastAPI  # noqa: PLC0415 - likewise
    from fastapi.responses import HTMLResponse  # noqa: PLC0415 - likewise

    app = FastAPI(title="Synthflow coverage", docs_url=None, redoc_url=None, openapi_url=None)

    def show() -> HTMLResponse:
        status, page = _find_page()
        return HTMLResponse(page, status_code=status, headers=_HEADERS)

    app.get("/coverage", dependencies=[Depends(requires_access_dag(method="GET"))])(show)
    return app


def _find_page() -> tuple[int, bytes]:
    """Return the report, or what is to be done that there is one, with its status."""
    path = conf.get(_SECTION, "audit_report", fallback="") or ""
    if not path:
        return 404, _say(
            "No report is named yet. Let SynthflowAuditOperator write one (report_path), and name the same path in "
            "Airflow's configuration: [synthflow] audit_report, with audit_report_conn_id where a store needs it."
        )
    # Loads what reads stores.
    from airflow_provider_synthflow.auditing.report.page import read_report  # noqa: PLC0415

    try:
        report = read_report(path, conf.get(_SECTION, "audit_report_conn_id", fallback=None) or None)
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


_APP = {"name": "Synthflow coverage", "app": _Coverage(), "url_prefix": _PREFIX}
_VIEW = {
    "name": "Synthflow coverage",
    "href": f"{_PREFIX}/coverage",
    "destination": "nav",
    "category": "browse",
    "url_route": "synthflow-coverage",
}


class SynthflowPlugin(AirflowPlugin):
    """What the provider adds to Airflow's UI, from Airflow 3.1 on."""

    name = "synthflow"
    fastapi_apps = [_APP] if _HAS_VIEWS else []
    external_views = [_VIEW] if _HAS_VIEWS else []
