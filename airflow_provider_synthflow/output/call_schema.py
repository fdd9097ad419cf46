# SPDX-License-Identifier: Apache-2.0
"""
The columns of a call in a typed file, how a call is put into them, and how it is made of them again. Pure.

A column takes a value that it gives back as received. Whatever it cannot give back so goes into ``_raw`` as received,
beside the nearest value of the column's type or a null: nothing is lost, and no odd type fails a load.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.client.raw_json import split_members
from airflow_provider_synthflow.timestamps import read_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["COLUMNS", "RAW", "Column", "read_alike", "read_columns", "read_unlike", "rebuild"]

RAW = "_raw"
"""The last column: JSON text of an object with the fields, as received, that the other columns do not give back."""

_NULL = b"null"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_EPOCH_DIGITS = 13
_ISO_LENGTH = len("2026-04-22T16:49:27.837")
_EARLIEST, _LATEST = -62_135_596_800_000, 253_402_300_799_999  # the years 1 to 9999
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_texts_decoder = msgspec.json.Decoder(list[str | None])
_wholes_decoder = msgspec.json.Decoder(list[int | None])


@dataclass(frozen=True)
class Column:
    """A column of a typed file."""

    name: str
    kind: str  # "text", "integer", "json" (as text), "epoch" (received as milliseconds) or "iso" (as ISO 8601, no zone)
    unit: str = ""  # of an integer
    few: bool = False  # it has few different values


COLUMNS: tuple[Column, ...] = (
    Column("call_id", "text"),
    Column("call_status", "text", few=True),
    Column("start_time", "epoch"),
    Column("duration", "integer", "seconds"),
    Column("end_call_reason", "text", few=True),
    Column("type_of_call", "text", few=True),
    Column("transcript", "text"),
    Column("judge_results", "json"),
    Column("executed_actions", "json"),
    Column("collected_variables", "json"),
    Column("agents_used", "json", few=True),
    Column("labels", "json", few=True),
    Column("recording_url", "text"),
    Column("recording_duration", "text", few=True),
    Column("lead_phone_number", "text"),
    Column("lead_name", "text"),
    Column("name", "text"),
    Column("phone_number_from", "text"),
    Column("phone_number_to", "text"),
    Column("agent_phone_number", "text", few=True),
    Column("campaign_type", "text", few=True),
    Column("deployment_type", "text", few=True),
    Column("timezone", "text", few=True),
    Column("error_message", "text", few=True),
    Column("telephony_duration", "integer", "milliseconds"),
    Column("telephony_start", "iso"),
    Column("telephony_end", "iso"),
    Column("telephony_hangup", "text", few=True),
    Column("telephony_disconnect_reason", "text", few=True),
)
"""
The columns before ``_raw``: the documented fields but ``model_id``.

