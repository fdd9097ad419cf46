# SPDX-License-Identifier: Apache-2.0
"""How hypothesis searches for a lost call: the same cases each time, and as long as they take."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

__all__ = ["search"]


def search(examples: int) -> settings:
    """
    Return the settings of a search.

    :param examples: how many scenarios are tried
    """
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example, HealthCheck.data_too_large],
    )
