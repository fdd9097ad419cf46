# SPDX-License-Identifier: Apache-2.0
"""Have the system write a file to its disk while more of it comes, so that little is left when it is to be safe."""

from __future__ import annotations

import contextlib
import ctypes
import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["begin_writeback"]

_WRITE = 2  # SYNC_FILE_RANGE_WRITE of Linux's fs.h: begin, and wait for nothing


def begin_writeback(descriptor: int, begin: int, end: int) -> None:
    """
    Ask Linux to begin writing a part of a file to its disk; elsewhere nothing happens.

    It is a hint: whether anything is on the disk, only ``os.fsync`` tells, and its errors.

    :param descriptor: the open file
    :param begin: the first byte
    :param end: the byte after the last
    """
    call = _sync_file_range()
    if call is not None:
        call(descriptor, begin, end - begin, _WRITE)


@functools.cache
def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """Return the call of the C library, which Python's own ``os`` lacks; None where there is none."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        call = ctypes.CDLL(None).sync_file_range
        call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        return call
    return None