That one is a column of the path (``model_id=…``); most readers refuse a column that is in both.
"""


def read_columns(records: Sequence[bytes], columns: Sequence[Column] = COLUMNS) -> list[list[Any]]:
    """Return the values of records by columns, then those of ``_raw``."""
    return read_alike(records, columns) or read_unlike(records, columns)


def read_alike(records: Sequence[bytes], columns: Sequence[Column]) -> list[list[Any]] | None:
    """Do as :func:`read_columns` does; None unless all records have the same fields, and texts where they are due."""
    # As the API writes them. Then a record is decoded in one step, texts included, which takes half of the time.
    try:
        names = tuple(_members(records[0])) if records else ()
        decode = _decoder_of(names, frozenset(column.name for column in columns if column.kind == "text"))
        rows = zip(*map(msgspec.structs.astuple, map(decode, records)), strict=True)
        by_name: dict[str, Sequence[Any]] = dict(zip(names, rows, strict=True))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    absent = {True: (None,) * len(records), False: (_NULL,) * len(records)}
    fields = [by_name.pop(column.name, absent[column.kind == "text"]) for column in columns]
    others = [b""] * len(records)
    if by_name:
        form = b",".join([_quoted(name).replace(b"%", b"%%") + b":%b" for name in by_name])
        others = [form % raws for raws in zip(*by_name.values(), strict=True)]
    return _convert(fields, others, columns, {**_CONVERTERS, "text": lambda texts: (list(texts), ())})


def read_unlike(records: Sequence[bytes], columns: Sequence[Column]) -> list[list[Any]]:
    """Do as :func:`read_columns` does, whatever the records are like."""
    members = [_members(record) for record in records]
    fields = [[each.pop(column.name, _NULL) for each in members] for column in columns]
    others = [b",".join([b"%b:%b" % (_quoted(name), raw) for name, raw in each.items()]) for each in members]
    return _convert(fields, others, columns, _CONVERTERS)


def _convert(
    fields: Iterable[Sequence[Any]],
    others: list[bytes],
    columns: Sequence[Column],
    converters: Mapping[str, Callable[[Sequence[Any]], tuple[list[Any], Iterable[int]]]],
) -> list[list[Any]]:
    """Return the values of fields by columns, and each record's others with what the columns do not give back."""
    made: list[list[Any]] = []
    for column, raws in zip(columns, fields, strict=True):
        values, odd = converters[column.kind](raws)
        for index in odd:
            member = b"%b:%b" % (_quoted(column.name), raws[index])
            others[index] = b"%b,%b" % (others[index], member) if others[index] else member
        made.append(values)
    made.append([b"{%b}" % each if each else None for each in others])
    return made


def rebuild(row: Mapping[str, Any]) -> dict[str, Any]:
    """
    Make a call's record of its columns again, with the values as received; a null field is as good as none.

    :param row: the columns by their names, instants as aware datetimes; other columns are left out
    """
    record = {}
    for column in COLUMNS:
        value = row[column.name]
        if value is None:
            continue
        if column.kind == "json":
            value = json.loads(value)
        elif column.kind == "epoch":
            value = str(to_milliseconds(value))
        elif column.kind == "iso":
            value = _to_iso(value)
        record[column.name] = value
    record.update(json.loads(row[RAW] or "{}"))
    return record


