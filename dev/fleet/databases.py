# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL and Redis, each with a data folder of its own, on loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

from dev.fleet.service import Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Postgres", "Redis"]

_USER = "airflow"
_DATABASE = "postgres"


class Postgres(Service):
    """
    Run PostgreSQL.

    :param folder: the folder that its own is made in
    :param programs: the paths of its programs
    """

    stop_signal = signal.SIGINT  # it ends the connections and then itself

    def __init__(self, folder: Path, programs: Mapping[str, str]) -> None:
        super().__init__("postgres", folder)
        self._programs = programs
        self._data = self.folder / "data"
        self.address = f"{_USER}@127.0.0.1:{self.port}/{_DATABASE}"

    def prepare(self) -> None:
        """Make the cluster, new."""
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self._data, user.pw_uid, user.pw_gid)
        subprocess.run(  # noqa: S603
            [*_as_ordinary_user(), self._programs["initdb"], "--pgdata", str(self._data), "--username", _USER,
             "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"],
            cwd=self.folder, stdout=subprocess.DEVNULL, check=True,
        )  # fmt: skip

    def command(self) -> Sequence[str]:
        """Return what to run."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "300",
            "fsync": "off",  # nobody pulls the plug of this machine
        }
        options = [text for name, value in settings.items() for text in ("-c", f"{name}={value}")]
        return [*_as_ordinary_user(), self._programs["postgres"], "-D", str(self._data), "-p", str(self.port), *options]

    def start(self) -> None:
        """Start the server and wait until it takes queries."""
        super().start()
        subprocess.run(  # noqa: S603
            [
                self._programs["pg_isready"],
                "--quiet",
                "--host",
                "127.0.0.1",
                "--port",
                str(self.port),
                "--timeout",
                "30",
            ],
            check=True,
        )


class Redis(Service):
    """
    Run Redis, which writes down what it is told, so that a restart forgets nothing.

    :param folder: the folder that its own is made in
    :param programs: the paths of its programs
    """

    def __init__(self, folder: Path, programs: Mapping[str, str]) -> None:
        super().__init__("redis", folder)
        self._programs = programs
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> Sequence[str]:
        """Return what to run."""
        options = {"bind": "127.0.0.1", "port": str(self.port), "dir": str(self.folder), "appendonly": "yes"}
        return [
            self._programs["redis-server"],
            *[text for name, value in options.items() for text in (f"--{name}", value)],
            "--save", "",
        ]  # fmt: skip


def _as_ordinary_user() -> list[str]:
    """
    Return what goes before a command of PostgreSQL, which refuses to be run by root.

    As the user postgres it may still walk through folders that are root's alone, as a home folder is.
    """
    if os.geteuid() != 0:
        return []
    capability = "+dac_read_search"
    return [
        "setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups",
        "--inh-caps", capability, "--ambient-caps", capability,
    ]  # fmt: skip
