# SPDX-License-Identifier: Apache-2.0
"""A server in a process group of its own, with its own folder and port."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.airflow_deployment import free_ports

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

__all__ = ["PythonService", "Service", "await_port"]

_REPOSITORY = Path(__file__).resolve().parents[2]


class Service:
    """
    Run one server while the context lasts; it can be stopped and started again at the same port.

    :param name: its name, also of its folder
    :param folder: the folder that its own is made in
    """

    stop_signal = signal.SIGTERM

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        (self.port,) = free_ports(1)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def prepare(self) -> None:
        """Make what the server needs, once."""

    def command(self) -> Sequence[str]:
        """Return what to run; it stays in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                list(self.command()),
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        await_port(self.port, self.name, self._process, self.log)

    def stop(self) -> None:
        """Stop the server and all of its process group."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(self.stop_signal)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=15)


class PythonService(Service):
    """
    Run a module of this repository as a server.

    :param name: its name, also of its folder
    :param folder: the folder that its own is made in
    :param module: the module
    :param arguments: its arguments; the port and the folder come first
    """

    def __init__(self, name: str, folder: Path, module: str, arguments: Sequence[str] = ()) -> None:
        super().__init__(name, folder)
        self._module = module
        self._arguments = list(arguments)

    def command(self) -> Sequence[str]:
        """Return what to run."""
        return [sys.executable, "-m", self._module, str(self.port), str(self.folder), *self._arguments]

    def switch(self, name: str, *, on: bool) -> None:
        """
        Turn one of the server's switches, which are files in its folder.

        :param name: the switch
        :param on: whether the file is there
        """
        path = self.folder / name
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)


def await_port(port: int, name: str, process: subprocess.Popen[bytes], log: Path, *, seconds: float = 60) -> None:
    """
    Wait until a port of this machine takes connections.

    :param port: the port
    :param name: whose it is
    :param process: what is to open it
    :param log: what is shown where it never does
    :param seconds: how long to wait
    :raises RuntimeError: where it never does
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as one:
            one.settimeout(1)
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-3000:]
    msg = f"{name} did not open its port. Its log ends with:\n{tail}"
    raise RuntimeError(msg)
