# SPDX-License-Identifier: Apache-2.0
"""The formats of a file of calls: each turns records into bytes, the same bytes for the same records."""

from __future__ import annotations

import gzip
from typing import IO, TYPE_CHECKING, Protocol, cast

from airflow_provider_synthflow.exceptions import SynthflowConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FORMATS", "RecordWriter", "Writable", "check_format", "open_writer"]

_GZIP_LEVEL = 6


class Writable(Protocol):
    """Take bytes: all that a format asks of the file below."""

    def write(self, data: bytes, /) -> int:
        """
        Write bytes at the end.

        :param data: the bytes
        """

    def flush(self) -> None:
        """Hand on what is buffered."""


class RecordWriter(Protocol):
    """Write records into a binary file."""

    def write(self, record: bytes) -> None:
        """
        Write one record.

        :param record: its JSON, as received
        """

    def close(self) -> None:
        """Write what is still due; the file below stays open."""


class _JsonLines:
    """Write each record on one line, its own bytes where they are one line already."""

    def __init__(self, file: Writable) -> None:
        self._file = file

    def write(self, record: bytes) -> None:
        # A line's end stands only between tokens, where a blank means the same: in a JSON text it is escaped.
        self._file.write(record.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n")

    def close(self) -> None:
        """Leave nothing behind: lines are written as they come."""


class _GzipJsonLines(_JsonLines):
    """Write JSON Lines through gzip, with neither a name nor a time in the header."""

    def __init__(self, file: Writable) -> None:
        self._gzip = gzip.GzipFile(
            filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=cast("IO[bytes]", file), mtime=0
        )
        super().__init__(cast("Writable", self._gzip))

    def close(self) -> None:
        self._gzip.close()


FORMATS: dict[str, Callable[[Writable], RecordWriter]] = {
    "jsonl": _JsonLines,
    "jsonl.gz": _GzipJsonLines,
}
"""The known formats, by the name that ``output_format`` takes and that the file ends with."""


def open_writer(format_name: str, file: Writable) -> RecordWriter:
    """
    Return the writer of a format.

    :param format_name: one of :data:`FORMATS`
    :param file: where the bytes go
    :raises SynthflowConfigError: for an unknown format
    """
    check_format(format_name)
    return FORMATS[format_name](file)


def check_format(format_name: str) -> None:
    """
    Raise where a format is unknown.

    :param format_name: what the user named
    :raises SynthflowConfigError: for an unknown format
    """
    if format_name not in FORMATS:
        msg = f"output_format '{format_name}' is unknown. Use one of {', '.join(FORMATS)}."
        raise SynthflowConfigError(msg)
