# SPDX-License-Identifier: Apache-2.0
"""The loop over pages that one writes with ``requests`` on the first day, as the other side of a comparison."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import requests
from requests.adapters import BaseAdapter

from tests.synthflow_server import TEST_KEY

if TYPE_CHECKING:
    from tests.synthflow_server import SynthflowApi

__all__ = ["EndlessLoopError", "LoopbackAdapter", "list_calls"]

_LIMIT = 100


def list_calls(
    session: requests.Session, base_url: str, model_id: str, from_ms: int, to_ms: int
) -> list[dict[str, Any]]:
    """
    Read the calls of a window, page after page until one is short.

    :param session: sends the requests
    :param base_url: the API
    :param model_id: the agent
    :param from_ms: the window's begin
    :param to_ms: the window's end
    """
    calls: list[dict[str, Any]] = []
    offset = 0
    while True:
        response = session.get(
            f"{base_url}/calls",
            params={
                "model_id": model_id,
                "from_date": from_ms,
                "to_date": to_ms,
                "limit": _LIMIT,
                "offset": offset,
            },
            headers={"Authorization": f"Bearer {TEST_KEY}"},
            timeout=60,
        )
        response.raise_for_status()
        page = response.json()["response"]["calls"]
        calls.extend(page)
        if len(page) < _LIMIT:
            return calls
        offset += _LIMIT


class EndlessLoopError(Exception):
    """Say that a loop has sent more requests than any number of calls explains."""


class LoopbackAdapter(BaseAdapter):
    """
    Bring the requests of a session to a test server in the same process.

    :param api: the test server
    :param most_requests: after how many requests a loop counts as endless
    """

    def __init__(self, api: SynthflowApi, *, most_requests: int) -> None:
        super().__init__()
        self._api = api
        self._left = most_requests

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answer one request."""
        if self._left <= 0:
            raise EndlessLoopError
        self._left -= 1
        answer = self._api.handle(request.method or "GET", request.path_url, dict(request.headers))
        response = requests.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.raw = BytesIO(answer.body)
        response.request = request
        response.url = request.url or ""
        return response

    def close(self) -> None:
        """Do nothing: there is no connection."""
