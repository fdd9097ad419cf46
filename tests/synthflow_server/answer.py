# SPDX-License-Identifier: Apache-2.0
"""The answer to one request, and the bodies of the API's errors."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["HTML", "Action", "Answer", "ApiError", "Stream", "detail_body", "encode"]

Action = Literal["reset", "timeout_before_headers", "timeout_mid_body", "truncated_body", "drip_headers"]

HTML = b"<!DOCTYPE html>\n<html><head><title>Bad gateway</title></head><body><h1>Bad gateway</h1></body></html>\n"
encode = msgspec.json.encode


@dataclass
class Stream:
    """
    Hold a body that is made while it is sent.

    :param size: how many bytes it has
    :param pieces: makes the bytes
    :param length: what the headers say of its length: the truth, more, less, another number, nothing, or chunks
    :param pause_s: seconds between two pieces
    """

    size: int
    pieces: Callable[[], Iterator[bytes]]
    length: Literal["exact", "more", "less", "absent", "chunked"] | int = "exact"
    pause_s: float = 0.0


@dataclass
class Answer:
    """
    Hold one answer, and what happens to its connection.

    :param status: the HTTP status
    :param headers: the headers, without `Content-Length`
    :param body: the whole body, also where only a part of it is sent
    :param action: what goes wrong on the connection, if anything
    :param seconds: how long an action of the `timeout` kind stalls
    :param delay_s: how long the server waits before it answers
    :param stream: what is sent in place of the body
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    action: Action | None = None
    seconds: float = 0.0
    delay_s: float = 0.0
    stream: Stream | None = None

    @classmethod
    def of_json(cls, status: int, value: Any) -> Answer:
        """Make an answer of a JSON value, or of JSON that is encoded already."""
        body = value if isinstance(value, bytes) else encode(value)
        return cls(status, {"Content-Type": "application/json"}, body)

    @classmethod
    def of_html(cls, status: int) -> Answer:
        """Make an answer as a proxy on the way gives it."""
        return cls(status, {"Content-Type": "text/html; charset=utf-8"}, HTML)

    def json(self) -> Any:
        """Return the value that the body holds."""
        return msgspec.json.decode(self.body)


class ApiError(Exception):
    """
    Stop the handling of a request with an error of the API.

    :param status: the HTTP status
    :param description: the text for people
    :param body: the whole body, where it is not the usual one
    :param headers: more headers
    """

    def __init__(
        self,
        status: int,
        description: str,
        *,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, description)
        self.status = status
        self.description = description
        self.body = body
        self.headers = dict(headers or {})

    def answer(self, *, now_ms: int, request_id: str) -> Answer:
        """Return the answer that tells of this error."""
        body = self.body
        if body is None:
            body = detail_body(self.status, self.description, now_ms=now_ms, request_id=request_id)
        made = Answer.of_json(self.status, body)
        made.headers.update(self.headers)
        return made


_CATEGORIES = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    422: "validation_error",
    429: "rate_limit",
}


def detail_body(status: int, description: str, *, now_ms: int, request_id: str) -> dict[str, Any]:
    """Return the body of an error as the API answers it."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc) + dt.timedelta(milliseconds=now_ms)
    return {
        "detail": {
            "status": "error",
            "description": description,
            "timestamp": moment.isoformat(),
            "request_id": request_id,
            "category": _CATEGORIES.get(status, "server_error"),
        }
    }
