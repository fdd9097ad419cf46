# SPDX-License-Identifier: Apache-2.0
"""
How often something is tried: less while somebody waits.

All examples of a property with ``THOROUGH=1``, as in .ci/nightly; all rounds of kills and races with
``THOROUGH_ROUNDS=1``.
"""

from __future__ import annotations

import os

__all__ = ["DEFAULT_EXAMPLES", "count_examples", "count_rounds"]

_THOROUGH = bool(os.environ.get("THOROUGH"))
_THOROUGH_ROUNDS = bool(os.environ.get("THOROUGH_ROUNDS"))


def count_examples(full: int) -> int:
    """Return how many examples to try where a thorough run tries ``full``."""
    return full if _THOROUGH else max(10, full // 5)


def count_rounds(few: int, full: int) -> int:
    """Return how many rounds of kills or races to go through: a few minutes of them, or all."""
    return full if _THOROUGH_ROUNDS else few


DEFAULT_EXAMPLES = count_examples(100)
"""For a property that names no number; 100 is Hypothesis's own."""
