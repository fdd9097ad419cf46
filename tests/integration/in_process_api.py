# SPDX-License-Identifier: Apache-2.0
"""
Have ``dag.test()`` of Airflow 3.2 wait for the API that it starts in its own process, as later versions do.

Without that its first request comes before the API's registry is there, and each task fails with "'State' object has
no attribute 'svcs_registry'". Import this in the program that calls it; elsewhere it changes nothing.
"""

from __future__ import annotations

import time
from functools import cached_property
from typing import Any

from tests.versions import AIRFLOW

__all__: list[str] = []

if AIRFLOW == (3, 2):
    from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI

    _START = InProcessExecutionAPI.__dict__["transport"].func

    def _start_and_wait(api: Any) -> Any:
        transport = _START(api)
        deadline = time.monotonic() + 30
        while not hasattr(api.app.state, "svcs_registry") and time.monotonic() < deadline:
            time.sleep(0.02)
        return transport

    InProcessExecutionAPI.transport = cached_property(_start_and_wait)
    InProcessExecutionAPI.transport.__set_name__(InProcessExecutionAPI, "transport")
