# SPDX-License-Identifier: Apache-2.0
"""Read off what a group of processes uses, and how late polls came."""

from __future__ import annotations

import contextlib
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["cpu_seconds", "lateness", "memory_bytes", "quantile", "slope_per_minute"]


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Return the processor time of all of them together, since they began."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def memory_bytes(processes: Iterable[psutil.Process]) -> int:
    """Return the memory that is theirs alone, together."""
    total = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().uss
    return total


def lateness(polls: Mapping[str, Sequence[float]], interval: float) -> list[float]:
    """Return by how many seconds each poll came later than an interval after the one before; 0 for none."""
    return [
        max(0.0, later - sooner - interval) for times in polls.values() for sooner, later in pairwise(sorted(times))
    ]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of all values is."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def slope_per_minute(samples: Sequence[tuple[float, float]]) -> float:
    """Return by how much a value grows in a minute, by the straight line that fits best."""
    if len(samples) < 2:
        return 0.0
    return statistics.linear_regression([at for at, _ in samples], [value for _, value in samples]).slope * 60
