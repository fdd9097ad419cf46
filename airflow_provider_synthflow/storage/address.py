# SPDX-License-Identifier: Apache-2.0
"""What a path or a URL says: its store, its bucket, the name there, and the connection."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["FileAddress"]


@dataclass(frozen=True)
class FileAddress:
    """The address of a file or a directory, taken apart."""

    scheme: str
    """The store's scheme, such as ``s3``; ``file`` for a local disk."""
    bucket: str
    """The bucket or container; empty for a local disk."""
    key: str
    """The name in the bucket, or the path on the local disk."""
    within: str = ""
    """What stands before an ``@`` in front of the bucket: an Airflow connection."""

    @classmethod
    def parse(cls, path: str) -> FileAddress:
        """Read a plain path, or a URL."""
        if "://" not in path:
            return cls("file", "", path)
        # Not urlsplit for what follows: a question mark or a hash sign in a key is part of the key.
        scheme, _, rest = path.partition("://")
        bucket, slash, key = rest.partition("/")
        if scheme == "file":
            return cls("file", "", slash + key)
        within, _, bucket = bucket.rpartition("@")
        return cls(scheme, bucket, key, within)

    @property
    def is_local(self) -> bool:
        """Tell whether it is a place on a local disk."""
        return self.scheme == "file"

    @property
    def url(self) -> str:
        """Return the URL in its store, without the connection."""
        return f"{self.scheme}://{self.bucket}/{self.key}"

    @property
    def console(self) -> str:
        """Return the address of the file in its store's web console, or nothing where there is none."""
        if self.scheme in {"s3", "s3a"}:
            return f"https://s3.console.aws.amazon.com/s3/object/{self.bucket}?prefix={quote(self.key, safe='')}"
        if self.scheme in {"gs", "gcs"}:
            return f"https://console.cloud.google.com/storage/browser/_details/{self.bucket}/{quote(self.key)}"
        return ""

    @property
    def dataset(self) -> tuple[str, str]:
        """Return the namespace and the name that OpenLineage's naming rules give the file."""
        if self.scheme == "file":
            return "file", self.key
        scheme = {"s3a": "s3", "gcs": "gs"}.get(self.scheme, self.scheme)
        return f"{scheme}://{self.bucket}", self.key
