# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Storage, by gcsfs's connection."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import secrets
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_provider_synthflow.storage.base import ABSENT, ListedFile
from airflow_provider_synthflow.storage.fsspec_files import (
    DIGEST_KEY,
    LISTED_AT_ONCE,
    PART,
    FileUpload,
    ObjectFiles,
    conditional,
)

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.fsspec_files import PartUpload

__all__ = ["GoogleFiles"]

_OBJECT = "b/{}/o/{}"
_BYTES = "application/octet-stream"


class GoogleFiles(ObjectFiles):
    """Objects of Google, with generations as versions."""

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return a small object's bytes and version, or None where there is none."""
        bucket, _, name = path.partition("/")
        try:
            version = self.fs.call("GET", _OBJECT, bucket, name, json_out=True)["generation"]
            _, data = self.fs.call("GET", _OBJECT, bucket, name, alt="media")
        except FileNotFoundError:
            return None, ABSENT
        return data, version  # should it have changed in between, the version is the older one, over which nothing goes

    def write(self, path: str, data: bytes, over: str | None = None) -> None:
        """Write a small object over a version of it."""
        with conditional(path, over):
            self.wait_for(self._send(io.BytesIO(data), len(data), path, {}, over))

    def put(self, local: str, path: str, sha256: str, over: str | None = None) -> None:
        """Upload a local file in one request, or in a resumable session."""
        with open(local, "rb") as file, conditional(path, over):  # noqa: PTH123 - it has no name
            size = os.fstat(file.fileno()).st_size
            self.wait_for(self._send(file, size, path, {DIGEST_KEY: sha256}, over))

    def remove(self, path: str, over: str | None = None) -> None:
        """Remove a version of an object, if there is one."""
        bucket, _, name = path.partition("/")
        condition = {} if over is None else {"ifGenerationMatch": over}
        with conditional(path, over), contextlib.suppress(FileNotFoundError):
            self.fs.call("DELETE", _OBJECT, bucket, name, **condition)
        self.fs.invalidate_cache()

    def compare(self, path: str, size: int, sha256: str) -> tuple[bool, str | None]:
        """Tell whether an object has these bytes, by its metadata where possible, and return its version."""
        bucket, _, name = path.partition("/")
        try:
            found = self.fs.call("GET", _OBJECT, bucket, name, json_out=True)
        except FileNotFoundError:
            return False, ABSENT
        if int(found["size"]) != size:
            return False, found["generation"]
        told = (found.get("metadata") or {}).get(DIGEST_KEY) or self.hash_file(path)
        return told == sha256, found["generation"]

    def list_page(self, prefix: str, token: str | None = None) -> tuple[list[ListedFile], str | None]:
        """Return up to a thousand of the objects with a prefix, in order."""
        bucket, _, name = prefix.partition("/")
        query = {"prefix": name, "maxResults": LISTED_AT_ONCE, **({"pageToken": token} if token else {})}
        page = self.fs.call("GET", "b/{}/o", bucket, json_out=True, **query)
        found = [
            ListedFile(f"{bucket}/{each['name']}", int(each["size"]), each["generation"])
            for each in page.get("items", ())
        ]
        return found, page.get("nextPageToken")

    def begin_upload(self, path: str) -> PartUpload:
        """Begin an upload, which becomes one request or a resumable session."""
        return FileUpload(self.fs, path)

    async def _send(self, file: IO[bytes], size: int, path: str, metadata: dict[str, str], over: str | None) -> None:
        bucket, _, name = path.partition("/")
        url = f"{self.fs._location}/upload/storage/v1/b/{quote(bucket, safe='')}/o"  # noqa: SLF001 - its endpoint
        condition = {} if over is None else {"ifGenerationMatch": over or "0"}
        told = {"name": name, "metadata": metadata}
        if size < PART:
            boundary = secrets.token_hex(16)
            head = f"--{boundary}\nContent-Type: application/json; charset=UTF-8\n\n{json.dumps(told)}\n"
            head += f"--{boundary}\nContent-Type: {_BYTES}\n\n"
            await self._call(
                url,
                data=head.encode() + file.read() + f"\n--{boundary}--".encode(),
                headers={"Content-Type": f'multipart/related; boundary="{boundary}"'},
                uploadType="multipart",
                **condition,
            )
            return
        upload_chunk = importlib.import_module("gcsfs.core").upload_chunk  # an extra
        start = {"json": told, "headers": {"X-Upload-Content-Type": _BYTES}}
        headers, _ = await self._call(url, name=name, uploadType="resumable", **start, **condition)
        session = headers["Location"]
        try:
            at = 0
            while part := file.read(PART):
                await upload_chunk(self.fs, session, part, at, size, _BYTES)
                at += len(part)
        except BaseException:
            with contextlib.suppress(Exception):  # why it came to that matters more
                await self.fs._call("DELETE", session)  # noqa: SLF001 - the coroutine of call
            raise

    async def _call(self, url: str, **arguments: Any) -> Any:
        return await self.fs._call("POST", url, **arguments)  # noqa: SLF001 - the coroutine of call
