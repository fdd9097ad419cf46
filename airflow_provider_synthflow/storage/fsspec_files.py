# SPDX-License-Identifier: Apache-2.0
"""What each kind of fsspec file system needs so that a file appears whole, and what it can tell of one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_synthflow.storage.base import PIECE

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

__all__ = ["AzureFiles", "Files", "GoogleFiles", "S3Files", "files_of"]

_Answer = TypeVar("_Answer")

_PART = 5 * 1024 * 1024
_PARTS_AT_ONCE = 2
_MOST_PARTS = 10_000
_MOST_SECONDS_TO_END = 30.0
_GOOGLE_PART = 8 * 1024 * 1024
_SWEPT_AFTER = 24 * 3600.0
_DIGEST_KEY = "sha256"


class Files:
    """
    Work with any file system: upload under a hidden name, and give the file its name by a move.

    :param fs: the fsspec file system
    """

    def __init__(self, fs: Any) -> None:
        self.fs = fs

    def probe(self, path: str) -> None:
        """
        Raise the file system's own error where a file could not be written, as far as it can be told before.

        :param path: the file
        """
        self.fs.invalidate_cache()
        self.fs.exists(path)

    def read(self, path: str) -> bytes | None:
        """
        Return a small file's bytes as they are now, or None where there is no such file.

        :param path: the file
        """
        try:
            data: bytes = self.fs.cat_file(path)
        except FileNotFoundError:
            return None
        return data

    def remove(self, path: str) -> None:
        """
        Remove a file, if there is one.

        :param path: the file
        """
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm_file(path)
        self.fs.invalidate_cache()

    def remove_all(self, directory: str) -> None:
        """
        Remove a directory with all that is in it, if there is one.

        :param directory: the directory
        """
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(directory, recursive=True)
        self.fs.invalidate_cache()

    def put(self, local: str, path: str, sha256: str) -> None:  # noqa: ARG002 - for stores with metadata
        """
        Upload a local file, which others then see whole, in place of an earlier one.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256, as hexadecimal digits
        """
        folder, _, _ = path.rpartition("/")
        hidden = f"{folder}/.{secrets.token_hex(8)}.tmp"
        self.fs.makedirs(folder, exist_ok=True)
        try:
            self.upload(local, hidden)
            self.fs.mv(hidden, path)
        finally:
            self.fs.invalidate_cache()
            with contextlib.suppress(Exception):  # it has its name, or the file system is not there
                self.fs.rm_file(hidden)

    def sha256(self, path: str, size: int) -> str | None:
        """
        Return a file's SHA-256 as hexadecimal digits, or None where there is no file of that size.

        :param path: the file
        :param size: the size in bytes that is of interest
        """
        self.fs.invalidate_cache()
        try:
            if self.fs.info(path)["size"] != size:
                return None
            digest = hashlib.sha256()
            with self.fs.open(path, "rb", cache_type="readahead") as file:
                while piece := file.read(PIECE):
                    digest.update(piece)
        except FileNotFoundError:
            return None
        return digest.hexdigest()

    def sweep(self, directory: str) -> None:
        """
        Remove what killed processes left unfinished in a directory.

        :param directory: the directory
        """
        self.fs.invalidate_cache()
        with contextlib.suppress(FileNotFoundError, NotImplementedError):
            for path in self.fs.ls(directory, detail=False):
                name = path.rpartition("/")[2]
                # Nothing tells whether its process still lives, but its age.
                if (
                    name.startswith(".")
                    and name.endswith(".tmp")
                    and time.time() - self.fs.modified(path).timestamp() > _SWEPT_AFTER
                ):
                    self.fs.rm_file(path)

    def upload(self, local: str, path: str, options: dict[str, Any] | None = None) -> None:
        """
        Upload a file, and cancel the upload where the waiting for it is interrupted.

        :param local: the local file
        :param path: where it goes
        :param options: what the file system's own ``put_file`` takes
        """
        options = options or {}
        if not getattr(self.fs, "async_impl", False):
            self.fs.put_file(local, path, **options)
            return
        self.wait_for(self.fs._put_file(local, path, **options))  # noqa: SLF001 - the coroutine of put_file

    def wait_for(self, upload: Coroutine[Any, Any, None]) -> None:
        """
        Wait for an upload, and cancel it where the waiting is interrupted.

        :param upload: what the file system's own thread is to do
        """
        # fsspec's own waiting leaves an upload to its thread when a signal's exception ends it: a task that timed
        # out would go on to write.
        ended = threading.Event()

        async def run() -> None:
            try:
                await upload
            finally:
                ended.set()

        future = asyncio.run_coroutine_threadsafe(run(), self.fs.loop)
        try:
            future.result()
        finally:
            if not future.done():
                future.cancel()
                ended.wait(_MOST_SECONDS_TO_END)
            self.fs.invalidate_cache()


class _ObjectFiles(Files):
    """Work with an object store, where an object appears by the last request of its upload."""

    def probe(self, path: str) -> None:
        """
        Raise the store's own error where the bucket or container is not there.

        :param path: the file
        """
        bucket, _, _ = path.partition("/")
        self.fs.invalidate_cache()
        with contextlib.suppress(PermissionError):  # who may write objects need not be allowed to look at buckets
            self.fs.info(bucket)

    def sweep(self, directory: str) -> None:
        """
        Leave what is unfinished to the store, which does not show it and forgets it within a week.

        :param directory: the directory
        """


class S3Files(_ObjectFiles):
    """Work with S3 and what speaks its API, by s3fs."""

    def probe(self, path: str) -> None:
        """
        Begin an upload and abort it: whoever may do that may write, and nobody sees it.

        :param path: the file
        """
        bucket, key, _ = self.fs.split_path(path)
        upload = self.fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)["UploadId"]
        self._abort(bucket, key, upload)
        with contextlib.suppress(PermissionError):  # a store that refuses is left to its own rules
            self.sweep(path)  # what others began, and were killed before they aborted it

    def read(self, path: str) -> bytes | None:
        """
        Return a small file's bytes as they are now, or None where there is no such file.

        :param path: the file
        """
        from fsspec.asyn import sync  # type: ignore[import-untyped]  # noqa: PLC0415 - there where an S3 file system is

        bucket, key, _ = self.fs.split_path(path)
        try:  # in one request; s3fs itself would look at its listings before
            body = self.fs.call_s3("get_object", Bucket=bucket, Key=key)["Body"]
        except FileNotFoundError:
            return None
        data: bytes = sync(self.fs.loop, body.read)
        return data

    def put(self, local: str, path: str, sha256: str) -> None:
        """
        Upload a local file in one request, or in parts of which none is left behind.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256, which goes along as the object's metadata
        """
        bucket, key, _ = self.fs.split_path(path)
        try:
            self.wait_for(self._upload(local, Bucket=bucket, Key=key, Metadata={_DIGEST_KEY: sha256}))
        except BaseException:
            # The abort itself may have failed or been interrupted.
            with contextlib.suppress(Exception):  # the store may be out of reach; the next try sweeps
                self.sweep(path)
            raise

    async def _upload(self, local: str, **target: Any) -> None:
        """
        Upload a local file; its parts, where it has several, have all ended before the upload is aborted.

        s3fs itself aborts while a part may still be under way: that one comes in later, is not seen, and costs money.
        """
        call = self.fs._call_s3  # noqa: SLF001 - the coroutine of call_s3
        size = os.path.getsize(local)  # noqa: ASYNC240, PTH202 - a local file's, at once
        with open(local, "rb") as file:  # noqa: ASYNC230, PTH123 - likewise
            if size < 2 * _PART:
                await call("put_object", Body=file.read(), **target)
                return
            part_size = max(_PART, -(-size // _MOST_PARTS))
            upload = (await call("create_multipart_upload", **target))["UploadId"]
            place = {"Bucket": target["Bucket"], "Key": target["Key"], "UploadId": upload}

            async def put_part(number: int, data: bytes) -> dict[str, Any]:
                answer = await call("upload_part", PartNumber=number, Body=data, **place)
                return {"PartNumber": number, "ETag": answer["ETag"]}

            try:
                parts: list[dict[str, Any]] = []
                while data := [piece for _ in range(_PARTS_AT_ONCE) if (piece := file.read(part_size))]:
                    puts = (put_part(number, piece) for number, piece in enumerate(data, len(parts) + 1))
                    parts += await _all_of(puts)
                await call("complete_multipart_upload", MultipartUpload={"Parts": parts}, **place)
            except BaseException as error:
                try:
                    await call("abort_multipart_upload", **place)
                except FileNotFoundError:
                    raise  # another try has cut it off: that is why, whatever the store said of the part
                except Exception:  # noqa: BLE001 - why it came to that matters more
                    raise error from None
                raise

    def sha256(self, path: str, size: int) -> str | None:
        """
        Return a file's SHA-256, from the object's metadata where it is there.

        :param path: the file
        :param size: the size in bytes that is of interest
        """
        bucket, key, _ = self.fs.split_path(path)
        try:
            head = self.fs.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None
        if head["ContentLength"] != size:
            return None
        return head["Metadata"].get(_DIGEST_KEY) or super().sha256(path, size)

    def sweep(self, directory: str) -> None:
        """
        Abort the unfinished uploads below a directory, or of a file: they are not seen, but cost money.

        :param directory: the directory or the file
        """
        bucket, prefix, _ = self.fs.split_path(directory)
        found = self.fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
        for upload in found.get("Uploads") or ():
            if upload["Key"] == prefix or upload["Key"].startswith(f"{prefix}/"):
                self._abort(bucket, upload["Key"], upload["UploadId"])

    def _abort(self, bucket: str, key: str, upload: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # another try was quicker
            self.fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)


async def _all_of(doing: Iterable[Coroutine[Any, Any, _Answer]]) -> list[_Answer]:
    """Return the answers of all, or raise the first error, once all have ended."""
    answers: list[_Answer] = []
    for answer in await asyncio.gather(*doing, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers


class GoogleFiles(_ObjectFiles):
    """Work with Google Cloud Storage, by gcsfs."""

    def put(self, local: str, path: str, sha256: str) -> None:
        """
        Upload a local file in one request, or in a resumable session that shows nothing before its end.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256, which goes along as the object's metadata
        """
        self.upload(local, path, {"chunksize": _GOOGLE_PART, "metadata": {_DIGEST_KEY: sha256}})

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
        return (found.get("metadata") or {}).get(_DIGEST_KEY) or super().sha256(path, size)


class AzureFiles(_ObjectFiles):
    """Work with Azure Blob Storage, by adlfs."""

    def put(self, local: str, path: str, sha256: str) -> None:  # noqa: ARG002 - adlfs has metadata of its own
        """
        Upload a local file in one request, or in blocks that are shown when all are there.

        :param local: the local file
        :param path: where it goes
        :param sha256: its SHA-256
        """
        self.upload(local, path)


_KINDS: dict[str, type[Files]] = {
    **dict.fromkeys(("s3", "s3a"), S3Files),
    **dict.fromkeys(("gs", "gcs"), GoogleFiles),
    **dict.fromkeys(("abfs", "abfss", "az"), AzureFiles),
}


def files_of(fs: Any) -> Files:
    """
    Return what works with a file system.

    :param fs: the fsspec file system
    """
    names = (fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol
    return next((_KINDS[name] for name in names if name in _KINDS), Files)(fs)
