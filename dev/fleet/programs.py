# SPDX-License-Identifier: Apache-2.0
"""The programs of Debian's packages that the fleet runs: PostgreSQL and Redis."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["find_programs"]

_PACKAGES = ("postgresql", "redis-server")
_PROGRAMS = ("initdb", "postgres", "pg_isready", "redis-server")


def find_programs() -> dict[str, str]:
    """
    Return the path of each program by its name; install Debian's packages where one is missing.

    :raises SystemExit: where one is missing and cannot be installed, with what to do
    """
    found = _find()
    if len(found) < len(_PROGRAMS):
        _install()
        found = _find()
    missing = sorted(set(_PROGRAMS) - found.keys())
    if missing:
        msg = f"{', '.join(missing)} missing: install {' and '.join(_PACKAGES)}, as `apt-get install` does on Debian."
        raise SystemExit(msg)
    return found


def _find() -> dict[str, str]:
    """Look on the path and, for PostgreSQL, where Debian keeps its programs, the newest version first."""
    homes = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda home: int(home.parent.name), reverse=True)
    path = os.pathsep.join([*map(str, homes), os.environ.get("PATH", os.defpath)])
    return {name: where for name in _PROGRAMS if (where := shutil.which(name, path=path))}


def _install() -> None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    # The packages' own services are not wanted: no cluster is made, and nothing is started.
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *_PACKAGES]):
        subprocess.run(["apt-get", "--quiet", *command], env=env, stdout=subprocess.DEVNULL, check=False)  # noqa: S603, S607
