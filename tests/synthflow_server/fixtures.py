# SPDX-License-Identifier: Apache-2.0
"""The fixture through which tests start test servers."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from tests.synthflow_server.api import SynthflowApi
from tests.synthflow_server.server import Handle, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.synthflow_server.dataset import Call

__all__ = ["synthflow"]


@pytest.fixture
def synthflow() -> Iterator[Callable[..., Handle]]:
    """Give a function that starts a test server, taking what `SynthflowApi` takes; all stop with the test."""
    with ExitStack() as servers:

        def start(calls: Iterable[Call] = (), **options: Any) -> Handle:
            return servers.enter_context(serve(SynthflowApi(calls, **options)))

        yield start
