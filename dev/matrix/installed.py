# SPDX-License-Identifier: Apache-2.0
"""A pytest plugin that refuses to test anything but the installed package."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

__all__ = ["pytest_sessionfinish", "pytest_sessionstart"]


def pytest_sessionstart() -> None:
    """End the run where the package comes from elsewhere than from this environment."""
    _refuse_others()


def pytest_sessionfinish() -> None:
    """End the run where a test has put another copy of the package before it."""
    _refuse_others()


def _refuse_others() -> None:
    import airflow_provider_synthflow  # noqa: PLC0415 - the tests' settings come first

    found = Path(airflow_provider_synthflow.__file__).resolve()
    if not found.is_relative_to(Path(sys.prefix).resolve()):
        raise pytest.UsageError(f"the tests would run against {found}, not against what is installed")