@lru_cache(maxsize=8)
def _decoder_of(names: tuple[str, ...], texts: frozenset[str]) -> Callable[[bytes], Any]:
    """Return what decodes records that have just these fields, some of which are texts or null."""
    fields = [(f"field_{at}", (str | None) if name in texts else msgspec.Raw) for at, name in enumerate(names)]
    renamed = {field: name for (field, _), name in zip(fields, names, strict=True)}
    made = msgspec.defstruct("Record", fields, rename=renamed, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(made).decode


def _members(record: bytes) -> dict[str, Any]:
    try:
        return _object_decoder.decode(record)
    except (msgspec.MsgspecError, RecursionError):  # half of a surrogate pair
        return dict(split_members(record))


@lru_cache(maxsize=1024)
def _quoted(name: str) -> bytes:
    return json.dumps(name).encode("ascii")


# Each converter takes the JSON of a column's values and returns the values, and the indices of those not given back.


def _texts(raws: Sequence[Any]) -> tuple[list[Any], Iterable[int]]:
    try:
        return _texts_decoder.decode(_to_list(raws)), ()
    except msgspec.MsgspecError:
        return _one_by_one(raws, _text)


def _wholes(raws: Sequence[Any]) -> tuple[list[Any], Iterable[int]]:
    try:
        values: list[Any] = _wholes_decoder.decode(_to_list(raws))
    except msgspec.MsgspecError:
        return _one_by_one(raws, _whole)
    present = [value for value in values if value is not None]
    if present and (min(present) < _SMALLEST or max(present) > _LARGEST):
        return _one_by_one(raws, _whole)
    return values, ()


def _jsons(raws: Sequence[Any]) -> tuple[list[Any], Iterable[int]]:
    return [None if raw == _NULL else raw for raw in map(bytes, raws)], ()


def _epochs(raws: Sequence[Any]) -> tuple[list[Any], Iterable[int]]:
    return _instants(raws, _of_epoch_text)


def _isos(raws: Sequence[Any]) -> tuple[list[Any], Iterable[int]]:
    return _instants(raws, _of_iso_text)


_CONVERTERS: dict[str, Callable[[Sequence[Any]], tuple[list[Any], Iterable[int]]]] = {
    "text": _texts,
    "integer": _wholes,
    "json": _jsons,
    "epoch": _epochs,
    "iso": _isos,
}


def _to_list(raws: Sequence[Any]) -> bytes:
    return b"[%b]" % b",".join(raws)


def _one_by_one(raws: Sequence[Any], convert: Callable[[bytes], tuple[Any, bool]]) -> tuple[list[Any], list[int]]:
    """Convert values some of which are odd."""
    values, odd = [], []
    for index, raw in enumerate(raws):
        value, same = convert(bytes(raw))
        values.append(value)
        if not same:
            odd.append(index)
    return values, odd


def _text(raw: bytes) -> tuple[Any, bool]:
    value = _read(raw)
    if value is None:
        return None, True
    if isinstance(value, str):
        has_halves = any("\ud800" <= letter <= "\udfff" for letter in value)  # of surrogate pairs
        return (None, False) if has_halves else (value, True)
    return (None if isinstance(value, (list, dict)) else raw.decode()), False


def _whole(raw: bytes) -> tuple[Any, bool]:
    value, same = _read(raw), True
    if (isinstance(value, str) and _WHOLE.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value, same = int(value), False
    if value is None:
        return None, True
    if isinstance(value, bool) or not isinstance(value, int) or not _SMALLEST <= value <= _LARGEST:
        return None, False
    return value, same


def _instants(raws: Sequence[Any], exact: Callable[[str], int | None]) -> tuple[list[Any], Iterable[int]]:
    """Read instants; a text that the column's own way of writing does not give back is odd."""
    try:
        texts = _texts_decoder.decode(_to_list(raws))
    except msgspec.MsgspecError:
        texts = [_read(bytes(raw)) for raw in raws]
    values: list[Any] = []
    odd = []
    for index, text in enumerate(texts):
        instant = exact(text) if isinstance(text, str) else None
        if instant is None and text is not None:
            odd.append(index)
            instant = read_instant(text)
            if instant is not None and not _EARLIEST <= instant <= _LATEST:
                instant = None
        values.append(instant)
    return values, odd


def _read(raw: bytes) -> Any:
    """Decode a value; a number with more digits than Python converts is as good as any other that does not fit."""
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode()


def _of_epoch_text(text: str) -> int | None:
    if len(text) == _EPOCH_DIGITS and text.isascii() and text.isdecimal() and text[0] != "0":
        return int(text)
    return None


def _of_iso_text(text: str) -> int | None:
    if len(text) != _ISO_LENGTH or text[19] != ".":
        return None
    digits = text[17:19] + text[20:]  # of the seconds and milliseconds
    if not (digits.isascii() and digits.isdecimal() and digits < "6"):
        return None
    minute = _read_minute(text[:17])
    return None if minute is None else minute + int(digits)


@lru_cache(maxsize=4096)
def _read_minute(text: str) -> int | None:
    """Read an ISO 8601 date and time before its seconds; a window has few different ones."""
    try:
        moment = dt.datetime.fromisoformat(f"{text}00")
    except ValueError:
        return None
    if moment.tzinfo is not None or not moment.isoformat(timespec="seconds").startswith(text):
        return None
    return (moment.replace(tzinfo=dt.timezone.utc) - _EPOCH) // dt.timedelta(milliseconds=1)


def _to_iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.timezone.utc).replace(tzinfo=None).isoformat(timespec="milliseconds")
