# SPDX-License-Identifier: Apache-2.0
"""An Airflow of its own for tests that need a database: a home, an SQLite file, and programs run in it."""

from __future__ import annotations

import atexit
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AirflowHome", "read_marked"]

MARK = "FOUND "

_MADE = tempfile.TemporaryDirectory(prefix="synthflow-airflow-")
atexit.register(_MADE.cleanup)


def read_marked(printed: str) -> Any:
    """Return the JSON of the one marked line; Airflow prints what it likes before it and, from 3.4 on, behind it."""
    (line,) = [line for line in printed.splitlines() if line.startswith(MARK)]
    return json.loads(line.removeprefix(MARK))


class AirflowHome:
    """
    An Airflow home, whose database is there at once, and programs that run with it.

    :param home: the directory of the home
    :param env: more environment
    """

    def __init__(self, home: Path, env: Mapping[str, str]) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "SYNTHFLOW"))}
        self.env = {
            **inherited,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),  # Airflow 3.2 runs no DAG without one
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "NO_COLOR": "1",
            "COLUMNS": "300",
            **env,
        }
        made = Path(_MADE.name, "airflow.db")
        if not made.exists():  # the first home's; it takes seconds to make, and no time to copy
            self.airflow("db", "migrate")
            shutil.copy(home / "airflow.db", made)
        shutil.copy(made, home / "airflow.db")

    def run(
        self, *arguments: str, check: bool = True, timeout: float = 600, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """
        Run a Python program to its end.

        :param arguments: what follows `python`
        :param check: whether a failure is an error of the test
        :param timeout: seconds that it may take
        :param env: more environment for this one
        """
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, *arguments], env={**self.env, **env}, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip
        if check and done.returncode:
            msg = f"{arguments} ended with {done.returncode}:\n{done.stdout[-6000:]}\n{done.stderr[-6000:]}"
            raise AssertionError(msg)
        return done

    def airflow(self, *arguments: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """
        Run one command of Airflow's CLI.

        :param arguments: what follows `airflow`
        :param check: whether a failure is an error of the test
        :param env: more environment for this one
        """
        return self.run("-m", "airflow", *arguments, check=check, **env)
