# SPDX-License-Identifier: Apache-2.0
"""Which Airflow runs the tests, and what an older one lacks."""

from __future__ import annotations

from importlib.metadata import version

import pytest

__all__ = ["AIRFLOW", "needs_airflow"]

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
"""The minor version that runs the tests, such as ``(3, 3)``."""


def needs_airflow(minor: str, what: str) -> pytest.MarkDecorator:
    """
    Skip a test where Airflow lacks what it is about; docs/compatibility.md lists each of these.

    :param minor: the first version that has it, such as ``"3.2"``
    :param what: what is lacking before, such as ``"partitioned runs"``
    """
    older = tuple(int(part) for part in minor.split(".")) > AIRFLOW
    return pytest.mark.skipif(older, reason=f"new in Airflow {minor}: {what}")
