# SPDX-License-Identifier: Apache-2.0
"""What templates render into parameters."""

from __future__ import annotations

import ast
import datetime as dt
import math
import os
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowConfigError

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.timestamps import InstantLike

__all__ = ["given", "listed", "looks_like_list", "milliseconds_of", "read_query", "renderable"]


def given(value: Any) -> Any:
    """
    Return a parameter, or None where a template rendered nothing into it.

    :param value: as the task has it after rendering; an empty text and ``None`` as text are nothing
    """
    return None if isinstance(value, str) and value.strip() in {"", "None"} else value


def listed(value: Any) -> Any:
    """
    Return a parameter, and the list itself where a template rendered a list into a text.

    :param value: as the task has it after rendering, such as ``"['a', 'b']"``
    """
    if not looks_like_list(value):
        return value
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    return list(found) if isinstance(found, (list, tuple, set)) else value


def looks_like_list(value: Any) -> bool:
    """
    Tell whether a parameter is the text of a list, tuple or set, whole or not.

    :param value: as the task has it after rendering
    """
    return isinstance(value, str) and value.strip().startswith(("[", "(", "{"))


def renderable(path: Any) -> Any:
    """
    Return a path so that Airflow renders templates in it: a ``pathlib.Path`` as text.

    Airflow takes a path for text that needs no rendering, and 3.1 also looks whether it is there.

    :param path: as the DAG's author gave it
    """
    return os.fspath(path) if isinstance(path, os.PathLike) and not hasattr(path, "protocol") else path


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


def read_query(
    model_id: str,
    *,
    from_date: InstantLike | None = None,
    to_date: InstantLike | None = None,
    call_status: str | None = None,
    duration_min: int | None = None,
    duration_max: int | None = None,
    lead_phone_number: str | None = None,
) -> CallsQuery:
    """
    Read a query as users write it; an empty filter, as a template may render, counts as None.

    :param model_id: the agent's id
    :param from_date: an aware datetime, epoch milliseconds, or ISO 8601 with a zone
    :param to_date: likewise
    :param call_status: one status
    :param duration_min: seconds, a whole number
    :param duration_max: seconds, a whole number
    :param lead_phone_number: E.164
    :raises ValueError: for a naive time, a missing agent, or a filter of the wrong type
    """
    from airflow_provider_synthflow.client.query import CallsQuery  # noqa: PLC0415 - only on a worker
    from airflow_provider_synthflow.timestamps import to_milliseconds  # noqa: PLC0415 - likewise

    if not isinstance(model_id, str) or given(model_id) is None:
        msg = "model_id is missing: give the id of the agent whose calls to list."
        raise ValueError(msg)
    if looks_like_list(model_id):
        msg = "model_id must be the id of one agent here, and not a list."
        raise ValueError(msg)
    return CallsQuery(
        model_id=model_id.strip(),
        from_ms=None if from_date is None else to_milliseconds(from_date, name="from_date"),
        to_ms=None if to_date is None else to_milliseconds(to_date, name="to_date"),
        call_status=_text(call_status, "call_status"),
        duration_min=_seconds(duration_min, "duration_min"),
        duration_max=_seconds(duration_max, "duration_max"),
        lead_phone_number=_text(lead_phone_number, "lead_phone_number"),
    )


def _text(value: Any, name: str) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or looks_like_list(value):
        msg = f"{name} must be one text: whether the API takes several is not documented."
        raise ValueError(msg)
    return value.strip() or None


def _seconds(value: Any, name: str) -> int | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        seconds = int(value)
    except (TypeError, ValueError, OverflowError):
        seconds = -1
    if seconds < 0 or isinstance(value, bool) or (isinstance(value, float) and seconds != value):
        msg = f"{name} must be a whole number of seconds."
        raise ValueError(msg)
    return seconds
