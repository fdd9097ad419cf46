# SPDX-License-Identifier: Apache-2.0
"""What the unit tests of several rooms share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def serve(synthflow: Callable[..., Any], connect: Callable[..., None]) -> Callable[..., Any]:
    """Give a function that starts a test server with calls, where the default connection leads; nothing is retried."""

    def start(calls: Any = (), **options: Any) -> Any:
        handle = synthflow(calls, **options)
        connect(host=handle.url, extra={"max_attempts": 1, "hash_key": "a-key-of-this-test"})
        return handle

    return start
