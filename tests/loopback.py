# SPDX-License-Identifier: Apache-2.0
"""Send the package's requests to a test server in the same process: all of it is real but the socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from requests.structures import CaseInsensitiveDict

from airflow_provider_synthflow.client.client import HttpResponse, SynthflowClient
from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.client.transport import BodyReader
from airflow_provider_synthflow.exceptions import SynthflowTransientError
from tests.synthflow_server import TEST_KEY, SimulatedClock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.synthflow_server import SynthflowApi

__all__ = ["LoopbackSender"]

_LARGEST_BODY = 1 << 20


class LoopbackSender(SynthflowClient):
    """
    Send requests to a test server without a socket; waiting moves the server's simulated clock.

    :param api: the test server
    :param max_attempts: how often one request is sent
    """

    def __init__(self, api: SynthflowApi, *, max_attempts: int = 6) -> None:
        settings = Settings(
            base_url="http://127.0.0.1/v2",
            api_key=TEST_KEY,
            max_attempts=max_attempts,
            max_response_bytes=_LARGEST_BODY,
        )
        super().__init__(settings, sleep=self.pass_time)
        self._api = api

    def pass_time(self, seconds: float) -> None:
        """Let time pass on the server's clock, where that is simulated."""
        if isinstance(self._api.clock, SimulatedClock):
            self._api.clock.advance(int(seconds * 1000))

    def send(self, path: str, parameters: Mapping[str, str]) -> HttpResponse:
        """Send one request, and return its answer."""
        self.requests += 1
        sent = time.monotonic_ns()
        target = f"/v2{path}?{urlencode(parameters)}"
        answer = self._api.handle("GET", target, {"Authorization": f"Bearer {TEST_KEY}"})
        headers = CaseInsensitiveDict(answer.headers)
        reader = BodyReader(answer.status, headers, self.settings)
        waited = 0.0
        for piece in answer.stream.pieces() if answer.stream else (answer.body,):
            waited += answer.stream.pause_s if answer.stream else 0.0
            if not reader.add(piece) or waited > self.settings.timeout:
                break
        self.pass_time(waited)
        if answer.action is not None or waited > self.settings.timeout:
            msg = "The connection failed."
            raise SynthflowTransientError(msg)
        return HttpResponse(answer.status, headers, reader.unpack(), sent)
