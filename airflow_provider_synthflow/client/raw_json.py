# SPDX-License-Identifier: Apache-2.0
"""JSON as lenient as its grammar: decoded, or parted into members or elements with their own bytes as received."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_synthflow.exceptions import SynthflowProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "TooDeepError",
    "check_utf8",
    "decode_json",
    "has_half_surrogates",
    "is_nested_deeper",
    "mend_surrogates",
    "refuse_constant",
    "split_elements",
    "split_members",
]

_TOO_DEEP = (
    "A call has more lists and objects in one another than this Python can decode. Write the calls into a file, which "
    "keeps them as they came, and leave fields that are nested so out of hash_fields."
)


class TooDeepError(SynthflowProtocolError, ValueError):
    """JSON that is nested deeper than this Python can decode; Python 3.14 can skip over much deeper JSON."""

    def __init__(self, message: str = _TOO_DEEP) -> None:
        super().__init__(message)


_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_blank = re.compile(r"[ \t\n\r]*")
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]')
_PIECE = 8 * 1024
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""An escape in a JSON text; its group is half of a surrogate pair."""

_MARK = re.compile(rb"\\u[dD][89a-fA-F]")  # in 5 KB found three times as fast as two texts are by `in`


def check_utf8(body: bytes) -> None:
    """Raise where bytes are not UTF-8."""
    # In pieces, since the text of a whole page takes up to four times its bytes; of 8 KB, since larger ones fragment
    # the heap between the pages: a process then grows by up to 160 MiB over 100,000 calls.
    if body.isascii():
        return
    view, at, end = memoryview(body), 0, len(body)
    while at < end:
        stop = min(at + _PIECE, end)
        _, taken = codecs.utf_8_decode(view[at:stop], "strict", stop == end)
        at += taken  # what is left of a character goes with the next piece


def decode_json(body: bytes) -> Any:
    """Decode what the grammar allows, such as half of a surrogate pair, or raise ValueError."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        return json.loads(body.decode(), parse_constant=refuse_constant)
    except RecursionError:
        raise TooDeepError from None


def split_members(body: bytes) -> dict[str, bytes]:
    """Return the members of a JSON object, the last of those with one name, or raise ValueError where it is none."""
    try:
        return {name: bytes(value) for name, value in _object_decoder.decode(body).items()}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {str(name): value for name, value in _split(body, "{")}


def split_elements(body: bytes) -> list[bytes]:
    """Return the elements of a JSON array, or raise ValueError where it is none."""
    try:
        return [bytes(value) for value in _list_decoder.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [value for _, value in _split(body, "[")]


def is_nested_deeper(raw: bytes, than: int) -> bool:
    """Tell whether JSON has more objects and arrays in one another than so many, whatever this process could follow."""
    if raw.count(b"[") + raw.count(b"{") <= than:
        return False
    depth = 0
    for token in _NESTING.finditer(raw):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth > than:
            return True
    return False


def refuse_constant(name: str) -> Any:
    """Refuse NaN and its like, which Python takes for a number in JSON and JSON does not know."""
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def has_half_surrogates(raw: bytes) -> bool:
    """Tell whether JSON may have half of a surrogate pair; a whole pair tells so, too."""
    return _MARK.search(raw) is not None


def mend_surrogates(raw: bytes) -> bytes:
    """Return JSON in which each half of a surrogate pair is U+FFFD; the very same bytes where there is none."""
    if not has_half_surrogates(raw):
        return raw
    mended = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], raw)
    return raw if mended == raw else mended


def _split(body: bytes, opening: str) -> Iterator[tuple[str | None, bytes]]:
    """Yield names and values where msgspec refuses what JSON allows, such as half of a surrogate pair."""
    text = body.decode().strip(" \t\n\r")
    decode_json(body)
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
