# SPDX-License-Identifier: Apache-2.0
"""Stored files of calls opened for reading, whatever packs them."""

from __future__ import annotations

import importlib
import io
from typing import IO, TYPE_CHECKING, Any, cast

from isal import igzip

from airflow_provider_synthflow.storage.base import PIECE

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["open_lines", "open_parquet", "read_rows"]


def open_lines(file: IO[bytes], format_name: str) -> IO[bytes]:
    """Return a file's lines of JSON, decompressed; ``ImportError`` where a library is missing."""
    if format_name == "jsonl.gz":
        return cast("IO[bytes]", igzip.IGzipFile(fileobj=file))  # type: ignore[no-untyped-call]
    if format_name == "jsonl.zst":
        unpacked = (
            importlib.import_module("zstandard")
            .ZstdDecompressor()
            .stream_reader(file, read_across_frames=True, closefd=False)
        )
        return io.BufferedReader(unpacked, PIECE)
    return file


def open_parquet(file: IO[bytes]) -> Any:
    """Open a Parquet file; ``ImportError`` where pyarrow is missing."""
    return importlib.import_module("pyarrow.parquet").ParquetFile(file)


def read_rows(file: IO[bytes], rows: int, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a Parquet file, of which so many at a time are in memory."""
    for batch in open_parquet(file).iter_batches(batch_size=rows, columns=columns, use_threads=False):
        yield from batch.to_pylist()
