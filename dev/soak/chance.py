# SPDX-License-Identifier: Apache-2.0
"""Choose by chance, the same for the same seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ChancePicker"]


class ChancePicker:
    """
    Choose by chance.

    :param seed: equal seeds give equal choices
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - guards nothing

    def one_of(self, choices: Sequence[Any]) -> Any:
        """Choose one."""
        return self._random.choice(choices)

    def number(self, low: int, high: int) -> int:
        """Choose a whole number, both ends included."""
        return self._random.randint(low, high)
