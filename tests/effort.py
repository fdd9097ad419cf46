# SPDX-License-Identifier: Apache-2.0
"""How many examples a property is tried with: a fifth while somebody waits, all with ``THOROUGH=1``, as in .ci/run."""

from __future__ import annotations

import os

__all__ = ["DEFAULT_EXAMPLES", "count_examples"]

_THOROUGH = bool(os.environ.get("THOROUGH"))


def count_examples(full: int) -> int:
    """Return how many examples to try where a thorough run tries ``full``."""
    return full if _THOROUGH else max(10, full // 5)


DEFAULT_EXAMPLES = count_examples(100)
"""For a property that names no number; 100 is Hypothesis's own."""
