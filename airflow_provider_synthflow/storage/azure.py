# SPDX-License-Identifier: Apache-2.0
"""Azure Blob Storage, by adlfs."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.storage.fsspec_files import LISTED_AT_ONCE, PART, ObjectFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from airflow_provider_synthflow.storage.fsspec_files import PartUpload

__all__ = ["AzureFiles"]


class AzureFiles(ObjectFiles):
    """Work with Azure Blob Storage, by adlfs."""

    def put(self, local: str, path: str, sha256: str) -> None:  # noqa: ARG002 - adlfs has metadata of its own
        """
        Upload a local file in one request, or in blocks that are shown when all are there.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256
        """
        self.upload(local, path)

    def list_page(self, prefix: str, token: str | None = None) -> tuple[list[tuple[str, int]], str | None]:
        """
        Return up to a thousand of the blobs whose paths begin with a prefix, in order.

        :param prefix: what the paths begin with
        :param token: what the page before came with; None: the first page
        """
        container, _, name = prefix.partition("/")

        async def list_page() -> tuple[list[tuple[str, int]], str | None]:
            async with self.fs.service_client.get_container_client(container) as client:
                blobs = client.list_blobs(name_starts_with=name, include="metadata", results_per_page=LISTED_AT_ONCE)
                pages = blobs.by_page(continuation_token=token)
                blobs = [blob async for blob in await pages.__anext__()]
                found = [(f"{container}/{each.name}", each.size) for each in blobs if not _is_directory(each)]
                return found, pages.continuation_token or None

        return self.wait_for(list_page())

    def begin_upload(self, path: str) -> PartUpload:
        """
        Begin an upload whose bytes are still to come, in blocks that are shown when all are there.

        :param path: the blob
        """
        return _AzureUpload(self, path)


class _AzureUpload:
    """An upload in blocks, which are seen once they are committed, and else forgotten."""

    part_size = PART
    repeatable = True

    def __init__(self, files: AzureFiles, path: str) -> None:
        self._files = files
        self._container, _, self._name = path.partition("/")
        self._upload = secrets.token_hex(4)  # so that two uploads of one blob do not share their blocks' names
        self._blocks: list[str] = []

    def send(self, part: bytes) -> None:
        """Send a block."""
        block = base64.b64encode(f"{self._upload}{len(self._blocks):08}".encode()).decode()
        self._files.wait_for(self._client(lambda blob: blob.stage_block(block, part, length=len(part))))
        self._blocks.append(block)

    def finish(self, last: bytes, sha256: str) -> None:  # noqa: ARG002 - adlfs has metadata of its own
        """Send the last block, and commit all."""
        self.send(last)
        blocks = list(self._blocks)
        self._blocks.pop()  # for a further try
        self._files.wait_for(self._client(lambda blob: blob.commit_block_list(blocks)))

    def abort(self) -> None:
        """Leave the blocks to the store, which does not show them, and forgets them within a week."""

    async def _client(self, action: Callable[[Any], Coroutine[Any, Any, Any]]) -> None:
        async with self._files.fs.service_client.get_blob_client(self._container, self._name) as blob:
            await action(blob)


def _is_directory(blob: Any) -> bool:
    """Tell whether a blob stands for a directory of a hierarchical namespace."""
    return (blob.metadata or {}).get("hdi_isfolder") == "true"
