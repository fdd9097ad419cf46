# SPDX-License-Identifier: Apache-2.0
"""Azure Blob Storage, by adlfs's connection."""

from __future__ import annotations

import base64
import importlib
import secrets
from typing import IO, TYPE_CHECKING, Any, TypeVar

from airflow_provider_synthflow.storage.base import ABSENT, ListedFile
from airflow_provider_synthflow.storage.fsspec_files import DIGEST_KEY, LISTED_AT_ONCE, PART, ObjectFiles, conditional

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from airflow_provider_synthflow.storage.fsspec_files import PartUpload

__all__ = ["AzureFiles"]

_Answer = TypeVar("_Answer")

_NO_BLOB = "BlobNotFound"
_BLOB_EXISTS = "BlobAlreadyExists"


class AzureFiles(ObjectFiles):
    """Blobs of Azure, with etags as versions."""

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return a small blob's bytes and version, or None where there is none."""

        async def read(blob: Any) -> tuple[bytes, str]:
            found = await blob.download_blob()
            return await found.readall(), found.properties.etag

        try:
            return self.ask(path, read)
        except Exception as error:
            if not _is_absent(error):
                raise
            return None, ABSENT

    def write(self, path: str, data: bytes, over: str | None = None) -> None:
        """Write a small blob over a version of it."""
        self._upload_blob(path, data, {}, over)

    def put(self, local: str, path: str, sha256: str, over: str | None = None) -> None:
        """Upload a local file in one request, or in blocks that appear together."""
        with open(local, "rb") as file:  # noqa: PTH123 - it has no name
            self._upload_blob(path, file, {DIGEST_KEY: sha256}, over)

    def remove(self, path: str, over: str | None = None) -> None:
        """Remove a version of a blob, if there is one."""
        try:
            with conditional(path, over):
                self.ask(path, lambda blob: blob.delete_blob(**_condition(over)))
        except Exception as error:
            if not _is_absent(error):
                raise

    def compare(self, path: str, size: int, sha256: str) -> tuple[bool, str | None]:
        """Tell whether a blob has these bytes, by its metadata where possible, and return its version."""
        try:
            found = self.ask(path, lambda blob: blob.get_blob_properties())
        except Exception as error:
            if not _is_absent(error):
                raise
            return False, ABSENT
        if found.size != size:
            return False, found.etag
        return ((found.metadata or {}).get(DIGEST_KEY) or self.hash_file(path)) == sha256, found.etag

    def list_page(self, prefix: str, token: str | None = None) -> tuple[list[ListedFile], str | None]:
        """Return up to a thousand of the blobs with a prefix, in order."""
        container, _, name = prefix.partition("/")

        async def list_page() -> tuple[list[ListedFile], str | None]:
            async with self.fs.service_client.get_container_client(container) as client:
                blobs = client.list_blobs(name_starts_with=name, include="metadata", results_per_page=LISTED_AT_ONCE)
                pages = blobs.by_page(continuation_token=token)
                blobs = [blob async for blob in await pages.__anext__()]
                found = [
                    ListedFile(f"{container}/{each.name}", each.size, each.etag)
                    for each in blobs
                    if not _is_directory(each)
                ]
                return found, pages.continuation_token or None

        return self.wait_for(list_page())

    def begin_upload(self, path: str) -> PartUpload:
        """Begin an upload in blocks that appear together."""
        return _AzureUpload(self, path)

    def ask(self, path: str, action: Callable[[Any], Coroutine[Any, Any, _Answer]]) -> _Answer:
        """Run an action with the client of a blob."""
        container, _, name = path.partition("/")

        async def ask() -> _Answer:
            async with self.fs.service_client.get_blob_client(container, name) as blob:
                return await action(blob)

        return self.wait_for(ask())

    def _upload_blob(self, path: str, data: bytes | IO[bytes], metadata: dict[str, str], over: str | None) -> None:
        told = {"is_directory": "false", **metadata}  # adlfs's own way to tell a blob from a directory
        options = {"overwrite": over != ABSENT, "metadata": told, **({} if over == ABSENT else _condition(over))}

        async def upload(blob: Any) -> None:
            try:
                await blob.upload_blob(data, **options)
            except Exception as error:
                if over != ABSENT or getattr(error, "error_code", None) != _BLOB_EXISTS or await blob.exists():
                    raise
                await _upload_over_blocks(blob, data, told)

        with conditional(path, over):
            self.ask(path, upload)


class _AzureUpload:
    """An upload in blocks, which appear once they are committed."""

    part_size = PART
    repeatable = True

    def __init__(self, files: AzureFiles, path: str) -> None:
        self._files = files
        self._path = path
        self._upload = secrets.token_hex(4)  # so that two uploads of one blob do not share their blocks' names
        self._blocks: list[str] = []

    def send(self, part: bytes) -> None:
        block = base64.b64encode(f"{self._upload}{len(self._blocks):08}".encode()).decode()
        self._files.ask(self._path, lambda blob: blob.stage_block(block, part, length=len(part)))
        self._blocks.append(block)

    def finish(self, last: bytes, sha256: str) -> None:
        """Send the last block, and commit all."""
        if last:
            self.send(last)
        blocks = list(self._blocks)
        del self._blocks[len(blocks) - bool(last) :]  # for a further try
        told = {"is_directory": "false", DIGEST_KEY: sha256}
        self._files.ask(self._path, lambda blob: blob.commit_block_list(blocks, metadata=told))

    def abort(self) -> None:
        """Leave the blocks to Azure, which deletes them within a week."""


async def _upload_over_blocks(blob: Any, data: bytes | IO[bytes], metadata: dict[str, str]) -> None:
    """Upload a blob over the blocks of a killed task, which some stores take for a blob."""
    _, left = await blob.get_block_list("uncommitted")
    length = len(left[0].id) if left else 1  # all blocks of a blob have names of one length
    block = secrets.token_hex(length)[:length]
    if not isinstance(data, bytes):
        data.seek(0)
        data = data.read()
    await blob.stage_block(block, data, length=len(data))
    await blob.commit_block_list([block], metadata=metadata, match_condition=_match_conditions().IfMissing)


def _condition(over: str | None) -> dict[str, Any]:
    """Return the options that limit a request to one version."""
    if over is None:
        return {}
    return {"etag": over, "match_condition": _match_conditions().IfNotModified}


def _match_conditions() -> Any:
    """Return Azure's enumeration of the conditions of a request."""
    return importlib.import_module("azure.core").MatchConditions


def _is_absent(error: BaseException) -> bool:
    """Tell whether an error means that there is no such blob."""
    return getattr(error, "error_code", None) == _NO_BLOB


def _is_directory(blob: Any) -> bool:
    """Tell whether a blob is a directory of a hierarchical namespace."""
    return (blob.metadata or {}).get("hdi_isfolder") == "true"
