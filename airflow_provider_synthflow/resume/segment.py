# SPDX-License-Identifier: Apache-2.0
"""The bytes of a segment: pages, compressed, and sealed with a key. Pure."""

from __future__ import annotations

import hashlib
import hmac
import zlib

import msgspec

__all__ = ["BrokenSegmentError", "KeptPage", "seal_segment", "unseal_segment"]

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
