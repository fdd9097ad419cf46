# SPDX-License-Identifier: Apache-2.0
"""Keep each scenario that ever lost or doubled a call, as a file of data."""

from __future__ import annotations

from pathlib import Path

import msgspec

from dev.soak.scenario import Scenario

__all__ = ["load_regressions", "save_regression"]

_FOLDER = Path(__file__).parent / "found"


def load_regressions() -> dict[str, Scenario]:
    """Return all scenarios that are kept, by their names."""
    return {path.stem: msgspec.json.decode(path.read_bytes(), type=Scenario) for path in sorted(_FOLDER.glob("*.json"))}


def save_regression(scenario: Scenario, name: str) -> Path:
    """
    Keep a scenario.

    :param scenario: the scenario
    :param name: what it shows, in a few words with dashes
    """
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"{name}.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(scenario), indent=1) + b"\n")
    return path
