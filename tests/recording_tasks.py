# SPDX-License-Identifier: Apache-2.0
"""Processes that store recordings, which a test starts, kills and asks for what they told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from typing_extensions import Self

__all__ = ["Tasks"]

ROOT = Path(__file__).resolve().parents[1]


class Tasks:
    """Processes that store recordings, one after the other."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.recording_child", *arguments]
        self._program = subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def __enter__(self) -> Self:
        assert self._program.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        self._program.communicate(timeout=60)

    def start(self) -> int:
        """Start one, and return its process."""
        print(file=self._program.stdin, flush=True)
        return int(self._program.stdout.readline())

    def wait_for_end(self) -> dict[str, Any] | None:
        """Return its result, or None where it was killed before it had one."""
        print(file=self._program.stdin, flush=True)
        line = self._program.stdout.readline()
        if line == "ended\n":
            return None
        assert self._program.stdout.readline() == "ended\n"
        return json.loads(line)
