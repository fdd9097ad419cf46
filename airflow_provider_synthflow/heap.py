# SPDX-License-Identifier: Apache-2.0
"""The memory that threads get from the system's C library."""

from __future__ import annotations

import ctypes
import functools
import platform

__all__ = ["share_one_heap"]

_ARENA_MAX = -8  # M_ARENA_MAX of glibc's malloc.h


@functools.cache
def share_one_heap() -> bool:
    """
    Let the threads that are started from now on share one heap, where the C library is glibc.

    It would give each thread a heap of its own. Pages are made in one thread and used up in another, which leaves
    holes in the first one's heap: with eight threads, 100,000 calls held 14 MiB more (docs/performance.md). Python's
    threads hardly ever allocate at the same moment, so that one heap costs them no time.

    :return: whether the library took the setting, which then holds for this process
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_ARENA_MAX, 1))
    except (AttributeError, OSError):  # a library that only looks like it
        return False
