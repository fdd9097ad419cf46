# SPDX-License-Identifier: Apache-2.0
"""One row a judge's result. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from airflow_provider_synthflow.tables.json_text import NULL, read_members, read_nearest_text
from airflow_provider_synthflow.tables.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["build_judgements"]

_results_decoder = msgspec.json.Decoder(dict[str, str | None])


def build_judgements(results: Sequence[bytes]) -> Rows:
    """Make the rows of calls, given the JSON of each one's ``judge_results``."""
    counts: list[int] = []
    names: list[bytes | None] = []
    values: list[bytes | None] = []
    raws: list[bytes | None] = []
    for raw in results:
        if raw in (NULL, b"{}"):
            counts.append(0)
            continue
        try:
            texts = _results_decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError):
            count = _read_odd(raw, names, values, raws)
        else:
            count = len(texts)
            names += [name.encode() for name in texts]
            values += [text if text is None else text.encode() for text in texts.values()]
            raws += [None] * count
        counts.append(count)
    return Rows(counts, (names, values, raws))


def _read_odd(raw: bytes, names: list[bytes | None], values: list[bytes | None], raws: list[bytes | None]) -> int:
    """Read results of which not every one is a text, and return how many there are."""
    members = read_members(raw)
    if members is None:
        names.append(None)
        values.append(None)
        raws.append(raw)
        return 1
    for name, value in members.items():
        text, fits = read_nearest_text(value)
        names.append(name.encode())
        values.append(text)
        raws.append(None if fits else value)
    return len(members)
