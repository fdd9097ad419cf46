# SPDX-License-Identifier: Apache-2.0
"""Read an answer of the API: a page of calls, an element, or a typed error. Pure: no network here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.client.call import CallRow, decode_record, read_call
from airflow_provider_synthflow.client.raw_json import check_utf8, elements_of, members_of, refuse_constant
from airflow_provider_synthflow.client.redaction import redact
from airflow_provider_synthflow.client.retry import retry_after_seconds
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["CallsPage", "Page", "error_of", "read_elements", "read_page"]


@dataclass(frozen=True)
class Page:
    """
    Hold one page of calls as received.

    :param rows: its calls, in the API's order
    :param total: the declared ``total_records``, None where there is none
    :param limit: the echoed ``limit``, None where there is none
    :param offset: the echoed ``offset``, None where there is none
    """

    rows: list[CallRow]
    total: int | None = None
    limit: int | None = None
    offset: int | None = None

    def at(self, offset: int) -> Page:
        """
        Return the page with its offset, also where the API echoed none.

        :param offset: what was asked for
        """
        return self if self.offset is not None else replace(self, offset=offset)


@dataclass(frozen=True)
class CallsPage:
    """
    Hold one page of calls as users see it.

    :param calls: the records, as the API sent them
    :param total_records: how many calls match, as the API declared; None where it did not
    :param limit: the page size as the API echoed it; None where it did not
    :param offset: the index of the first call as the API echoed it; None where it did not
    """

    calls: list[dict[str, Any]]
    total_records: int | None
    limit: int | None
    offset: int | None


class _Pagination(msgspec.Struct):
    total_records: Any = None
    limit: Any = None
    offset: Any = None


class _Response(msgspec.Struct):
    calls: list[msgspec.Raw]
    pagination: _Pagination | None = None


class _Envelope(msgspec.Struct):
    response: _Response
    pagination: _Pagination | None = None
    status: str | None = None


_envelope_decoder = msgspec.json.Decoder(_Envelope)

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_GOOD_WORDS = {"ok", "success"}
_DEEPEST = 3  # response nested twice, and one more


def read_page(body: bytes) -> Page:
    """
    Read a page of List calls, in any of the envelopes that clients have met.

    :param body: the body of an answer with a status in the 200s
    :raises SynthflowProtocolError: where it is not JSON, says it is not ok, or has no list of calls
    """
    pagination, elements = _read(body, "calls")
    try:
        rows = [read_call(bytes(element)) for element in elements]
    except ValueError:
        msg = "The API's answer holds a call that is not a JSON object."
        raise SynthflowProtocolError(msg) from None
    return Page(
        rows=rows,
        total=_whole(pagination.total_records),
        limit=_whole(pagination.limit),
        offset=_whole(pagination.offset),
    )


def read_elements(body: bytes, name: str) -> tuple[list[dict[str, Any]], int | None]:
    """
    Read the elements of another list, and the total that the API declares for it.

    :param body: the body of an answer with a status in the 200s
    :param name: the list's name in the envelope, such as ``assistants``
    :raises SynthflowProtocolError: where it is not JSON, says it is not ok, or has no such list
    """
    pagination, elements = _read(body, name)
    try:
        records = [decode_record(bytes(element)) for element in elements]
    except ValueError:
        msg = f"The API's answer holds an element of {name} that is not a JSON object."
        raise SynthflowProtocolError(msg) from None
    return records, _whole(pagination.total_records)


def error_of(status: int, headers: Mapping[str, str], body: bytes, settings: Settings) -> SynthflowError | None:
    """
    Make the typed error of an answer, or None where its status is in the 200s.

    :param status: the HTTP status
    :param headers: the answer's headers, found by any case
    :param body: the answer's body; only the API's own sentence of it is used, redacted
    :param settings: where the request went
    """
    if 200 <= status < 300:
        return None
    request_id, description = _said(body, settings)
    said = f" The API says: {description}" if description else ""
    marked = f" (request {request_id})" if request_id else ""
    if status in {401, 403}:
        return SynthflowAuthError(_auth_text(status, settings) + marked, status=status, request_id=request_id)
    if status in {408, 425, 429} or status >= 500:
        what = "The API's rate limit was reached" if status == 429 else "The API failed"
        return SynthflowTransientError(
            f"{what}: HTTP {status}{marked}.",
            status=status,
            request_id=request_id,
            retry_after=retry_after_seconds(headers.get("Retry-After")),
        )
    if 400 <= status < 500:
        msg = f"The API refused the request: HTTP {status}{marked}.{said} Correct the parameters and run again."
        return SynthflowRequestError(msg, status=status, request_id=request_id, description=description)
    msg = (
        f"The API answered HTTP {status} where a page was due. Redirects are not followed, since the key must not "
        f"go to another host: check the connection's host ({settings.host}) and scheme."
    )
    return SynthflowProtocolError(msg, request_id=request_id)


def _auth_text(status: int, settings: Settings) -> str:
    where = f"region '{settings.region}'" if settings.region else "the connection's host"
    if status == 403:
        return (
            f"HTTP 403: the key is not entitled to this at {settings.host} ({where}). "
            "Check the key's workspace and plan, and the region."
        )
    return (
        f"HTTP 401: {settings.host} ({where}) did not accept the key. Either the API key is wrong, or it belongs to "
        "another region: check the connection's password, and its region or host."
    )


def _read(body: bytes, name: str) -> tuple[_Pagination, Sequence[bytes | msgspec.Raw]]:
    """Find the named list and its pagination."""
    if name == "calls":
        try:
            envelope = _envelope_decoder.decode(body)
            check_utf8(body)  # the decoder skips over the calls without looking at their UTF-8
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass  # another envelope, or no JSON: the patient way below tells
        else:
            _check_word(envelope.status)
            return envelope.response.pagination or envelope.pagination or _Pagination(), envelope.response.calls
    return _find(_strict(body), name, _Pagination(), _DEEPEST)


def _find(body: bytes, name: str, pagination: _Pagination, depth: int) -> tuple[_Pagination, list[bytes]]:
    if body.startswith(b"["):
        return pagination, elements_of(body)
    try:
        fields = members_of(body)
    except ValueError:
        fields = {}
    if "status" in fields:
        _check_word(json.loads(fields["status"]))
    if "pagination" in fields:
        try:
            pagination = msgspec.json.decode(fields["pagination"], type=_Pagination)
        except msgspec.MsgspecError:
            pagination = _Pagination()
    if name in fields:
        try:
            return pagination, elements_of(fields[name])
        except ValueError:
            pass  # null or an object: as good as missing
    elif "response" in fields and depth > 0:
        return _find(fields["response"], name, pagination, depth - 1)
    msg = f"The API's answer has no list '{name}'. A missing list is not an empty one, so nothing was read."
    raise SynthflowProtocolError(msg, retriable=True)


def _strict(body: bytes) -> bytes:
    """Return the body without blanks and a mark around it, or say that it is no JSON."""
    try:
        text = body.decode("utf-8-sig").strip(" \t\n\r")
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except msgspec.DecodeError:  # JSON allows half of a surrogate pair, msgspec does not
            json.loads(text, parse_constant=refuse_constant)
        return text.encode()
    except (ValueError, RecursionError):
        pass  # their texts may hold the body: the error below is raised apart from them
    msg = (
        f"The API's answer is not JSON ({len(body)} bytes). A proxy may have answered in its place, "
        "or the answer was cut off."
    )
    raise SynthflowProtocolError(msg, retriable=True)


def _check_word(word: Any) -> None:
    if word is not None and (not isinstance(word, str) or word.strip().lower() not in _GOOD_WORDS):
        msg = "The API answered 200 with a status that is neither ok nor success. Nothing of it was used."
        raise SynthflowProtocolError(msg, retriable=True)


def _whole(value: Any) -> int | None:
    """Read a count that may be a number or its text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = int(value)
    except (ValueError, OverflowError):
        return None
    return number if number >= 0 and (isinstance(value, str) or number == value) else None


def _said(body: bytes, settings: Settings) -> tuple[str | None, str | None]:
    """Return the request id and the sentence of an error body, in any of its known shapes."""
    try:
        fields = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None, None
    if not isinstance(fields, dict):
        return None, None
    detail = fields.get("detail", fields)
    request_id: Any = None
    sentence: Any = None
    if isinstance(detail, str):
        sentence = detail
    elif isinstance(detail, dict):
        request_id = detail.get("request_id")
        sentence = detail.get("description") or detail.get("message") or detail.get("error")
    elif isinstance(detail, list):
        sentence = "; ".join(_invalid(item) for item in detail if isinstance(item, dict))
    is_id = isinstance(request_id, str) and _REQUEST_ID.fullmatch(request_id) and settings.api_key not in request_id
    return (
        request_id if is_id else None,
        redact(sentence, (settings.api_key,)) if isinstance(sentence, str) and sentence else None,
    )


def _invalid(item: dict[str, Any]) -> str:
    """Write one entry of a validation error: the parameter's name and what is wrong with it."""
    place = item.get("loc")
    name = ".".join(str(part) for part in place) if isinstance(place, list) else "a parameter"
    return f"{name}: {item.get('msg', 'invalid')}"
