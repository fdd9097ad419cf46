# SPDX-License-Identifier: Apache-2.0
"""The recordings of calls, at signed addresses of a host of their own."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlencode

from tests.synthflow_server.answer import Answer, ApiError, Stream
from tests.synthflow_server.server import Handle, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.synthflow_server.api import SynthflowApi
    from tests.synthflow_server.behaviour import Behaviour

__all__ = ["RecordingHost", "Recordings", "audio", "audio_pieces", "serve_recordings"]

_PIECE = 64 * 1024
_PIECES_AT_A_PAUSE = 8
_FORMATS = {
    "mp3": ("audio/mpeg", b"ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x64"),
    "wav": ("audio/wav", b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"),
    "ogg": ("audio/ogg", b"OggS\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00"),
}
_EXPIRED = b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


def audio_pieces(call_id: str, size: int, kind: str = "mp3") -> Iterator[bytes]:
    """Yield the bytes of a recording, the same each time and of any size."""
    _, head = _FORMATS[kind]
    seed = hashlib.sha256(call_id.encode()).digest()
    block = seed * (_PIECE // len(seed))
    yield head[:size]
    left = size - len(head)
    while left > 0:
        yield block[:left]
        left -= len(block)


def audio(call_id: str, size: int = 2000, kind: str = "mp3") -> bytes:
    """Return the bytes of a recording."""
    return b"".join(audio_pieces(call_id, size, kind))


class Recordings:
    """Keep what the recordings of single calls have of their own, and since when each address is signed."""

    def __init__(self) -> None:
        self.statuses: dict[str, int] = {}
        """The status with which the API answers for a call, in place of a redirect."""
        self.sizes: dict[str, int] = {}
        """The bytes of a call's recording."""
        self.bodies: dict[str, tuple[str | None, bytes]] = {}
        """What comes in place of a call's recording: the content type and the bytes."""
        self.formats: dict[str, str] = {}
        """The format of a call's recording: mp3, wav or ogg."""
        self._signed: dict[str, int] = {}

    def address(self, base: str, call_id: str, now_ms: int, behaviour: Behaviour) -> str:
        """Return the signed address of a recording, the same each time until it expires."""
        status = self.statuses.get(call_id)
        if status is not None:
            raise ApiError(status, f"The test server was told to answer {status}.")
        signed = self._signed.get(call_id)
        if signed is None or now_ms >= signed + behaviour.signed_life_ms:
            signed = self._signed[call_id] = now_ms
        kind = self.formats.get(call_id, behaviour.recording_format)
        query = {
            "X-Amz-Date": signed,
            "X-Amz-Expires": behaviour.signed_life_ms // 1000,
            "X-Amz-Signature": _signature(call_id, signed),
        }
        if behaviour.recording_redirects:
            query["hops"] = behaviour.recording_redirects
        return f"{base}/signed/recordings/{quote(call_id, safe='')}.{kind}?{urlencode(query)}"

    def answer(self, path: str, query: Mapping[str, str], now_ms: int, behaviour: Behaviour) -> Answer:
        """Return what a signed address gives."""
        name = path.removeprefix("/signed/recordings/")
        call_id, _, kind = name.rpartition(".")
        signed = query.get("X-Amz-Date", "")
        good = signed.isdigit() and query.get("X-Amz-Signature") == _signature(call_id, int(signed))
        if not good or now_ms >= int(signed) + behaviour.signed_life_ms:
            return Answer(403, {"Content-Type": "application/xml"}, _EXPIRED)
        hops = int(query.get("hops", "0"))
        if hops:
            left = {**query, "hops": str(hops - 1)}
            return Answer(302, {"Location": f"{quote(path, safe='/')}?{urlencode(left)}"})
        return self._audio(call_id, kind, behaviour)

    def _audio(self, call_id: str, kind: str, behaviour: Behaviour) -> Answer:
        size = self.sizes.get(call_id, behaviour.recording_bytes)
        content_type: str | None = _FORMATS[kind][0]
        if behaviour.recording_type != "true":
            content_type = "binary/octet-stream" if behaviour.recording_type == "octet-stream" else None
        stream = Stream(size, lambda: audio_pieces(call_id, size, kind))
        if call_id in self.bodies:
            content_type, body = self.bodies[call_id]
            size, stream = len(body), Stream(len(body), lambda: iter([body]))
        stream.pause_s = behaviour.recording_pause_s
        stream.length = behaviour.recording_length
        return Answer(200, {} if content_type is None else {"Content-Type": content_type}, stream=stream)


class RecordingHost:
    """
    Answer signed addresses and nothing else, as a store on another host does.

    :param api: the API whose recordings it has, and which remembers its requests
    """

    def __init__(self, api: SynthflowApi) -> None:
        self.api = api

    def handle(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"") -> Answer:
        """Answer one request."""
        if not unquote(target).startswith("/signed/"):
            return Answer(404, {"Content-Type": "application/xml"}, b"<Error><Code>NoSuchKey</Code></Error>")
        return self.api.handle(method, target, headers, body)


@contextlib.contextmanager
def serve_recordings(api: SynthflowApi) -> Iterator[Handle]:
    """
    Serve an API's recordings from an origin of their own as long as the context lasts, and let the API lead there.

    :param api: the API
    """
    from dataclasses import replace  # noqa: PLC0415

    with serve(RecordingHost(api)) as handle:
        api.behaviour = replace(api.behaviour, signed_base=f"http://{handle.host}:{handle.port}")
        yield handle


def _signature(call_id: str, signed: int) -> str:
    return hashlib.sha256(f"signed/{call_id}/{signed}".encode()).hexdigest()
