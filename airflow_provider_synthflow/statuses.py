# SPDX-License-Identifier: Apache-2.0
"""Which statuses of a call are final."""

from __future__ import annotations

from typing import Any

__all__ = ["TERMINAL_STATUSES", "is_terminal"]

TERMINAL_STATUSES = frozenset(
    {
        "completed",
        "failed",
        "no-answer",
        "busy",
        "canceled",
        "user-canceled",
        "hangup_on_voicemail",
        "left_voicemail",
    }
)
"""The statuses after which a call changes no more, from Synthflow's documentation; all others are not final."""


def is_terminal(status: Any) -> bool:
    """
    Tell whether a status is final; an unknown one is not.

    :param status: ``call_status`` as received
    """
    return isinstance(status, str) and status.strip().lower() in TERMINAL_STATUSES
