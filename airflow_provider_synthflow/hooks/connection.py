# SPDX-License-Identifier: Apache-2.0
"""Read an Airflow connection into settings, from a task or from an event loop."""

from __future__ import annotations

import asyncio
import json
import os
import time
from typing import Any
from weakref import WeakKeyDictionary

from airflow.providers.common.compat.connection import get_async_connection
from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook
from asgiref.sync import sync_to_async

from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.hooks.masking import mask_secret

__all__ = ["aread_connection", "read_connection"]

_FRESH_SECONDS = 10.0
_TYPES = frozenset({"", "synthflow", "generic", "http", "https"})
"""The types that a connection to Synthflow may have: a URI begins with its protocol now and then."""
_reads: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, tuple[float, asyncio.Task[Settings]]]] = (
    WeakKeyDictionary()
)


def read_connection(conn_id: str) -> Settings:
    """Read a connection, and have Airflow mask its secrets."""
    try:
        connection = BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        raise _missing(conn_id) from None
    return _make_settings(connection, conn_id)


async def aread_connection(conn_id: str) -> Settings:
    """Read a connection from an event loop, which is not held up, on every Airflow."""
    # All that ask within some seconds share one reading: each one is several requests to Airflow, and a triggerer
    # that starts with a thousand triggers would be busy with them for minutes.
    reads = _reads.setdefault(asyncio.get_running_loop(), {})
    begun, reading = reads.get(conn_id, (0.0, None))
    if reading is None or (reading.done() and (_has_failed(reading) or time.monotonic() - begun > _FRESH_SECONDS)):
        reading = asyncio.create_task(_aread(conn_id))
        reads[conn_id] = (time.monotonic(), reading)
    return await asyncio.shield(reading)  # one that is cancelled leaves it to the others


def _has_failed(reading: asyncio.Task[Settings]) -> bool:
    return reading.cancelled() or reading.exception() is not None


async def _aread(conn_id: str) -> Settings:
    try:
        connection = await get_async_connection(conn_id)
    except AirflowNotFoundException:
        raise _missing(conn_id) from None
    # in a thread, since masking asks the process that started this one, and waits
    settings: Settings = await sync_to_async(_make_settings)(connection, conn_id)
    return settings


def _make_settings(connection: Any, conn_id: str) -> Settings:
    kind = connection.conn_type or ""
    if kind not in _TYPES:
        msg = f"Connection '{conn_id}' is of type {kind}: its password is no key of Synthflow's, and is not sent there."
        raise SynthflowConfigError(f"{msg} Name a connection of type synthflow.")
    extra = _read_extra(connection.extra, conn_id)
    for secret in (connection.password, extra.get("hash_key")):
        _mask(secret)  # before anything can be said of it
    settings = Settings.from_connection(
        password=connection.password,
        host=connection.host,
        schema=connection.schema,
        port=connection.port,
        extra=extra,
        conn_id=conn_id,
    )
    for secret in (settings.api_key, settings.hash_key):
        _mask(secret)  # as they are used, which may differ from what was pasted
    return settings


def _read_extra(text: str | None, conn_id: str) -> dict[str, Any]:
    """Read a connection's extra; Airflow's own reading takes what is no JSON for an empty one."""
    try:
        extra = json.loads(text) if text and text.strip() else {}
    except ValueError:
        extra = None  # the error's text may hold what was given
    if isinstance(extra, dict):
        return extra
    msg = f"Connection '{conn_id}': its extra is not a JSON object. Write it as in " + '{"region": "eu"}.'
    raise SynthflowConfigError(msg)


def _missing(conn_id: str) -> SynthflowConfigError:
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    unread = f", since {variable} is neither JSON nor a URI" if variable in os.environ else ""
    return SynthflowConfigError(
        f"There is no Airflow connection '{conn_id}'{unread}. "
        f"Add it: airflow connections add {conn_id} --conn-type synthflow --conn-password <your API key>"
    )


def _mask(secret: Any) -> None:
    if secret is not None and str(secret).strip():
        mask_secret(str(secret))
        mask_secret(str(secret).strip())
