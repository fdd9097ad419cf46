# SPDX-License-Identifier: Apache-2.0
"""Run blocks of shell commands in one shell, as a person at a terminal does, and keep what each printed."""

from __future__ import annotations

import contextlib
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Ran", "run_blocks"]

_MARK = "@@ block"


@dataclass(frozen=True)
class Ran:
    """
    Hold what a block did.

    :param printed: what it wrote to both outputs
    :param seconds: how long it took
    """

    printed: str
    seconds: float


def run_blocks(
    blocks: Sequence[str], *, folder: Path, env: Mapping[str, str], typed: str, timeout: float
) -> tuple[list[Ran], int]:
    """
    Run blocks one after the other in one bash with job control, up to the first command that fails.

    Nothing that they started is left running.

    :param blocks: the commands of each
    :param folder: where the shell starts; its files are put beside it
    :param env: its whole environment; `HOME` is a folder of this run alone
    :param typed: what it is typed when a command asks
    :param timeout: seconds for all of them
    :return: what each block did, as far as they came, and the shell's exit code
    """
    lines = ["set -em"]
    for number, block in enumerate(blocks):
        lines += [f"echo; echo '{_MARK}' {number} $(date +%s.%N)", block]
    script, output = (folder.with_name(f"{folder.name}.{ending}") for ending in ("sh", "out"))
    script.write_text("\n".join(lines), encoding="utf-8")
    with output.open("wb") as file:  # not a pipe: what runs in the background would hold it open
        shell = subprocess.Popen(  # noqa: S603 - the tutorial's own commands
            ["/bin/bash", str(script)], cwd=folder, env=dict(env), stdin=subprocess.PIPE, stdout=file,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                shell.communicate(typed.encode(), timeout=timeout)
        finally:
            _end_all(env["HOME"])
            code = shell.wait(timeout=10)
    return _split(output.read_text(encoding="utf-8", errors="replace"), time.time()), code


def _split(printed: str, end: float) -> list[Ran]:
    pieces = printed.split(f"\n{_MARK} ")[1:]
    starts = [float(piece.split("\n", 1)[0].split()[1]) for piece in pieces]
    texts = [piece.split("\n", 1)[1] for piece in pieces]
    return [Ran(text, until - start) for text, start, until in zip(texts, starts, [*starts[1:], end], strict=True)]


def _end_all(home: str) -> None:
    """End what the shell started, and the shell: all that has its home, which nothing else has."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("HOME") == home:
                process.kill()
