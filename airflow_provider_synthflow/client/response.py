# SPDX-License-Identifier: Apache-2.0
"""Read an answer of the API: a page of calls, an element, or a typed error. Pure: no network here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from airflow_provider_synthflow.client.call import CallRow, SeenFields, decode_record, read_call, read_calls
from airflow_provider_synthflow.client.raw_json import (
    check_utf8,
    decode_json,
    has_half_surrogates,
    split_elements,
    split_members,
)
from airflow_provider_synthflow.client.retry import retry_after_seconds
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowError,
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_synthflow.client.settings import Settings

__all__ = ["Answer", "CallsPage", "Page", "make_error", "read_elements", "read_page"]


class Answer(Protocol):
    """An answer that holds a page, read already or not."""

    def read(self) -> Page:
        """Return the page."""


@dataclass(frozen=True)
class Page:
    """One page of calls as received."""

    rows: list[CallRow]
    total: int | None = None  # as declared
    limit: int | None = None  # as echoed
    offset: int | None = None  # as echoed
    sent: int = field(default=0, compare=False)  # of a monotonic clock, in nanoseconds; 0: unknown
    stale: frozenset[str] = frozenset()  # the ids of rows that a page sent later has brought already

    def read(self) -> Page:
        """Return the page itself."""
        return self

    def at(self, offset: int) -> Page:
        """Return the page with its offset, also where the API echoed none: that which was asked for."""
        return self if self.offset is not None else replace(self, offset=offset)


@dataclass(frozen=True)
class CallsPage:
    """
    One page of calls as users see it.

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


class _SeenResponse(msgspec.Struct):
    calls: list[SeenFields]


class _SeenEnvelope(msgspec.Struct):
    response: _SeenResponse


_envelope_decoder = msgspec.json.Decoder(_Envelope)
_seen_decoder = msgspec.json.Decoder(_SeenEnvelope)

_GOOD_WORDS = {"ok", "success"}
_DEEPEST = 3  # response nested twice, and one more


def read_page(body: bytes, offset: int = 0) -> Page:
    """Read a page of List calls from the body of a 2xx response, in any known envelope."""
    envelope = _read_envelope(body)
    try:
        if envelope is None:
            pagination, elements = _find(_strip(body), "calls", offset, _Pagination(), _DEEPEST)
            rows = list(map(read_call, elements))
        else:
            pagination = envelope.response.pagination or envelope.pagination or _Pagination()
            rows = _read_rows(body, list(map(bytes, envelope.response.calls)))
    except ValueError:
        msg = "The API's answer holds a call that is not a JSON object."
        raise SynthflowProtocolError(msg) from None
    return Page(
        rows=rows,
        total=_whole(pagination.total_records),
        limit=_whole(pagination.limit),
        offset=_whole(pagination.offset),
    )


def read_elements(body: bytes, name: str, offset: int = 0) -> tuple[list[dict[str, Any]], int | None]:
    """Read the elements of another list, and its declared total."""
    pagination, elements = _find(_strip(body), name, offset, _Pagination(), _DEEPEST)
    try:
        records = list(map(decode_record, elements))
    except ValueError:
        msg = f"The API's answer holds an element of {name} that is not a JSON object."
        raise SynthflowProtocolError(msg) from None
    return records, _whole(pagination.total_records)


def _read_envelope(body: bytes) -> _Envelope | None:
    """Read the envelope that is documented; None for another one, and for what is no JSON."""
    try:
        envelope = _envelope_decoder.decode(body)
        check_utf8(body)  # the decoder skips over the calls without looking at their UTF-8
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    _check_word(envelope.status)
    return envelope


def _read_rows(body: bytes, raws: list[bytes]) -> list[CallRow]:
    """Read the calls of an envelope, their fields together, which takes less time than one by one."""
    try:
        seen = _seen_decoder.decode(body).response.calls
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return list(map(read_call, raws))  # one of them is to be read more leniently
    return read_calls(raws, seen, has_halves=has_half_surrogates(body))


def _find(body: bytes, name: str, offset: int, pagination: _Pagination, depth: int) -> tuple[_Pagination, list[bytes]]:
    if body.startswith(b"["):
        return pagination, split_elements(body)
    try:
        fields = split_members(body)
    except ValueError:
        fields = {}
    if "status" in fields:
        _check_word(decode_json(fields["status"]))
    if "pagination" in fields:
        try:
            pagination = msgspec.json.decode(fields["pagination"], type=_Pagination)
        except msgspec.MsgspecError:
            pagination = _Pagination()
    if name in fields:
        total = _whole(pagination.total_records)
        if fields[name] == b"null" and total is not None and total <= offset:
            return pagination, []  # none at all, or none so far behind
        try:
            return pagination, split_elements(fields[name])
        except ValueError:
            pass  # null or an object: as good as missing
    elif "response" in fields and depth > 0:
        return _find(fields["response"], name, offset, pagination, depth - 1)
    msg = f"The API's answer has no list '{name}'. A missing list is not an empty one, so nothing was read."
    raise SynthflowProtocolError(msg, retriable=True)


