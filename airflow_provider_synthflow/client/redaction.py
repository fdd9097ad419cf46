# SPDX-License-Identifier: Apache-2.0
"""Telephone numbers and signed addresses, removed from the logs of HTTP libraries."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["hide_addresses", "hide_phone_numbers"]

_PRIVATE = re.compile(
    r"(?<=lead_phone_number=)[^&\s]+|(?<=receive_response_headers)\.(?:complete|failed) .*", re.DOTALL
)
_ADDRESS = re.compile(r"(?<![\w/:%])/[^\s'\"]*|(?<=://)[^%\s'\"][^\s'\"]*")
_thread = threading.local()


@contextlib.contextmanager
def hide_addresses() -> Iterator[None]:
    """Hide what this thread's requests ask for meanwhile, in what the loggers of the HTTP library are told."""
    before = getattr(_thread, "hides_addresses", False)
    _thread.hides_addresses = True
    try:
        yield
    finally:
        _thread.hides_addresses = before


class _WithoutPhoneNumbers(logging.Filter):
    """A filter that takes the telephone number out of what is put into a message."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Remove telephone numbers from a record, and let it pass."""
        record.msg = _without(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(_without(each) for each in record.args)
        return True


_FILTER = _WithoutPhoneNumbers()


def hide_phone_numbers(loggers: Iterable[str]) -> None:
    """Hide telephone numbers from now on in what the loggers of an HTTP library are told."""
    for name in loggers:
        logging.getLogger(name).addFilter(_FILTER)  # once: adding the same filter again does nothing


def _without(value: object) -> object:
    """Return a part of a message without a number; an address may be an object, whose text counts."""
    if isinstance(value, (int, float, bytes)):
        return value
    text = str(value)
    hidden = _PRIVATE.sub("***", text)
    if getattr(_thread, "hides_addresses", False):
        hidden = _ADDRESS.sub("***", hidden)
    return value if hidden == text else hidden
