# SPDX-License-Identifier: Apache-2.0
"""The plugin of the page "Synthflow coverage" in Airflow's own UI, with the newest report of an audit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow import __version__ as airflow_version
from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["SynthflowPlugin"]

_PREFIX = "/synthflow"
_HAS_VIEWS = tuple(int(part) for part in airflow_version.split(".")[:2]) >= (3, 1)


class _Coverage:
    """The application, loaded with its first request: each process of Airflow loads a plugin, and one serves pages."""

    async def __call__(
        self, scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
    ) -> None:
        """Answer a request."""
        from airflow_provider_synthflow.plugins.coverage_page import app  # noqa: PLC0415 - only an API server can

        await app(scope, receive, send)


_APP = {"name": "Synthflow coverage", "app": _Coverage(), "url_prefix": _PREFIX}
_VIEW = {
    "name": "Synthflow coverage",
    "href": f"{_PREFIX}/coverage",
    "destination": "nav",
    "category": "browse",
    "url_route": "synthflow-coverage",
}


class SynthflowPlugin(AirflowPlugin):
    """The provider's page in Airflow's UI, from Airflow 3.1 on."""

    name = "synthflow"
    fastapi_apps = [_APP] if _HAS_VIEWS else []
    external_views = [_VIEW] if _HAS_VIEWS else []
