# SPDX-License-Identifier: Apache-2.0
"""Segments: pages, compressed, sealed with a key, and written in a thread, so that reading waits for no store."""

from __future__ import annotations

import hashlib
import hmac
import threading
import zlib
from contextlib import suppress
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_synthflow.storage.base import Store

__all__ = ["BrokenSegmentError", "KeptPage", "SegmentWriter", "seal_segment", "segment_name", "unseal_segment"]

_MAGIC = b"synthflow-pages-1\n"
_MAC_BYTES = 32
_FAST = 1  # of zlib's levels: it shrinks calls to a quarter, and the best would take four times as long


class KeptPage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A page as it was read."""

    offset: int
    total: int
    rows: list[bytes]


class BrokenSegmentError(ValueError):
    """Bytes that are not a segment sealed with this key."""


_decoder = msgspec.msgpack.Decoder(list[KeptPage])


def seal_segment(pages: list[KeptPage], key: bytes) -> bytes:
    """Encode pages as a segment."""
    body = zlib.compress(msgspec.msgpack.encode(pages), _FAST)
    return b"".join((_MAGIC, _mac(body, key), body))


def unseal_segment(data: bytes, key: bytes) -> list[KeptPage]:
    """Decode the pages of a segment."""
    begin = len(_MAGIC) + _MAC_BYTES
    body = data[begin:]
    if not data.startswith(_MAGIC) or not hmac.compare_digest(data[len(_MAGIC) : begin], _mac(body, key)):
        raise BrokenSegmentError("is cut off or changed")
    return _decoder.decode(zlib.decompress(body))


def _mac(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, key=key, digest_size=_MAC_BYTES).digest()


def segment_name(run: str, number: int) -> str:
    """Return the path of a segment below ``resume_path``."""
    return f"{run}/{number:06}.pages"


class SegmentWriter:
    """A writer of segments, of which one may wait while another is written."""

    def __init__(self, store: Store, run: str, key: bytes, *, written: int, change: Callable[[bytes], bytes]) -> None:
        self.failure: Exception | None = None
        self._store = store
        self._run = run
        self._key = key
        self._number = written
        self._change = change
        self._due: Queue[list[KeptPage] | None] = Queue(maxsize=1)
        # A daemon: a process that is to end does not wait for a store.
        self._thread = threading.Thread(target=self._work, name="synthflow-segments", daemon=True)
        self._thread.start()

    def offer(self, pages: list[KeptPage]) -> None:
        """Queue a segment, unless another one still waits."""
        with suppress(Full):
            self._due.put_nowait(pages)

    def close(self, seconds: float) -> None:
        """Write the segment that waits, and stop, if that does not take too long."""
        with suppress(Full):
            self._due.put(None, timeout=seconds)
            self._thread.join(seconds)

    def drop(self) -> None:
        """Discard the segment that waits."""
        with suppress(Empty):
            self._due.get_nowait()

    def _work(self) -> None:
        while self._write_next():  # which lets go of the pages before it waits for others
            pass

    def _write_next(self) -> bool:
        pages = self._due.get()
        if pages is not None and self.failure is None:
            try:
                self._write(pages)
            except Exception as error:  # noqa: BLE001 - whatever it is, the extraction goes on without
                self.failure = error
        return pages is not None

    def _write(self, pages: list[KeptPage]) -> None:
        kept = [KeptPage(page.offset, page.total, [self._change(row) for row in page.rows]) for page in pages]
        self._store.put_private(segment_name(self._run, self._number + 1), seal_segment(kept, self._key))
        self._number += 1
