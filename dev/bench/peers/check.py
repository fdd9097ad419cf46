# SPDX-License-Identifier: Apache-2.0
"""
Count the different calls, or the whole recordings, that a reader left in its folder: `python check.py FOLDER`.

It runs where pyarrow is.
"""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    from collections.abc import Iterator


def ids_of(path: Path) -> Iterator[str]:
    """Yield the call ids of one file; of a recording where it is as long as its call's id says."""
    if path.suffix == ".mp3":
        if path.stat().st_size == int(path.stem.rpartition("-")[2]):
            yield path.stem
        return
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq  # noqa: PLC0415 - only this format needs it

        yield from pq.read_table(path, columns=["call_id"]).column("call_id").to_pylist()
        return
    with path.open("rb") as file:
        begin = file.read(4)
        file.seek(0)
        lines: io.IOBase = file
        if begin.startswith(b"\x1f\x8b"):
            lines = gzip.open(file)  # noqa: SIM115 - it has nothing to close
        elif begin == b"\x28\xb5\x2f\xfd":
            lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
        for line in lines:
            yield json.loads(line)["call_id"]


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of calls; dlt's own tables and working folders are none, nor are our tables beside the calls."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        aside = inside[0] == "pipelines" or any(part.startswith("_dlt") for part in inside)
        aside = aside or ((path.parent / "_manifest.json").exists() and not path.name.startswith("calls."))
        if path.is_file() and path.name.endswith((".jsonl", ".gz", ".zst", ".parquet", ".mp3")) and not aside:
            yield path


if __name__ == "__main__":
    print(len({each for path in files_of(Path(sys.argv[1])) for each in ids_of(path)}))
