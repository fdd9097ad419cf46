# SPDX-License-Identifier: Apache-2.0
"""Check that what lies in dist/ is what a tag releases: ``make release TAG=v1.2.3``."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

__all__ = ["find_faults", "main"]

_ROOT = Path(__file__).resolve().parents[1]


def find_faults(tag: str, repository: str, wheel: Path, changelog: str) -> list[str]:
    """Return why a wheel must not be released under a tag; none where it may."""
    with zipfile.ZipFile(wheel) as file:
        (name,) = [name for name in file.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(file.read(name).decode())
    version, faults = metadata["Version"], []
    if tag != f"v{version}":
        faults.append(f"The tag is {tag or 'not given'}, the wheel's version {version}: tag v{version}.")
    if not re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE):
        faults.append(f"CHANGELOG.md has no section [{version}]: rename [Unreleased].")
    urls = [url.partition(", ")[2] for url in metadata.get_all("Project-URL") or []]
    if not repository or repository.rstrip("/") not in urls:
        faults.append("The wheel does not name the repository: set PROJECT_REPOSITORY and build again.")
    relative = re.findall(r"\]\((?!https://|#)([^)\s]+)\)", metadata.get_payload())
    if relative:
        faults.append(f"Links of the README lead nowhere on the package index: {', '.join(relative)}.")
    return faults


def main() -> int:
    """Print what speaks against the release, and return the process's exit code."""
    tag = sys.argv[1] if len(sys.argv) > 1 else ""
    (wheel,) = (_ROOT / "dist").glob("*.whl")
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    faults = find_faults(tag, os.environ.get("PROJECT_REPOSITORY", ""), wheel, changelog)
    print(*(faults or [f"{wheel.name} may be released as {tag}."]), sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
