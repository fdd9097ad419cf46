# SPDX-License-Identifier: Apache-2.0
"""Download one recording into a file of the caller's own."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_synthflow.client.recording import RecordingDownloader
from airflow_provider_synthflow.exceptions import SynthflowTransientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.client.recording import Sink

__all__ = ["HashedFile", "download_to_file"]


def download_to_file(client: SynthflowClient, call_id: str, file: IO[bytes] | str | os.PathLike[str]) -> dict[str, Any]:
    """Download the recording of a call into a binary file that is open, or into a path, where it appears whole."""
    sink = _Path(Path(file)) if isinstance(file, (str, os.PathLike)) else _OpenFile(file)
    with RecordingDownloader(client) as downloader:
        found = downloader.download(call_id, sink.open)
    return {"bytes": found.bytes, "sha256": found.sha256, "content_type": found.content_type}


class HashedFile:
    """A binary file whose size and hash grow as it is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()
        self.size = 0

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of what was written, in hexadecimal."""
        return self._sha256.hexdigest()

    def write(self, data: bytes, /) -> None:
        """Write bytes at the end."""
        self._file.write(data)
        self._sha256.update(data)
        self.size += len(data)


class _Path:
    """A path where a file appears whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextlib.contextmanager
    def open(self, _: str) -> Iterator[Sink]:
        temporary = self._path.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            with temporary.open("xb") as file:
                yield HashedFile(file)
            temporary.replace(self._path)
        finally:
            temporary.unlink(missing_ok=True)


class _OpenFile:
    """A file that is open: each try begins where the first one did."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._begin: int | None = None
        with contextlib.suppress(AttributeError, OSError, ValueError):
            if file.seekable():
                self._begin = file.tell()
        self._written = False

    @contextlib.contextmanager
    def open(self, _: str) -> Iterator[Sink]:
        if self._written and self._begin is None:
            msg = "The recording was cut off, and the file cannot be rewound to download it again. Use a seekable file."
            raise SynthflowTransientError(msg)
        try:
            self._written = True
            yield HashedFile(self._file)
        except BaseException:
            if self._begin is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._file.seek(self._begin)
                    self._file.truncate()
            raise
