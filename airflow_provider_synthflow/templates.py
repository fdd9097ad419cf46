# SPDX-License-Identifier: Apache-2.0
"""What templates render into parameters."""

from __future__ import annotations

from typing import Any

__all__ = ["given"]


def given(value: Any) -> Any:
    """
    Return a parameter, or None where a template rendered nothing into it.

    :param value: as the task has it after rendering; an empty text and ``None`` as text are nothing
    """
    return None if isinstance(value, str) and value.strip() in {"", "None"} else value
