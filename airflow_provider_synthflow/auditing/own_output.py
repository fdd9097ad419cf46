# SPDX-License-Identifier: Apache-2.0
"""Standard output for a command's result alone; this module loads nothing that could write there."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["own_output"]


@contextlib.contextmanager
def own_output() -> Iterator[IO[str]]:
    """Hand out standard output; what any library writes there meanwhile goes to standard error."""
    output = sys.stdout
    try:
        own, error = output.fileno(), sys.stderr.fileno()
    except (OSError, ValueError):  # replaced, as in a notebook or a test
        with contextlib.redirect_stdout(sys.stderr):
            yield output
        output.flush()
        return
    output.flush()
    kept = os.dup(own)
    os.dup2(error, own)
    try:
        with os.fdopen(kept, "w", encoding="utf-8", closefd=False) as result:
            yield result
    finally:
        output.flush()
        os.dup2(kept, own)
        os.close(kept)
