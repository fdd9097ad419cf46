# SPDX-License-Identifier: Apache-2.0
"""The progress of an audit: a bar in a terminal, or lines in a log."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BarProgress", "LogProgress", "Progress"]

log = logging.getLogger(__name__)

_SECONDS = 15.0


class Progress:
    """The progress of an audit, part by part of its work."""

    def __init__(self) -> None:
        self._work = ""
        self._total: int | None = None
        self._done = self._calls = self._size = 0

    def begin(self, work: str, total: int | None) -> None:
        """Begin another part of the work, of so many steps."""
        self._work, self._total = work, total
        self._done = self._calls = self._size = 0

    def advance(self, calls: int = 0, size: int = 0) -> None:
        """Count a step, and its calls and bytes."""
        self._done += 1
        self._calls += calls
        self._size += size
        self._show()

    def _show(self) -> None:
        raise NotImplementedError

    def _amounts(self) -> str:
        if not (self._size or self._calls):
            return ""
        return f"{self._calls:,} calls, {self._size / 1_000_000:,.0f} MB"


class LogProgress(Progress):
    """The progress as a line in the log, from time to time."""

    def __init__(self) -> None:
        super().__init__()
        self._told = time.monotonic()

    def _show(self) -> None:
        if time.monotonic() - self._told >= _SECONDS:
            self._told = time.monotonic()
            of_all = "" if self._total is None else f" of {self._total:,}"
            log.info("%s: %s%s, %s.", self._work, f"{self._done:,}", of_all, self._amounts())


class BarProgress(Progress, AbstractContextManager["BarProgress"]):
    """The progress as a bar in a terminal, on standard error."""

    def __init__(self) -> None:
        super().__init__()
        columns: tuple[Any, ...] = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[amounts]}", markup=False),
            TimeElapsedColumn(),
        )
        self._bars = Bars(*columns, console=Console(stderr=True), transient=True)
        self._task: Any = None

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar."""
        self._bars.stop()

    def begin(self, work: str, total: int | None) -> None:
        """Begin another part of the work, with a bar of its own."""
        super().begin(work, total)
        if self._task is not None:
            self._bars.remove_task(self._task)
        self._task = self._bars.add_task(work, total=total, amounts="")

    def _show(self) -> None:
        self._bars.update(self._task, advance=1, amounts=self._amounts())
