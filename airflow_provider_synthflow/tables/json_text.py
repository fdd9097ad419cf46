# SPDX-License-Identifier: Apache-2.0
"""JSON as bytes: parted, opened and mended without losing a digit, and without ever failing. Pure."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_synthflow.client.raw_json import is_nested_deeper, mend_surrogates, refuse_constant, split_members

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NULL", "open_strings", "read_members", "read_nearest_text", "read_text", "write_object"]

NULL = b"null"

_REFUSALS = (msgspec.MsgspecError, ValueError, RecursionError)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_text_decoder = msgspec.json.Decoder(str)
_grammar = msgspec.json.Decoder(msgspec.Raw)

_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?', re.DOTALL)
_MAY_HOLD_JSON = re.compile(rb'"\s*[{\[\\]')
_BLANKS = b" \t\n\r"
_DEEPEST = 500  # fixed, so that the same string is opened or not in every process


def read_members(raw: bytes) -> dict[str, bytes] | None:
    """Return the members of an object, each with its own bytes; None for any other value."""
    if not raw.startswith(b"{"):
        return None
    try:
        return {name: bytes(value) for name, value in _members_decoder.decode(raw).items()}
    except _REFUSALS:
        try:
            return split_members(raw)
        except _REFUSALS:
            return None


def read_text(raw: bytes) -> bytes | None:
    """Return the text of a JSON string in UTF-8; None for any other value."""
    if not raw.startswith(b'"'):
        return None
    if b"\\" not in raw:
        return raw[1:-1]
    try:
        return _text_decoder.decode(raw).encode()
    except _REFUSALS:
        try:
            text: str = json.loads(mend_surrogates(raw))
            return text.encode()
        except _REFUSALS:
            return None


def read_nearest_text(raw: bytes) -> tuple[bytes | None, bool]:
    """Return a value as text, a number or a boolean by its JSON; and whether that gives the value back."""
    if raw == NULL:
        return None, True
    text = read_text(raw)
    if text is not None:
        return text, True
    return (None if raw[:1] in b'{["' else raw), False


def write_object(members: Mapping[str, bytes]) -> bytes:
    """Write an object of members, each with its own bytes."""
    return b"{%b}" % b",".join([b"%b:%b" % (_quoted(name), value) for name, value in members.items()])


def open_strings(raw: bytes) -> bytes:
    """Return a value in which each string that holds an object or an array is that, as deep as it goes."""
    if raw.startswith(b'"'):  # one string, as nearly always
        raw = (_read_held(raw) if _MAY_HOLD_JSON.match(raw) else None) or raw
    if raw.startswith(b'"') or not _MAY_HOLD_JSON.search(raw):
        return raw
    parts: list[bytes] = []
    left = [
        (raw, 0, _STRING.finditer(raw))
    ]  # a list, since strings can hold one another deeper than functions may call
    while left:
        raw, at, strings = left.pop()
        for found in strings:
            is_text = found[1] is None  # else it is a name, which stays
            held = _read_held(found[0]) if is_text and _MAY_HOLD_JSON.match(raw, found.start()) else None
            if held is None:
                continue
            parts.append(raw[at : found.start()])
            at = found.end()
            if _MAY_HOLD_JSON.search(held):
                left += [(raw, at, strings), (held, 0, _STRING.finditer(held))]
                break
            parts.append(held)
        else:
            parts.append(raw[at:])
    return b"".join(parts)


def _read_held(raw: bytes) -> bytes | None:
    """Return the object or the array that a string holds, itself or in a further string; else None."""
    while raw.startswith(b'"'):
        text = read_text(raw)
        if text is None:
            return None
        raw = text.strip(_BLANKS)
    return mend_surrogates(raw) if raw[:1] in (b"{", b"[") and _is_json(raw) else None


def _is_json(raw: bytes) -> bool:
    if is_nested_deeper(raw, _DEEPEST):
        return False
    try:
        _grammar.decode(raw)
    except _REFUSALS:
        try:
            json.loads(raw, parse_constant=refuse_constant, parse_int=str, parse_float=str)
        except _REFUSALS:
            return False
    return True


@lru_cache(maxsize=4096)
def _quoted(name: str) -> bytes:
    return json.dumps(name).encode("ascii")
