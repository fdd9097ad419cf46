# SPDX-License-Identifier: Apache-2.0
"""The comparison of two files of calls, but for some fields."""

from __future__ import annotations

import io
from itertools import zip_longest
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_synthflow.client.raw_json import split_members
from airflow_provider_synthflow.output.call_schema import RAW
from airflow_provider_synthflow.output.unpacking import open_lines, read_rows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from airflow_provider_synthflow.storage.base import Staged

__all__ = ["are_equal_but_for", "open_staged"]

_ROWS = 256


def are_equal_but_for(fields: Collection[str], format_name: str, one: IO[bytes], other: IO[bytes]) -> bool:
    """Tell whether two files have the same calls in the same order, but for some top-level fields."""
    # Both are read side by side, a few records at a time.
    pairs: Iterator[tuple[Any, Any]]
    if format_name == "parquet":
        pairs = zip_longest(read_rows(one, _ROWS), read_rows(other, _ROWS))
    else:
        pairs = zip_longest(open_lines(one, format_name), open_lines(other, format_name))
    return all(
        mine == theirs or (mine is not None and theirs is not None and _strip(mine, fields) == _strip(theirs, fields))
        for mine, theirs in pairs
    )


def open_staged(staged: Staged) -> IO[bytes]:
    """Return a reader of a file that is not yet published."""
    staged.flush()
    return io.BufferedReader(_StagedReader(staged))


def _strip(record: bytes | dict[str, Any], fields: Collection[str]) -> dict[str, Any]:
    """Return the fields of a record that count."""
    if isinstance(record, bytes):
        values: dict[str, Any] = dict(split_members(record))
    else:
        # A value that its column cannot give back stands in the last one, under the field's name.
        odd = split_members((record.get(RAW) or "{}").encode())
        values = {**record, RAW: {name: value for name, value in odd.items() if name not in fields}}
    return {name: value for name, value in values.items() if name not in fields}


class _StagedReader(io.RawIOBase):
    """A reader of a file that is not published yet."""

    def __init__(self, staged: Staged) -> None:
        self._staged = staged
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._staged.read(len(buffer), self._offset)
        buffer[: len(data)] = data
        self._offset += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._offset = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._staged.size}[whence]
        return self._offset

    def tell(self) -> int:
        return self._offset
