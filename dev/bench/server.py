# SPDX-License-Identifier: Apache-2.0
"""The server of `make bench`: server.c where a C compiler is, else pages.py; on a core of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.bench.data import Dataset

__all__ = ["BenchServer", "clients_core", "command_of", "pin", "run_server", "server_core"]

_HERE = Path(__file__).resolve().parent


class BenchServer:
    """
    Tell where the server is.

    :param port: its port on 127.0.0.1
    :param kind: how it was made
    """

    def __init__(self, port: int, kind: str) -> None:
        self.port = port
        self.kind = kind

    def url(self, wait_ms: int = 0, calls: int | None = None) -> str:
        """
        Return the base URL at which each answer comes so long after its request.

        :param wait_ms: milliseconds
        :param calls: how many calls are there, the newest; default: all
        """
        wait = f"/wait-{wait_ms}" if wait_ms else ""
        first = "" if calls is None else f"/first-{calls}"
        return f"http://127.0.0.1:{self.port}{wait}{first}/v2"


def pin(core: int | None) -> None:
    """
    Keep this process on one core, where the system can.

    :param core: its number; None: on any
    """
    if core is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {core})


def server_core() -> int | None:
    """Return the core for the server: the first, where there is another one for the clients."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return cores[0] if len(cores) > 1 else None


def clients_core() -> int | None:
    """Return the core for all clients: the last, where the server has another one."""
    return None if server_core() is None else max(os.sched_getaffinity(0))


def command_of(folder: Path, *, compiled: bool = True) -> tuple[list[str], str]:
    """
    Return the command that starts the server, without its arguments, and how it was made.

    :param folder: where to keep the compiled program
    :param compiled: whether to compile one, if there is a compiler
    """
    compiler = (shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")) if compiled else None
    if compiler is not None:
        folder.mkdir(parents=True, exist_ok=True)
        program = folder / "server"
        source = _HERE / "server.c"
        if program.exists() and program.stat().st_mtime > source.stat().st_mtime:
            return [str(program)], "C, epoll"
        made = subprocess.run(  # noqa: S603 - the compiler of this machine and our own source
            [compiler, "-O2", "-o", str(program), str(source)], capture_output=True, text=True, check=False
        )
        if made.returncode == 0:
            return [str(program)], "C, epoll"
    return [sys.executable, str(_HERE / "pages.py")], "Python, asyncio (no C compiler, or it refused)"


@contextlib.contextmanager
def run_server(dataset: Dataset, folder: Path, *, compiled: bool = True) -> Iterator[BenchServer]:
    """
    Run the server on a free port until the block ends.

    :param dataset: what it serves
    :param folder: where to keep the compiled program
    :param compiled: whether to compile one, if there is a compiler
    """
    command, kind = command_of(folder, compiled=compiled)
    core = server_core()
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, str(dataset.rows), str(dataset.index)],
        stdin=subprocess.PIPE,  # its end ends the server, also where this process is killed
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: pin(core),  # noqa: PLW1509 - there are no threads yet
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line.startswith("port "):
            msg = f"The server did not start: {command[0]}"
            raise RuntimeError(msg)
        yield BenchServer(int(line.split()[1]), kind)
    finally:
        process.stdin.close()
        process.wait(timeout=10)
        process.stdout.close()
