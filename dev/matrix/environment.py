# SPDX-License-Identifier: Apache-2.0
"""An environment with one version of Airflow and the built wheel, and a folder with the tests but not the package."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dev.matrix.versions import ROOT

if TYPE_CHECKING:
    from dev.matrix.versions import Version

__all__ = ["copy_tests", "environment_of", "install", "the_wheel"]

_COPIED = (
    "tests",
    "dev",
    "deploy",
    "hatch_build.py",
    "docs",
    "example_dags",
    "requirements",
    "*.md",
    "Makefile",
    "pyproject.toml",
)


def the_wheel() -> Path:
    """Return the wheel that `make build` has left in dist/."""
    (wheel,) = (ROOT / "dist").glob("*.whl")
    return wheel


def environment_of(version: Version) -> dict[str, str]:
    """Return the variables of programs in that environment: nothing of ours, its own commands first."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "_AIRFLOW", "SYNTHFLOW", "PYTHON", "PYTEST", "VIRTUAL_ENV", "MAKE"))
    }
    commands = os.pathsep.join([str(version.interpreter.parent), kept.get("PATH", os.defpath)])
    home = version.folder / "home"  # Airflow writes its settings there, and each version others
    return kept | {"PATH": commands, "AIRFLOW_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}


def install(version: Version, wheel: Path, *, browser: bool = False) -> None:
    """
    Make the environment where it is not as pinned, and put the wheel into it.

    :param version: the line of the matrix
    :param wheel: what `make build` has made
    :param browser: whether tests drive a browser
    """
    stamp = version.folder / "installed"
    pins = hashlib.sha256(version.pins.read_bytes() + version.python.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text(encoding="ascii") != pins:
        shutil.rmtree(version.folder, ignore_errors=True)
        _uv("venv", "--python", _interpreter(version.python), str(version.folder / "venv"))
        _uv("pip", "sync", "--python", str(version.interpreter), str(_pins_for_its_python(version)))
        stamp.write_text(pins, encoding="ascii")
    _uv("pip", "install", "--python", str(version.interpreter), "--no-deps", "--reinstall", str(wheel))
    if browser:
        pins = (ROOT / "requirements" / "e2e.txt").read_text(encoding="utf-8").splitlines()
        (driver,) = [line for line in pins if line.startswith("playwright==")]
        _uv("pip", "install", "--python", str(version.interpreter), "--constraint", str(version.pins), driver)


def _pins_for_its_python(version: Version) -> Path:
    """Return the pins of the matrix, for another Python with those replaced that do not fit it."""
    if version.is_listed:
        return version.pins
    pins = version.folder / "pins.txt"
    shutil.copy2(version.pins, pins)  # uv keeps what is in the file and still fits
    _uv(
        "pip", "compile", "--python-version", version.python, "--no-header", "--no-annotate",
        "--override", str(version.wanted), str(ROOT / "requirements" / "dev.in"), "--output-file", str(pins),
    )  # fmt: skip
    return pins


def copy_tests(version: Version) -> Path:
    """Copy what the tests need of the working tree, but not the package; return the folder."""
    tree = version.folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    listed = subprocess.run(  # noqa: S603 - our own program
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *_COPIED],  # noqa: S607 - likewise
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("airflow_provider_synthflow/"):
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)
    return tree


def _interpreter(python: str) -> str:
    """Return a Python of that version: pyenv's where it has one, else whatever uv finds."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = sorted(root.glob(f"versions/{python}.*/bin/python"))
    return str(found[-1]) if found else python


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    done = subprocess.run([uv, "--quiet", *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    if done.returncode:
        raise SystemExit(f"uv {' '.join(arguments)}:\n{done.stdout}\n{done.stderr}")
