# SPDX-License-Identifier: Apache-2.0
"""A lake's files, grouped by agent and window as they are listed."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from airflow_provider_synthflow.exceptions import SynthflowWindowError
from airflow_provider_synthflow.timestamps import to_milliseconds
from airflow_provider_synthflow.window.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_provider_synthflow.storage.base import Store

__all__ = ["Lake", "WindowFiles"]

_DIRECTORY = re.compile(r"model_id=([^/]+)/from_date=([^/]+)/to_date=([^/]+)/(.+)", re.DOTALL)
_COMPACT = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\.\d{1,3})?Z")


@dataclass(frozen=True)
class WindowFiles:
    """The files in the directory of one window."""

    model_id: str
    window: Window
    directory: str  # below the lake
    listed: dict[str, tuple[int, str | None]]  # size and version by path below the directory

    @cached_property
    def files(self) -> dict[str, int]:
        """Return the sizes of the files."""
        return {name: size for name, (size, _) in self.listed.items()}


@dataclass
class Lake:
    """The windows of a store, and how many other files there are."""

    store: Store
    model_ids: Sequence[str] = ()  # empty: all
    others: int = field(default=0, init=False)  # of another tool

    def agents(self) -> Iterator[tuple[str, Iterator[WindowFiles]]]:
        """Yield each agent with its windows, which must be read before the next agent."""
        prefixes = sorted({f"model_id={quote(model_id, safe='')}/" for model_id in self.model_ids}) or [""]
        for prefix in prefixes:
            yield from itertools.groupby(self.list_windows(prefix), lambda each: each.model_id)

    def list_windows(self, prefix: str) -> Iterator[WindowFiles]:
        """Group the files with a prefix into windows; those of one directory are listed one after the other."""
        current: WindowFiles | None = None
        for path, size, version in self.store.list_files(prefix):
            if _is_hidden(path):
                continue  # what a process has not published yet, or a killed one left
            found = _DIRECTORY.fullmatch(path)
            directory = "/".join(path.split("/", 3)[:3]) if found else ""
            if current is not None and directory != current.directory:
                yield current
                current = None
            if found is None:
                self.others += 0 if path.startswith("assistants/") else 1
            elif current is not None:
                current.listed[found[4]] = size, version
            elif (window := _read_window(found[2], found[3])) is None:
                self.others += 1
            else:
                current = WindowFiles(unquote(found[1]), window, directory, {found[4]: (size, version)})
        if current is not None:
            yield current


def _is_hidden(path: str) -> bool:
    return path.startswith(".") or "/." in path


def _read_window(from_date: str, to_date: str) -> Window | None:
    bounds = _read_compact(from_date), _read_compact(to_date)
    try:
        return None if None in bounds else Window(bounds[0] or 0, bounds[1] or 0)
    except SynthflowWindowError:
        return None


def _read_compact(text: str) -> int | None:
    """Parse ``20261123T000000Z``."""
    found = _COMPACT.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction = found.groups(default="")
    try:
        return to_milliseconds(f"{year}-{month}-{day}T{hour}:{minute}:{second}{fraction}Z")
    except ValueError:
        return None
