# SPDX-License-Identifier: Apache-2.0
"""What a file's address says: its store, its bucket and its name there."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

__all__ = ["FileAddress"]

_WITH_CONNECTION = frozenset({"s3", "s3a", "gs", "gcs"})
"""Where what stands before the bucket is the Airflow connection; on Azure it is the container."""


@dataclass(frozen=True)
class FileAddress:
    """
    The address of a file, taken apart.

    :param scheme: the store's scheme, such as ``s3``; ``file`` for a local disk
    :param bucket: the bucket, or container and account; empty for a local disk
    :param key: the name in the bucket; for a local disk the absolute path
    """

    scheme: str
    bucket: str
    key: str

    @classmethod
    def of(cls, path: str) -> FileAddress:
        """
        Read an address as a result has it.

        :param path: a plain path, or a URL
        """
        if "://" not in path:
            return cls("file", "", path)
        # Not urlsplit for what follows: a question mark or a hash sign in a key is part of the key.
        scheme, _, rest = path.partition("://")
        bucket, slash, key = rest.partition("/")
        if scheme == "file":
            return cls("file", "", slash + key)
        if scheme in _WITH_CONNECTION:
            bucket = bucket.rpartition("@")[2]
        return cls(scheme, bucket, key)

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