def _strip(body: bytes) -> bytes:
    """Return the body without blanks and a mark around it, or raise where it is no JSON."""
    try:
        text = body.decode("utf-8-sig").strip(" \t\n\r")
        try:
            msgspec.json.decode(text, type=msgspec.Raw)
        except (msgspec.MsgspecError, RecursionError):
            decode_json(text.encode())
        return text.encode()
    except ValueError:
        pass  # its text may hold the body: the error below is raised apart from it
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


# --- errors

_PARAMETERS = (
    *("model_id", "call_id", "limit", "offset", "from_date", "to_date", "call_status"),
    *("duration_min", "duration_max", "lead_phone_number", "type_of_call"),
)
_WORD = re.compile(r"[A-Za-z_]+")
_SENTENCES = re.compile(
    r"Limit must be between 1 and 100\.|Not Found"
    r"|Unauthorized: Invalid or expired token\.|Missing or invalid Authorization header\.?"
    r"|(?:429: )?Rate limit exceeded\. Your rate limit per minute is \d{1,5}\."
)
"""What the API is known to say, from its documentation; anything else might quote a call."""
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}")
_NUMBER = re.compile(r"(?:[0-9][_.:-]*){10,}")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")


def make_error(status: int, headers: Mapping[str, str], body: bytes, settings: Settings) -> SynthflowError | None:
    """Make the typed error of a response with nothing of its body but known sentences; None for a 2xx."""
    if 200 <= status < 300:
        return None
    request_id, sentence, parameters = _read_error(body, settings)
    said = f" It says: {sentence}" if sentence else ""
    marked = f" (request {request_id})" if request_id else ""
    if status in {401, 403}:
        return SynthflowAuthError(_auth_text(f"{status}{marked}", settings), status=status, request_id=request_id)
    if status in {408, 425, 429} or status >= 500:
        what = "The API's rate limit was reached" if status == 429 else "The API failed"
        return SynthflowTransientError(
            f"{what}: HTTP {status}{marked}.{said}",
            status=status,
            request_id=request_id,
            retry_after=retry_after_seconds(headers.get("Retry-After")),
        )
    if 400 <= status < 500:
        named = f" It names {', '.join(parameters)}." if parameters else ""
        path = ", or the path of the connection's host," if status == 404 else ""
        cure = f"Correct the parameters{path} and run again."
        msg = f"The API refused the request: HTTP {status}{marked}.{said}{named} {cure}"
        return SynthflowRequestError(msg, status=status, request_id=request_id, parameters=parameters)
    msg = (
        f"The API answered HTTP {status} where a page was due. Redirects are not followed, since the key must not "
        f"go to another host: check the connection's host ({settings.host}) and scheme."
    )
    return SynthflowProtocolError(msg, request_id=request_id)


def _auth_text(status: str, settings: Settings) -> str:
    where = f"{settings.host} (region '{settings.region}')" if settings.region else settings.host
    if status.startswith("403"):
        return (
            f"HTTP {status}: the key is not entitled to this at {where}. "
            "Check the key's workspace and plan, and the region."
        )
    return (
        f"HTTP {status}: {where} did not accept the key. Either the API key is wrong, or it belongs to another "
        "region: the connection's Test button says which region takes it."
    )


def _read_error(body: bytes, settings: Settings) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Return the request id, the sentence and the parameters that an error body tells, in any of its known shapes."""
    try:
        fields = decode_json(body)
    except ValueError:
        fields = None
    detail = fields.get("detail", fields) if isinstance(fields, dict) else None
    request_id: Any = None
    told: list[Any] = []
    if isinstance(detail, str):
        told = [detail]
    elif isinstance(detail, dict):
        request_id = detail.get("request_id")
        told = [detail.get(name) for name in ("description", "message", "error")]
    elif isinstance(detail, list):
        for item in detail:
            if isinstance(item, dict):
                place = item.get("loc")
                told += [item.get("msg"), *(place if isinstance(place, list) else [place])]
    texts = [text for text in told if isinstance(text, str)]
    words = {word for text in texts for word in _WORD.findall(text.lower())}
    sentence = next((text for text in texts if _SENTENCES.fullmatch(text)), None)
    shown = request_id if _is_shown(request_id, settings) else None
    return shown, sentence, tuple(name for name in _PARAMETERS if name in words)


def _is_shown(request_id: Any, settings: Settings) -> bool:
    """Tell whether a request's id is one, and not a telephone number or a secret in its place."""
    if not isinstance(request_id, str) or not _REQUEST_ID.fullmatch(request_id) or settings.api_key in request_id:
        return False
    has_letters = any(letter.isalpha() for letter in request_id)
    return has_letters and bool(_UUID.fullmatch(request_id) or not _NUMBER.search(request_id))
