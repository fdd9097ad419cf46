# SPDX-License-Identifier: Apache-2.0
"""A virtual environment for each peer, with the versions that requirements/ pins; made when first asked for."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

__all__ = ["REQUIREMENTS", "python_of"]

REQUIREMENTS = Path(__file__).resolve().parent / "requirements"
_UV = Path(sys.executable).parent / "uv"


def python_of(name: str, folder: Path) -> Path:
    """
    Return the interpreter of an environment; the first time, and after a change of its pins, it is made.

    :param name: the requirements file's name
    :param folder: where the environments are
    """
    pins = REQUIREMENTS / f"{name}.txt"
    made = folder / name
    python = made / "bin" / "python"
    stamp = made / "pins"
    pinned = hashlib.sha256(pins.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != pinned:
        print(f"making the environment of {name}", flush=True)
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(made))
        _uv("pip", "sync", "--quiet", "--python", str(python), str(pins))
        stamp.write_text(pinned)
    return python


def _uv(*arguments: str) -> None:
    subprocess.run([str(_UV), *arguments], check=True)  # noqa: S603 - the uv that `make install` brought
