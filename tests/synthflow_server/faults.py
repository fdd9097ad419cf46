# SPDX-License-Identifier: Apache-2.0
"""Faults and changes: what goes wrong, and what moves, at which request."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the fields' types are read at run time
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from tests.synthflow_server.dataset import Call  # noqa: TC001 - likewise

__all__ = ["Armed", "Change", "Fault", "FaultKind", "Trigger"]

FaultKind = Literal[
    "status",
    "html",
    "html_error",
    "empty_body",
    "not_json",
    "truncated_json",
    "no_calls",
    "bad_status_word",
    "timeout_before_headers",
    "timeout_mid_body",
    "reset",
    "truncated_body",
    "drip_headers",
    "drip_body",
    "absurd_length",
    "bomb",
    "null_calls",
    "wrong_page",
    "empty_page",
    "short_page",
    "duplicate_rows",
    "redirect",
]
Route = Literal["calls", "call", "recording", "signed", "assistants", "analytics", "any"]


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """Say at which requests something happens: all the conditions given must hold; none given is always."""

    every_nth: int | None = None
    """At the n-th, 2n-th, 3n-th … request."""
    at: tuple[int, ...] = ()
    """At the requests of these numbers, the first being 1."""
    offset_at_least: int | None = None
    """At requests whose `offset` is at least this."""
    model_id: str | None = None
    """At requests for this agent only; the others are counted all the same."""
    times: int | None = None
    """At most so many times."""
    route: Route = "calls"
    """The requests that are counted: lists of calls, unless it is said otherwise."""

    def __post_init__(self) -> None:
        at = (self.at,) if isinstance(self.at, int) else tuple(self.at)
        object.__setattr__(self, "at", at)
        if self.route not in get_args(Route):
            msg = f"There is no route {self.route!r}; there are {', '.join(get_args(Route))}."
            raise ValueError(msg)
        if self.every_nth is not None and self.every_nth < 1:
            msg = "every_nth is at least 1."
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class Fault(Trigger):
    """Script one wrong answer."""

    kind: FaultKind = "status"
    """What goes wrong."""
    status: int | None = None
    """The HTTP status of `status` (default 500), `html_error` (502) and `redirect` (302)."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More headers, such as `Retry-After`."""
    error_body: Literal["detail", "plain", "error_message", "loc", "html", "empty"] = "detail"
    """Which of the API's error bodies `status` sends."""
    word: str = "error"
    """The `status` of the envelope that `bad_status_word` sends."""
    seconds: float = 5.0
    """How long `timeout_before_headers` and `timeout_mid_body` stall, and how long between two bytes that drip."""
    size: int = 10**18
    """The bytes that `absurd_length` declares, or to which the body of `bomb` unpacks."""
    encoding: str = "gzip"
    """How the body of `bomb` is packed: `gzip`, `deflate`, or `raw`, which is deflate without its header."""
    shift: int = 100
    """How many rows away the page of `wrong_page` lies; the first page where there is none."""
    lie: bool = True
    """Whether `wrong_page` echoes the offset asked for, or else the one it serves."""
    rows: int = 1
    """How many rows `short_page` leaves out, or `duplicate_rows` repeats in place of others."""
    location: str = "http://127.0.0.1:9/v2/calls"
    """Where `redirect` points to."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in get_args(FaultKind):
            msg = f"There is no fault {self.kind!r}; there are {', '.join(get_args(FaultKind))}."
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class Change(Trigger):
    """Script a movement of the data before, or after, a request is answered."""

    after: bool = False
    """Whether it happens once the answer is made, so that only later requests see it."""
    add: tuple[Call, ...] = ()
    """The calls that arrive."""
    remove: tuple[str, ...] = ()
    """The ids of calls that vanish; ids that are gone already are passed over."""
    remove_at: int | None = None
    """The position, from 0, in the list that this request asks for, of a call that vanishes."""
    finish: tuple[str, ...] = ()
    """The ids of calls that are completed now."""
    update: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By call id, the fields that change, as `SynthflowApi.update` takes them."""
    advance_clock_ms: int = 0
    """How far a simulated clock moves."""


class Armed:
    """
    Count requests against one trigger and tell when it fires.

    :param script: the fault or the change
    """

    def __init__(self, script: Trigger) -> None:
        self.script = script
        self.seen = 0
        self.fired = 0

    def fires(self, route: str, query: Mapping[str, str]) -> bool:
        """Count this request and tell whether the trigger fires at it."""
        script = self.script
        if script.route not in (route, "any"):
            return False
        self.seen += 1
        if script.times is not None and self.fired >= script.times:
            return False
        if script.every_nth is not None and self.seen % script.every_nth:
            return False
        if script.at and self.seen not in script.at:
            return False
        if script.model_id is not None and query.get("model_id") != script.model_id:
            return False
        if script.offset_at_least is not None and _offset(query) < script.offset_at_least:
            return False
        self.fired += 1
        return True


def _offset(query: Mapping[str, str]) -> int:
    text = query.get("offset", "0")
    return int(text) if text.isascii() and text.isdigit() else 0
