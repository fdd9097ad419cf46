# SPDX-License-Identifier: Apache-2.0
"""Durations as users write them, in whole milliseconds."""

from __future__ import annotations

import datetime as dt
import math

from airflow_provider_synthflow.exceptions import SynthflowConfigError

__all__ = ["milliseconds_of"]


def milliseconds_of(duration: dt.timedelta | float, *, name: str = "settle") -> int:
    """
    Return a duration in whole milliseconds.

    :param duration: a timedelta, or seconds; not negative
    :param name: what to call it in an error
    :raises SynthflowConfigError: where it is no duration, or negative
    """
    if isinstance(duration, dt.timedelta):
        milliseconds = round(duration.total_seconds() * 1000)  # also for pendulum's, which cannot be divided
    elif isinstance(duration, (int, float)) and not isinstance(duration, bool):
        milliseconds = int(duration * 1000) if math.isfinite(duration) else -1
    else:
        milliseconds = -1
    if milliseconds < 0:
        msg = f"{name} must be a timedelta or a number of seconds, and not negative."
        raise SynthflowConfigError(msg)
    return milliseconds
