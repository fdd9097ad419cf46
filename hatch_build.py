# SPDX-License-Identifier: Apache-2.0
"""
The address of the repository in the package's metadata, from one variable of the build.

``PROJECT_REPOSITORY``, such as ``https://github.com/owner/name``, gives the project's addresses, and makes each link
of README.md lead to the repository as of the version, since the package index shows that file alone. Without the
variable a build has neither; with ``PROJECT_RELEASE`` it fails. What is built from an sdist has what the sdist has.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

__all__ = ["RepositoryMetadataHook", "make_links_absolute", "make_urls", "read_repository"]

_ADDRESS = re.compile(r"https://[\w.-]+(/[\w.-]+){2,}")
_LINK = re.compile(r"(?P<image>!?)(?P<text>\[[^\]]*\])\((?P<path>(?!https?://|mailto:|#)[^)\s]+)\)")


class RepositoryMetadataHook(MetadataHookInterface):
    """The package's readme and addresses, which hatch takes as dynamic metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add what the sdist does not bring already."""
        repository = read_repository(os.environ)
        version = _read_version(Path(self.root))
        if "readme" not in metadata:
            text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
            text = make_links_absolute(text, repository, version) if repository else text
            metadata["readme"] = {"content-type": "text/markdown", "text": text}
        if "urls" not in metadata:
            metadata["urls"] = make_urls(repository, version)


def read_repository(environment: os._Environ[str] | dict[str, str]) -> str | None:
    """Return the repository's address, or None where the build is no release and has none."""
    repository = environment.get("PROJECT_REPOSITORY", "").rstrip("/")
    if repository and not _ADDRESS.fullmatch(repository):
        msg = "PROJECT_REPOSITORY must be an address such as https://github.com/owner/name."
        raise ValueError(msg)
    if not repository and environment.get("PROJECT_RELEASE"):
        msg = "A release needs PROJECT_REPOSITORY, such as https://github.com/owner/name, for its links."
        raise ValueError(msg)
    return repository or None


def make_urls(repository: str | None, version: str) -> dict[str, str]:
    """Return the project's addresses by the names that the package index knows."""
    urls = {"Synthflow API": "https://docs.synthflow.ai/"}
    if repository:
        urls |= {
            "Changelog": f"{repository}/blob/v{version}/CHANGELOG.md",
            "Documentation": f"{repository}/blob/v{version}/docs/index.md",
            "Issues": f"{repository}/issues",
            "Source": repository,
        }
    return urls


def make_links_absolute(text: str, repository: str, version: str) -> str:
    """Return Markdown whose links to files lead to the repository as of a version, those of pictures to their bytes."""

    def replace(match: re.Match[str]) -> str:
        kind = "raw" if match["image"] else "blob"
        return f"{match['image']}{match['text']}({repository}/{kind}/v{version}/{match['path']})"

    return _LINK.sub(replace, text)


def _read_version(root: Path) -> str:
    text = (root / "airflow_provider_synthflow" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    return str(version)
