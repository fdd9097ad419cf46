# SPDX-License-Identifier: Apache-2.0
"""A stored file, read once: its size, its hash, and the calls or rows in it."""

from __future__ import annotations

import contextlib
import hashlib
import io
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

import msgspec

from airflow_provider_synthflow.client.call import decode_record, read_call
from airflow_provider_synthflow.output.unpacking import open_lines, open_parquet
from airflow_provider_synthflow.recordings.calls import promises_recording
from airflow_provider_synthflow.storage.base import PIECE
from airflow_provider_synthflow.storage.disk_errors import open_temporary_file, typed_temporary_errors
from airflow_provider_synthflow.timestamps import read_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MissingLibraryError", "ReadFile", "StoredCall", "UnreadableError", "read_bytes", "read_calls", "read_table"]

_ROWS = 4096
_FIELDS = ["call_id", "start_time", "telephony_start", "recording_url", "recording_duration"]


class MissingLibraryError(Exception):
    """A file whose format needs a library that is not installed."""


class UnreadableError(Exception):
    """A file that is not of its format."""


class StoredCall(msgspec.Struct, gc=False):
    """The parts of a call that an audit needs."""

    call_id: str | None  # None: dropped
    started_ms: int | None
    promises: bool  # a recording


class _Fields(msgspec.Struct):
    """The fields of a stored call that are decoded; the others are skipped."""

    call_id: Any = None
    start_time: Any = None
    telephony_start: Any = None
    recording_url: Any = None
    recording_duration: Any = None


_decoder = msgspec.json.Decoder(_Fields)


class ReadFile(io.RawIOBase):
    """A file whose size and hash grow as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read into a buffer."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def read_rest(self) -> str:
        """Read the rest, and return the SHA-256 of all."""
        while data := self._file.read(PIECE):
            self._digest.update(data)
            self.size += len(data)
        return self._digest.hexdigest()


def read_bytes(file: ReadFile) -> int | None:
    """Read a file without rows."""
    file.read_rest()
    return None


def read_table(file: ReadFile) -> int:
    """Count the rows of a Parquet file."""
    with _as_parquet(file) as table:
        return cast("int", table.metadata.num_rows)


def read_calls(file: ReadFile, format_name: str, on_calls: Callable[[list[StoredCall]], None]) -> int:
    """Hand on the calls of a file in batches, and return how many there are."""
    rows = _parquet_calls(file) if format_name == "parquet" else _line_calls(file, format_name)
    count = 0
    for calls in rows:
        count += len(calls)
        on_calls(calls)
    return count


def _line_calls(file: ReadFile, format_name: str) -> Iterator[list[StoredCall]]:
    source = cast("IO[bytes]", io.BufferedReader(file, PIECE))
    try:
        opened = open_lines(source, format_name)
    except ImportError:
        raise MissingLibraryError from None
    calls: list[StoredCall] = []
    try:
        for line in opened:
            if line.strip():
                calls.append(_read_line(line))
            if len(calls) >= _ROWS:
                yield calls
                calls = []
    except (EOFError, OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the store's, not the format's
        raise UnreadableError from None
    except Exception as error:
        if type(error).__name__ not in {"error", "ZstdError", "IsalError"}:
            raise
        raise UnreadableError from None
    yield calls


def _read_line(line: bytes) -> StoredCall:
    try:
        fields = _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeError):
        record = decode_record(line)
        fields = _Fields(**{name: record.get(name) for name in _FIELDS})
    started_ms = read_instant(fields.start_time)
    if started_ms is None:
        started_ms = read_call(line).started_ms
    return _make_call(fields.call_id, started_ms, fields.recording_url, fields.recording_duration)


def _make_call(call_id: Any, started_ms: int | None, url: Any, duration: Any) -> StoredCall:
    if call_id is not None and not isinstance(call_id, str):
        call_id = str(call_id)
    return StoredCall(call_id or None, started_ms, promises_recording(url, duration))


def _parquet_calls(file: ReadFile) -> Iterator[list[StoredCall]]:
    with _as_parquet(file) as table:
        names = [name for name in _FIELDS if name in table.schema_arrow.names]
        for batch in table.iter_batches(_ROWS, columns=names):
            columns = {name: _values(column) for name, column in zip(names, batch.columns, strict=True)}
            absent = [None] * batch.num_rows
            rows = zip(*(columns.get(name, absent) for name in _FIELDS), strict=True)
            yield [
                _make_call(call_id, start if start is not None else telephony, url, duration)
                for call_id, start, telephony, url, duration in rows
            ]


def _values(column: Any) -> list[Any]:
    """Return a column's values, timestamps in milliseconds."""
    if str(column.type).startswith("timestamp"):
        column = column.cast("int64")
    return cast("list[Any]", column.to_pylist())


@contextlib.contextmanager
def _as_parquet(file: ReadFile) -> Iterator[Any]:
    """Open a copy of a Parquet file on the local disk, since it is read from its end."""
    with open_temporary_file() as copy:
        for piece in iter(partial(file.read, PIECE), b""):
            with typed_temporary_errors():
                copy.write(piece)
        copy.seek(0)
        try:
            with open_parquet(copy) as table:
                yield table
        except ImportError:
            raise MissingLibraryError from None
        except Exception as error:
            # The library has an error of no number for a file that is none; one with a number is the disk's.
            if type(error).__module__.startswith("pyarrow") or (isinstance(error, OSError) and error.errno is None):
                raise UnreadableError from None
            raise
