# SPDX-License-Identifier: Apache-2.0
"""The formats of a file of calls: each turns records into bytes, the same bytes for the same records."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.output.call_schema import COLUMNS
from airflow_provider_synthflow.output.json_lines import JsonLines, gzip_compressor, zstd_compressor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from airflow_provider_synthflow.output.call_schema import Column
    from airflow_provider_synthflow.storage.base import Writable

__all__ = ["FORMATS", "Format", "RecordWriter", "check_format", "load_library", "open_writer"]


class RecordWriter(Protocol):
    """A writer of records into a binary file."""

    # The follower takes some records and their columns: arrays of texts, and lists of JSON and of numbers; None where
    # the columns do not give back every value.
    def lead(self, follower: Callable[[Sequence[bytes], Mapping[str, Any] | None], object]) -> bool:
        """Hand on all records with their columns, and tell whether this format does."""

    def write(self, records: Sequence[bytes]) -> list[int] | None:
        """Write records, and return their offsets in the file, or None where they cannot be read back."""

    def flush(self) -> None:
        """Write what is due by now; the records can be read at their places."""

    def close(self) -> None:
        """Write what is still due; the file below stays open."""


@dataclass(frozen=True)
class Format:
    """A format: its writer, the module that it needs, and the extra that installs it."""

    open: Callable[[Writable, tuple[Column, ...], Any], RecordWriter]
    module: str | None = None
    extra: str | None = None


def _open_parquet(file: Writable, columns: tuple[Column, ...], _: Any) -> RecordWriter:
    from airflow_provider_synthflow.output.parquet import ParquetRecords  # noqa: PLC0415 - it needs pyarrow

    return ParquetRecords(file, columns)


FORMATS: dict[str, Format] = {
    "jsonl": Format(lambda file, *_: JsonLines(file)),
    "jsonl.gz": Format(lambda file, _, isal_zlib: JsonLines(file, gzip_compressor(isal_zlib)), "isal.isal_zlib"),
    "jsonl.zst": Format(lambda file, _, zstandard: JsonLines(file, zstd_compressor(zstandard)), "zstandard", "zstd"),
    "parquet": Format(_open_parquet, "pyarrow.parquet", "parquet"),
}
"""The known formats, by the name that ``output_format`` takes and that the file ends with."""


def open_writer(format_name: str, file: Writable, columns: tuple[Column, ...] = COLUMNS) -> RecordWriter:
    """Open the writer of a format."""
    library = check_format(format_name)
    return FORMATS[format_name].open(file, columns, library)


def check_format(format_name: str) -> Any:
    """Return the library of a format, or None, or raise where the format is unknown or its library missing."""
    known = FORMATS.get(format_name)
    if known is None:
        msg = f"output_format '{format_name}' is unknown. Use one of {', '.join(FORMATS)}."
        raise SynthflowConfigError(msg)
    if known.module is None:
        return None
    return load_library(known.module, known.extra, f"output_format '{format_name}'", ", or use another format")


def load_library(module: str, extra: str | None, what: str, cure: str = "") -> Any:
    """Import an optional library, or raise an error that says what needs it and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        package = "airflow-provider-synthflow" + (f"[{extra}]" if extra else "")
        msg = (
            f"{what} needs {module.partition('.')[0]}, which cannot be imported on this worker. "
            f"Install it: pip install '{package}'{cure}."
        )
        raise SynthflowConfigError(msg) from None
