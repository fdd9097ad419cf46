# SPDX-License-Identifier: Apache-2.0
"""Where to read why a run of the demonstration failed, and the last error of each log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["explain_failure"]

_SHOWN = 5
_WIDTH = 200


def explain_failure(home: Path) -> list[str]:
    """Return lines that name the logs below an Airflow home, the last error in each first."""
    lines = []
    for log in sorted(home.glob("logs/dag_id=*/**/attempt=*.log"), key=lambda path: path.stat().st_mtime):
        if error := _read_last_task_error(log):
            lines += [f"{log}:", f"  {error[:_WIDTH]}"]
    lines = lines[-2 * _SHOWN :]  # of the tasks that ended last
    processes = home / "airflow.log"
    lines.append(f"Airflow's own processes, also of tasks that never began: {processes}")
    if processes.exists():
        text = processes.read_text(encoding="utf-8", errors="replace").splitlines()
        lines += [f"  {line[:_WIDTH]}" for line in text if "[error" in line or "[critical" in line][-_SHOWN:]
    return lines


def _read_last_task_error(log: Path) -> str | None:
    """Return the text of the last error of a task's log, a JSON object a line."""
    found = None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level") in {"error", "critical"}:
            found = str(entry.get("event"))
    return found
