# SPDX-License-Identifier: Apache-2.0
"""The versions of Airflow that are supported, each with a Python that it supports."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ROOT", "VERSIONS", "Version"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Version:
    """
    A line of the matrix.

    :param minor: the minor version of Airflow, such as ``"3.0"``
    :param python: the Python that its tests run on
    """

    minor: str
    python: str

    @property
    def wanted(self) -> Path:
        """What differs from requirements/dev.in."""
        return ROOT / "requirements" / f"matrix-{self.minor}.in"

    @property
    def pins(self) -> Path:
        """All that its environment holds, on the Python of its line in the matrix."""
        return ROOT / "requirements" / f"matrix-{self.minor}.txt"

    @property
    def is_listed(self) -> bool:
        """Whether it is a line of the matrix, and no other Python was asked for."""
        return self in VERSIONS

    @property
    def folder(self) -> Path:
        """Where its environment, its copy of the tests and its log are."""
        return ROOT / ".cache" / "matrix" / (self.minor if self.is_listed else f"{self.minor}-{self.python}")

    @property
    def outcome(self) -> Path:
        """Where it is kept what all its tests came to."""
        return self.folder / "outcome.json"

    @property
    def interpreter(self) -> Path:
        """The Python of its environment."""
        return self.folder / "venv" / "bin" / "python"


VERSIONS = (
    Version("2.11", "3.10"),
    Version("3.0", "3.11"),
    Version("3.1", "3.12"),
    Version("3.2", "3.12"),
    Version("3.3", "3.13"),
    Version("3.4", "3.13"),
)
