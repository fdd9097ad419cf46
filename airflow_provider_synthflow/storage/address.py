# SPDX-License-Identifier: Apache-2.0
"""A path or a URL taken apart: its store, its bucket, its key, and its connection."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple
from urllib.parse import quote

from airflow_provider_synthflow.exceptions import SynthflowConfigError

__all__ = ["FileAddress", "to_path_text"]


class FileAddress(NamedTuple):  # DAG files load it, and a dataclass takes a millisecond to make
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
        """Parse a path or a URL."""
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
        """Tell whether it is on a local disk."""
        return self.scheme == "file"

    def find_conn_id(self, conn_id: str | None, name: str) -> str | None:
        """Return the store's connection, from the address or as given; None for a local disk."""
        if ":" in self.within:
            msg = f"{name} contains credentials. Keep them in an Airflow connection, and name it"
            raise SynthflowConfigError(f"{msg}: {self.scheme}://conn_id@…")
        given = f"output_conn_id '{conn_id}'" if name.endswith("_path") else f"'{conn_id}'"  # else it is a command's
        if self.is_local and conn_id:
            raise SynthflowConfigError(f"{name} is on a local disk, which needs no connection: leave out {given}.")
        if self.within and conn_id and self.within != conn_id:
            msg = f"{name} names the connection '{self.within}', and {given} is given, too. Remove one of the two."
            raise SynthflowConfigError(msg)
        if not self.is_local and not self.bucket:
            raise SynthflowConfigError(f"{name} {self.url} has no bucket. Write {self.scheme}://bucket/directory.")
        return self.within or conn_id

    @property
    def url(self) -> str:
        """Return the URL in its store, without the connection."""
        return f"{self.scheme}://{self.bucket}/{self.key}"

    @property
    def console(self) -> str:
        """Return the file's page in its store's web console, or nothing where there is none."""
        if self.scheme in {"s3", "s3a"}:
            return f"https://s3.console.aws.amazon.com/s3/object/{self.bucket}?prefix={quote(self.key, safe='')}"
        if self.scheme in {"gs", "gcs"}:
            return f"https://console.cloud.google.com/storage/browser/_details/{self.bucket}/{quote(self.key)}"
        return ""

    @property
    def dataset(self) -> tuple[str, str]:
        """Return the namespace and the name of the file by OpenLineage's naming rules."""
        if self.scheme == "file":
            return "file", self.key
        scheme = {"s3a": "s3", "gcs": "gs"}.get(self.scheme, self.scheme)
        return f"{scheme}://{self.bucket}", self.key


_SCHEME = r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/"  # compiled where it is used


def to_path_text(path: Any, name: str = "output_path") -> str:
    """Return a path as text, an ObjectStoragePath with its connection."""
    if hasattr(path, "protocol"):  # an ObjectStoragePath
        text = str(path)
    elif isinstance(path, (str, os.PathLike)):
        text = str(os.fspath(path)).strip()
    else:
        raise SynthflowConfigError(f"{name} must be a path or a URL, as a string.")
    if FileAddress.parse(text).is_local and re.match(_SCHEME, text):
        raise SynthflowConfigError(
            f"{name} {text} is neither a URL nor a path on this disk: a URL has two slashes, then a bucket. Give "
            "it as a string, since a pathlib.Path keeps only one slash."
        )
    return text
