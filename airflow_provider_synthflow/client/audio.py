# SPDX-License-Identifier: Apache-2.0
"""The format of an audio file, by its content type or its first bytes. Pure."""

from __future__ import annotations

import re

__all__ = ["HEAD", "is_text", "read_media_type", "to_extension"]

HEAD = 512
"""How many of the first bytes are looked at."""

_EXTENSIONS = {
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3", "audio/x-mpeg-3"), "mp3"),
    **dict.fromkeys(("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/x-pn-wav"), "wav"),
    **dict.fromkeys(("audio/ogg", "application/ogg", "audio/vorbis"), "ogg"),
    **dict.fromkeys(("audio/mp4", "audio/m4a", "audio/x-m4a", "video/mp4"), "m4a"),
    **dict.fromkeys(("audio/aac", "audio/x-aac", "audio/aacp"), "aac"),
    **dict.fromkeys(("audio/flac", "audio/x-flac"), "flac"),
    **dict.fromkeys(("audio/webm", "video/webm"), "webm"),
    **dict.fromkeys(("audio/basic", "audio/x-au"), "au"),
    "audio/opus": "opus",
    "audio/amr": "amr",
}
_UNKNOWN = "bin"
_MARKS = (
    (re.compile(rb"ID3"), "mp3"),
    (re.compile(rb"RIFF.{4}WAVE|RF64.{4}WAVE", re.DOTALL), "wav"),
    (re.compile(rb"OggS"), "ogg"),
    (re.compile(rb"fLaC"), "flac"),
    (re.compile(rb".{4}ftyp", re.DOTALL), "m4a"),
    (re.compile(rb"\x1aE\xdf\xa3"), "webm"),
    (re.compile(rb"\.snd"), "au"),
    (re.compile(rb"#!AMR"), "amr"),
    (re.compile(rb"\xff[\xf0\xf1\xf8\xf9]"), "aac"),
    (re.compile(rb"\xff[\xe2-\xe5\xf2-\xf5\xfa-\xfd]"), "mp3"),  # a frame of layer 2 or 3
)
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}(;[ -~]{0,80})?")
_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<[!?/a-zA-Z]|\{\s*[\"}]|\[\s*[\[{\"\]])")
_WRITTEN = ("text/", "application/json", "application/xml", "application/xhtml", "application/problem")
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")


def read_media_type(header: str | None) -> str | None:
    """Return a Content-Type header where it is one, else None."""
    text = (header or "").strip()
    return text if _MEDIA_TYPE.fullmatch(text) else None


def to_extension(content_type: str | None, head: bytes) -> str:
    """Return the ending of an audio file's name: by its content type, else by its first bytes."""
    return _EXTENSIONS.get(_bare(content_type)) or _told_by(head) or _UNKNOWN


def is_text(content_type: str | None, head: bytes) -> bool:
    """Tell whether what came is a text or a page, and no audio."""
    # Bytes that are known to begin an audio file decide, then the content type. Under the type of an audio only
    # markup and JSON are a text; under none that tells, whatever can be read.
    if _told_by(head):
        return False
    bare = _bare(content_type)
    if bare.startswith(_WRITTEN) or bare.endswith(("+json", "+xml")) or _MARKUP.match(head):
        return True
    return not bare.startswith(("audio/", "video/")) and bare not in _EXTENSIONS and _is_readable(head)


def _bare(content_type: str | None) -> str:
    return (content_type or "").partition(";")[0].strip().lower()


def _told_by(head: bytes) -> str | None:
    return next((extension for mark, extension in _MARKS if mark.match(head)), None)


def _is_readable(head: bytes) -> bool:
    if _BINARY.search(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character that the head cuts
    return True
