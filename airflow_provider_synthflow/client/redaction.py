# SPDX-License-Identifier: Apache-2.0
"""Take out of a text what must not be in an error or a log."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["redact"]

_LONGEST = 200
_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """
    Return a text on one line, without secrets and telephone numbers, and cut to 200 characters.

    :param text: what the API said of an error, never a body
    :param secrets: texts to take out wherever they stand
    """
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    text = _NUMBER.sub("***", " ".join(text.split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
