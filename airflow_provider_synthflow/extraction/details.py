# SPDX-License-Identifier: Apache-2.0
"""The fields that Get a call has and the list lacks, merged into a window's records."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_synthflow.client.raw_json import mend_surrogates, split_members
from airflow_provider_synthflow.client.response import read_page
from airflow_provider_synthflow.client.transport import call_path
from airflow_provider_synthflow.exceptions import SynthflowProtocolError, SynthflowRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.extraction.privacy import Privacy
    from airflow_provider_synthflow.extraction.spill import Spill

__all__ = ["add_details", "merge_details"]

log = logging.getLogger(__name__)

_EVERY = 5.0
_NOT_FOUND = 404
_NO_ID = "sha256:"


def add_details(
    client: SynthflowClient, spill: Spill, into: Spill, privacy: Privacy, *, concurrency: int
) -> tuple[int, int]:
    """Copy the calls of a spill with their details; return how many had none, and how many were mended for them."""
    total, missing, mended = len(spill), 0, 0
    begun = told = time.monotonic()
    found = _request_details(client, spill, privacy, concurrency)
    for done, (key, order, record, details) in enumerate(found, 1):
        missing += details is None
        whole = record
        if details is not None:
            readable = mend_surrogates(details)
            whole = merge_details(record, privacy.apply(readable), privacy)
            # A record that was mended itself was counted then.
            mended += readable is not details and whole is not record and rb"\ufffd" not in record
        into.put([key], [order], [whole])
        now = time.monotonic()
        if now - told >= _EVERY:
            told = now
            left = (total - done) * (now - begun) / done
            log.info("Details of %s of %s calls read, about %.0f s left.", f"{done:,}", f"{total:,}", left)
    return missing, mended


def merge_details(record: bytes, details: bytes, privacy: Privacy) -> bytes:
    """Return a record with the fields of another that it lacks and that are not dropped."""
    there = split_members(record).keys() | set(privacy.drop_fields)
    more = [(name, value) for name, value in split_members(details).items() if name not in there]
    if not more:
        return record
    added = b",".join(b"%b:%b" % (json.dumps(name).encode(), value) for name, value in more)
    head = record.rstrip().removesuffix(b"}").rstrip()
    return b"%b%b%b}" % (head, b"" if head.endswith(b"{") else b",", added)


def _request_details(
    client: SynthflowClient, spill: Spill, privacy: Privacy, concurrency: int
) -> Iterator[tuple[str, int, bytes, bytes | None]]:
    """Yield the calls in order with their details, requested a few at a time."""
    pool = ThreadPoolExecutor(concurrency, thread_name_prefix="synthflow-details")
    pending: deque[tuple[str, int, bytes, Future[bytes | None]]] = deque()
    try:
        for key, order, record in spill.items():
            pending.append((key, order, record, pool.submit(_get, client, privacy.to_id(key))))
            if len(pending) > 2 * concurrency:
                yield _read_next(pending)
        while pending:
            yield _read_next(pending)
    finally:
        # Requests in flight end by their own time-out; those not yet sent are not sent any more.
        pool.shutdown(wait=False, cancel_futures=True)


def _read_next(
    pending: deque[tuple[str, int, bytes, Future[bytes | None]]],
) -> tuple[str, int, bytes, bytes | None]:
    key, order, record, details = pending.popleft()
    return key, order, record, details.result()


def _get(client: SynthflowClient, call_id: str) -> bytes | None:
    """Return the API's record of a call, or None where it knows no such call."""
    if call_id.startswith(_NO_ID):  # a record without an id
        return None
    try:
        return client.ask(call_path(call_id), {}, partial(_read_call, call_id))
    except SynthflowRequestError as error:
        if error.status != _NOT_FOUND:
            raise
        return None


def _read_call(call_id: str, body: bytes) -> bytes:
    """Return the record of the call that was asked for."""
    rows = read_page(body).rows
    if len(rows) != 1 or rows[0].call_id != call_id:
        msg = "Get a call answered with another call than was asked for, or with several. Nothing was written."
        raise SynthflowProtocolError(msg, call_ids=[call_id])
    return bytes(rows[0].raw)
