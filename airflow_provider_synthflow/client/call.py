# SPDX-License-Identifier: Apache-2.0
"""A call as it came over the wire: its own bytes, and the few fields that this package looks at."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.client.raw_json import decode_json, has_half_surrogates, mend_surrogates
from airflow_provider_synthflow.timestamps import instant_of_epoch, read_instant

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "TERMINAL_STATUSES",
    "CallRow",
    "SeenFields",
    "decode_record",
    "encode_record",
    "is_terminal",
    "read_call",
    "read_calls",
]


class SeenFields(msgspec.Struct, gc=False):
    """The fields of a call that are looked at; the others are skipped, not decoded."""

    call_id: Any = None
    model_id: Any = None
    call_status: Any = None
    start_time: Any = None
    telephony_start: Any = None
    recording_url: Any = None


_seen_decoder = msgspec.json.Decoder(SeenFields)
_record_decoder = msgspec.json.Decoder(dict[str, Any])
_LEGACY_ID = re.compile(r"(\d{13})x\d+")


class CallRow(msgspec.Struct, frozen=True, gc=False):  # a dataclass takes four times as long to make
    """A call of a page."""

    call_id: str  # for a record without one, the hash of its bytes
    raw: bytes  # exactly as received, or as it may be stored
    started_ms: int | None = None  # None: unknown
    final: bool = False
    status: Any = None  # as received
    model_id: Any = None  # as received
    has_halves: bool = False  # its texts may have half of a surrogate pair
    has_address: bool = False  # of a recording
    stored: bool = False  # its fields are dropped and hashed already

    def record(self) -> dict[str, Any]:
        """Return the record as the API sent it, decoded."""
        return decode_record(self.raw)


def read_calls(raws: Sequence[bytes], seen: Sequence[SeenFields], *, has_halves: bool) -> list[CallRow]:
    """Read the calls of a page, whose fields were decoded together."""
    ids = [each.call_id for each in seen]
    starts = [each.start_time for each in seen]
    statuses = [each.call_status for each in seen]
    if not (_are_texts(ids) and _are_texts(starts) and _are_texts(statuses) and all(ids) and _are_milliseconds(starts)):
        return [_make_row(raw, each, has_halves=has_halves) for raw, each in zip(raws, seen, strict=True)]
    # As the API writes them, nearly always.
    finals = [True] * len(ids) if TERMINAL_STATUSES.issuperset(statuses) else map(is_terminal, statuses)
    agents = [each.model_id for each in seen]
    halves = [has_halves] * len(ids)
    addresses = map(bool, [each.recording_url for each in seen])
    return list(map(CallRow, ids, raws, map(int, starts), finals, statuses, agents, halves, addresses))


def _are_texts(values: list[Any]) -> bool:
    return set(map(type, values)) == {str}


def _are_milliseconds(texts: list[str]) -> bool:
    """Tell whether all are 13 digits that begin with no 0: milliseconds, and nothing else."""
    joined = "".join(texts)
    return set(map(len, texts)) == {13} and joined.isascii() and joined.isdigit() and min(texts) >= "1"


def read_call(raw: bytes, *, stored: bool = False) -> CallRow:
    """Read one call from its bytes; ``ValueError`` where it is no JSON object."""
    try:
        seen = _seen_decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        record = _decode_leniently(raw)
        seen = SeenFields(**{name: record.get(name) for name in SeenFields.__struct_fields__})
    return _make_row(raw, seen, has_halves=has_half_surrogates(raw), stored=stored)


def _make_row(raw: bytes, seen: SeenFields, *, has_halves: bool, stored: bool = False) -> CallRow:
    call_id = seen.call_id
    if call_id is None or call_id == "":
        # Nothing is required of a record. Without an id, the same bytes are the same call.
        call_id = "sha256:" + hashlib.sha256(raw).hexdigest()
    elif not isinstance(call_id, str):
        call_id = str(call_id)
    started_ms = read_instant(seen.start_time)
    if started_ms is None:
        started_ms = _started_elsewhere(seen.telephony_start, call_id)
    final = is_terminal(seen.call_status)
    address = bool(seen.recording_url)
    return CallRow(call_id, raw, started_ms, final, seen.call_status, seen.model_id, has_halves, address, stored)


def _started_elsewhere(telephony_start: Any, call_id: str) -> int | None:
    """Read the start of a call whose ``start_time`` is not readable: its telephony's, or its legacy id's."""
    started_ms = read_instant(telephony_start)
    if started_ms is not None:
        return started_ms
    legacy = _LEGACY_ID.fullmatch(call_id)
    return instant_of_epoch(int(legacy[1])) if legacy else None


def decode_record(raw: bytes) -> dict[str, Any]:
    """Decode one record without losing or renaming a field; ``ValueError`` where it is no JSON object."""
    try:
        return _record_decoder.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return _decode_leniently(raw)


def encode_record(record: dict[str, Any]) -> bytes:
    """Encode a record on one line."""
    try:
        return msgspec.json.encode(record)
    except (msgspec.MsgspecError, UnicodeError):  # half of a surrogate pair
        return json.dumps(record, separators=(",", ":")).encode("ascii")


def _decode_leniently(raw: bytes) -> dict[str, Any]:
    """Decode what msgspec refuses and JSON allows: half a surrogate pair, which is mended, a number beyond a double."""
    record = decode_json(mend_surrogates(raw))
    if not isinstance(record, dict):
        msg = "a call is not a JSON object"
        raise ValueError(msg)  # noqa: TRY004 - JSON that is none raises ValueError too
    return record


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
    """Tell whether a status is final; an unknown one is not."""
    return isinstance(status, str) and status.strip().lower() in TERMINAL_STATUSES
