# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Storage, by gcsfs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.storage.fsspec_files import DIGEST_KEY, LISTED_AT_ONCE, PART, FileUpload, ObjectFiles

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.fsspec_files import PartUpload

__all__ = ["GoogleFiles"]


class GoogleFiles(ObjectFiles):
    """Work with Google Cloud Storage, by gcsfs."""

    def list_page(self, prefix: str, token: str | None = None) -> tuple[list[tuple[str, int]], str | None]:
        """
        Return up to a thousand of the objects whose paths begin with a prefix, in order.

        :param prefix: what the paths begin with
        :param token: what the page before came with; None: the first page
        """
        bucket, _, name = prefix.partition("/")
        query = {"prefix": name, "maxResults": LISTED_AT_ONCE, **({"pageToken": token} if token else {})}
        page = self.fs.call("GET", "b/{}/o", bucket, json_out=True, **query)
        found = [(f"{bucket}/{each['name']}", int(each["size"])) for each in page.get("items", ())]
        return found, page.get("nextPageToken")

    def begin_upload(self, path: str) -> PartUpload:
        """
        Begin an upload whose bytes are still to come: one request, or a resumable session.

        :param path: the object
        """
        return FileUpload(self.fs, path)

    def put(self, local: str, path: str, sha256: str) -> None:
        """
        Upload a local file in one request, or in a resumable session that shows nothing before its end.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256, which goes along as the object's metadata
        """
        self.upload(local, path, {"chunksize": PART, "metadata": {DIGEST_KEY: sha256}})

    def sha256(self, path: str, size: int) -> str | None:
        """
        Return a file's SHA-256, from the object's metadata where it is there.

        :param path: the file
        :param size: the size in bytes that is of interest
        """
        self.fs.invalidate_cache()
        try:
            found = self.fs.info(path)
        except FileNotFoundError:
            return None
        if found["size"] != size:
            return None
        return (found.get("metadata") or {}).get(DIGEST_KEY) or super().sha256(path, size)
