# SPDX-License-Identifier: Apache-2.0
"""See to it that nothing that was started, directly or not, outlives this process."""

from __future__ import annotations

import contextlib
import ctypes
import os

import psutil

__all__ = ["adopt_orphans", "end_all"]

_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of whatever loses its own, so that all that comes of this process stays findable."""
    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_all() -> list[str]:
    """Kill what still lives of all that came of this process, and return its command lines."""
    found = []
    for _ in range(3):  # once more, since what forks at this moment is not yet in the list
        living = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if process.status() != psutil.STATUS_ZOMBIE:
                    found.append(" ".join(process.cmdline())[:120])
                    process.kill()
                    living.append(process)
        psutil.wait_procs(living, timeout=5)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    return found
