# SPDX-License-Identifier: Apache-2.0
"""What the test server remembers of a request."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Received"]


@dataclass
class Received:
    """
    Hold one request as it came, and how it was answered.

    :param number: its number, the first being 1
    :param method: the HTTP method
    :param target: the request's target as sent, still percent-encoded
    :param path: the path of it, decoded
    :param query: the query's parameters, decoded; the last one counts
    :param headers: the headers, with names in lower case
    :param route: calls, call, recording, assistants, analytics, signed, or none
    :param status: the status answered; 0 while it is under way
    :param action: what went wrong on the connection, if anything
    :param at_ms: when it came, by the server's clock
    """

    number: int
    method: str
    target: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    route: str
    at_ms: int
    status: int = 0
    action: str | None = None

    @property
    def had_key(self) -> bool:
        """Tell whether an `Authorization` header came along."""
        return "authorization" in self.headers
