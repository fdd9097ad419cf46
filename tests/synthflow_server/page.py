# SPDX-License-Identifier: Apache-2.0
"""One page of the list of calls, in the envelope that the server sends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.synthflow_server.answer import ApiError, encode
from tests.synthflow_server.presentation import as_listed

if TYPE_CHECKING:
    from tests.synthflow_server.behaviour import Behaviour
    from tests.synthflow_server.faults import Fault
    from tests.synthflow_server.matching import Matching
    from tests.synthflow_server.query import PageAsked
    from tests.synthflow_server.store import Entry

__all__ = ["ROW_FAULTS", "envelope", "page_body"]

_RECEIVER = "\N{TELEPHONE RECEIVER}".encode()

ROW_FAULTS = frozenset(
    {"no_calls", "null_calls", "bad_status_word", "wrong_page", "empty_page", "short_page", "duplicate_rows"}
)
"""The faults that are in the page itself, and not in how it is sent."""


def page_body(
    matching: Matching,
    asked: PageAsked,
    behaviour: Behaviour,
    *,
    number: int,
    now_ms: int,
    fault: Fault | None = None,
) -> bytes:
    """
    Return the JSON of one page.

    :param matching: the calls that match the request's filters
    :param asked: the page that it asks for
    :param behaviour: the server's switches
    :param number: the request's number, which decides orders that are drawn by lot
    :param now_ms: the present
    :param fault: what is wrong in the page, if anything
    """
    total = len(matching.rows)
    offset = _offset(asked, behaviour, 2 * total if behaviour.repeats == "join" else total)
    echoed = asked.offset if behaviour.echo_offset == "asked" else offset
    if fault is not None and fault.kind == "wrong_page":
        offset = offset + fault.shift if 0 <= offset + fault.shift < total else 0
        echoed = echoed if fault.lie else offset
    if behaviour.largest_offset is not None and asked.offset > behaviour.largest_offset:
        raise ApiError(400, "Offset is too large.")
    rows = matching.page(offset, asked.rows, behaviour.seed, number)
    if behaviour.repeats != "none":
        rows, total = _repeated(matching, offset, asked.rows, behaviour, number)
    if fault is not None:
        rows = _spoilt(rows, fault)
    pagination: dict[str, Any] = {}
    if behaviour.total != "absent":
        pagination["total_records"] = _total(total, len(rows), behaviour)
    if behaviour.echo_limit != "absent":
        pagination["limit"] = asked.limit if behaviour.echo_limit == "asked" else asked.rows
    if behaviour.echo_offset != "absent":
        pagination["offset"] = echoed
    if behaviour.recording_urls == "rotating":
        encoded = [_rotated(row, behaviour, number, now_ms) for row in rows]
    else:
        encoded = [row.encoded(now_ms, behaviour) for row in rows]
    if behaviour.half_pairs:
        encoded = [row.replace(_RECEIVER, rb"\ud83d") for row in encoded]
    return envelope(b"calls", encoded, pagination, behaviour, fault)


def envelope(
    name: bytes, rows: list[bytes], pagination: dict[str, Any], behaviour: Behaviour, fault: Fault | None = None
) -> bytes:
    """
    Put encoded rows into the envelope that the server sends.

    :param name: what the rows are, such as `calls`
    :param rows: their JSON
    :param pagination: the envelope's `pagination`
    :param behaviour: the server's switches
    :param fault: what is wrong in the envelope, if anything
    """
    kind = None if fault is None else fault.kind
    array = b"".join((b"[", b",".join(rows), b"]"))
    if kind == "no_calls":
        members = []
    elif kind == "null_calls" or (behaviour.no_calls_as == "null" and not rows):
        members = [b'"' + name + b'":null']
    elif behaviour.envelope == "list":
        return array
    else:
        members = [b'"' + name + b'":' + array]
    if behaviour.envelope == "calls":
        return b"".join((b"{", *members, b"}"))
    if behaviour.pagination == "present":
        members.insert(0, b'"pagination":' + encode(pagination))
    response = b"".join((b"{", b",".join(members), b"}"))
    if behaviour.envelope == "nested":
        response = b"".join((b'{"response":', response, b"}"))
    word = fault.word if fault is not None and kind == "bad_status_word" else behaviour.status_word
    return b"".join((b'{"status":', encode(word), b',"response":', response, b"}"))


def _offset(asked: PageAsked, behaviour: Behaviour, total: int) -> int:
    """Return the offset that is served, or refuse one behind the last row."""
    if behaviour.ignore_offset:
        return 0
    if asked.offset < max(total, 1):
        return asked.offset
    if behaviour.offset_past_end == "error400":
        raise ApiError(400, "Offset is out of range.")
    if behaviour.offset_past_end == "error404":
        raise ApiError(404, "Page not found.")
    if behaviour.offset_past_end == "last_page" and total:
        return (total - 1) // asked.rows * asked.rows
    return asked.offset


def _total(total: int, rows: int, behaviour: Behaviour) -> int | str:
    told = {
        "capped": min(total, behaviour.total_cap),
        "off_by": max(total + behaviour.total_off_by, 0),
        "page": rows,
        "none": 0,
    }.get(behaviour.total, total)
    return str(told) if behaviour.total_as == "string" else told


def _repeated(
    matching: Matching, offset: int, count: int, behaviour: Behaviour, number: int
) -> tuple[list[Entry], int]:
    """Return a page of a list that sends rows twice, and the list's total."""
    total = len(matching.rows)
    if behaviour.repeats == "join":
        half = matching.page(offset // 2, count // 2 + 2, behaviour.seed, number)
        return [row for row in half for _ in range(2)][offset % 2 :][:count], 2 * total
    rows = matching.page(offset, count, behaviour.seed, number)
    if behaviour.repeats == "page" and rows:
        return [rows[0], *rows][:count], total
    if offset and rows:
        return [*matching.page(offset - 1, 1, behaviour.seed, number), *rows][:count], total
    return rows, total


def _spoilt(rows: list[Entry], fault: Fault) -> list[Entry]:
    if fault.kind == "empty_page":
        return []
    if fault.kind == "short_page":
        return rows[: max(len(rows) - fault.rows, 0)]
    if fault.kind == "duplicate_rows":
        if len(rows) < 2:
            return rows + rows
        repeated = min(fault.rows, len(rows) // 2)
        return rows[: len(rows) - repeated] + rows[:repeated]
    return rows


def _rotated(row: Entry, behaviour: Behaviour, number: int, now_ms: int) -> bytes:
    return encode(as_listed(row.call, row.state_at(now_ms), behaviour, signature=f"{number:08x}"))
