# SPDX-License-Identifier: Apache-2.0
"""Part a JSON object or array into its members or elements, each with its own bytes as received."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["check_utf8", "elements_of", "members_of", "refuse_constant"]

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_blank = re.compile(r"[ \t\n\r]*")
_PIECE = 8 * 1024


def check_utf8(body: bytes) -> None:
    """
    Raise where bytes are no UTF-8.

    Piece by piece, since the text of a whole page takes up to four times its bytes. Pieces of 8 KB: with larger ones
    the heap between the pages' own bytes falls to pieces, and a process grows by up to 160 MiB over 100,000 calls.

    :param body: the bytes
    :raises UnicodeDecodeError: where they are none
    """
    if body.isascii():
        return
    view, at, end = memoryview(body), 0, len(body)
    while at < end:
        stop = min(at + _PIECE, end)
        _, taken = codecs.utf_8_decode(view[at:stop], "strict", stop == end)
        at += taken  # what is left of a character goes with the next piece


def members_of(body: bytes) -> dict[str, bytes]:
    """
    Return the members of a JSON object by their name; of several with one name the last counts.

    :param body: its JSON
    :raises ValueError: where it is no JSON object
    """
    try:
        return {name: bytes(value) for name, value in _object_decoder.decode(body).items()}
    except msgspec.MsgspecError:
        return {str(name): value for name, value in _parts(body, "{")}


def elements_of(body: bytes) -> list[bytes]:
    """
    Return the elements of a JSON array.

    :param body: its JSON
    :raises ValueError: where it is no JSON array
    """
    try:
        return [bytes(value) for value in _list_decoder.decode(body)]
    except msgspec.MsgspecError:
        return [value for _, value in _parts(body, "[")]


def refuse_constant(name: str) -> Any:
    """
    Refuse what Python takes for a number in JSON and JSON does not know.

    :param name: NaN, Infinity or -Infinity
    :raises ValueError: always
    """
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _parts(body: bytes, opening: str) -> Iterator[tuple[str | None, bytes]]:
    """Yield names and values where msgspec refuses what JSON allows, such as half of a surrogate pair."""
    text = body.decode().strip(" \t\n\r")
    json.loads(text, parse_constant=refuse_constant)
    if not text.startswith(opening):
        msg = "it is JSON of another type"
        raise ValueError(msg)
    read = json.JSONDecoder().raw_decode
    at = _after_blanks(text, 1)
    while text[at] not in "}]":
        name = None
        if opening == "{":
            name, end = read(text, at)
            at = _after_blanks(text, _after_blanks(text, end) + 1)
        _, end = read(text, at)
        yield name, text[at:end].encode()
        at = _after_blanks(text, end)
        if text[at] == ",":
            at = _after_blanks(text, at + 1)


def _after_blanks(text: str, at: int) -> int:
    found = _blank.match(text, at)
    return found.end() if found else at
