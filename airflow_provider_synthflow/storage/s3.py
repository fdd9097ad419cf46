# SPDX-License-Identifier: Apache-2.0
"""S3 and stores with its API, by s3fs's connection."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_synthflow.storage.base import ABSENT, ListedFile
from airflow_provider_synthflow.storage.errors import is_not_implemented, unless_refused
from airflow_provider_synthflow.storage.fsspec_files import DIGEST_KEY, ObjectFiles, conditional

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

    from airflow_provider_synthflow.storage.fsspec_files import PartUpload

__all__ = ["S3Files"]

_Answer = TypeVar("_Answer")

_PART = 5 * 1024 * 1024
_PARTS_AT_ONCE = 2
_MOST_PARTS = 10_000


class S3Files(ObjectFiles):
    """Objects of S3, with etags as versions."""

    def probe(self, path: str) -> None:
        """Begin an upload and abort it, which needs the rights to write and is not visible."""
        bucket, key, _ = self.fs.split_path(path)
        upload = self.fs.call_s3("create_multipart_upload", Bucket=bucket, Key=key)["UploadId"]
        self._abort(bucket, key, upload)
        with unless_refused():
            self._abort_uploads(path, lambda _: False)  # what others began, and were killed before they aborted it

    def read(self, path: str) -> tuple[bytes | None, str | None]:
        """Return a small object's bytes and version, or None where there is none."""
        bucket, key, _ = self.fs.split_path(path)
        try:  # in one request; s3fs itself would look at its listings before
            answer = self.fs.call_s3("get_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            return None, ABSENT
        return self.wait_for(answer["Body"].read()), answer["ETag"]

    def write(self, path: str, data: bytes, over: str | None = None) -> None:
        """Write a small object over a version of it."""
        bucket, key, _ = self.fs.split_path(path)
        with conditional(path, over):
            self.wait_for(self._call_over(over, "put_object", Body=data, Bucket=bucket, Key=key))

    def put(self, local: str, path: str, sha256: str, over: str | None = None) -> None:
        """Upload a local file in one request, or in parts, none of which is left behind."""
        bucket, key, _ = self.fs.split_path(path)
        try:
            with conditional(path, over):
                self.wait_for(self._upload_file(local, over, Bucket=bucket, Key=key, Metadata={DIGEST_KEY: sha256}))
        except BaseException:
            # The abort itself may have failed or been interrupted.
            with contextlib.suppress(Exception):  # the store may be out of reach; the next try sweeps
                self._abort_uploads(path, lambda _: False)
            raise

    def remove(self, path: str, over: str | None = None) -> None:
        """Remove a version of an object, if there is one."""
        bucket, key, _ = self.fs.split_path(path)
        with conditional(path, over):
            self.wait_for(self._call_over(over, "delete_object", Bucket=bucket, Key=key))

    def compare(self, path: str, size: int, sha256: str) -> tuple[bool, str | None]:
        """Tell whether an object has these bytes, by its metadata where possible, and return its version."""
        bucket, key, _ = self.fs.split_path(path)
        try:
            head = self._ask_about(bucket, key)
        except FileNotFoundError:
            return False, ABSENT
        if head["ContentLength"] != size:
            return False, head["ETag"]
        return (head["Metadata"].get(DIGEST_KEY) or self.hash_file(path)) == sha256, head["ETag"]

    def open(self, path: str) -> Any | None:
        """Open an object for reading, or return None where there is no such object."""
        try:
            return super().open(path)
        except OSError:
            bucket, key, _ = self.fs.split_path(path)
            try:
                self._ask_about(bucket, key)
            except FileNotFoundError:
                return None
            return super().open(path)

    def _ask_about(self, bucket: str, key: str) -> dict[str, Any]:
        """Return an object's headers, by a GET where HEAD fails, whose errors have no body that says why."""
        answer: dict[str, Any]
        try:
            answer = self.fs.call_s3("head_object", Bucket=bucket, Key=key)
        except FileNotFoundError:
            raise
        except OSError:
            answer = self.fs.call_s3("get_object", Bucket=bucket, Key=key)
            answer["Body"].close()
        return answer

    def sweep(self, directory: str) -> None:
        """Abort the unfinished uploads in a directory, which are hidden but cost money."""
        self._abort_uploads(directory, lambda name: "/" not in name)

    def remove_all(self, directory: str) -> None:
        """Remove all objects and unfinished uploads below a directory, by their exact names."""
        super().remove_all(directory)
        with unless_refused():
            self._abort_uploads(directory, lambda _: True)

    def list_page(self, prefix: str, token: str | None = None) -> tuple[list[ListedFile], str | None]:
        """Return up to a thousand of the objects with a prefix, in order."""
        bucket, key, _ = self.fs.split_path(prefix)
        query = {"ContinuationToken": token} if token else {}
        page = self.fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, **query)
        found = [ListedFile(f"{bucket}/{each['Key']}", each["Size"], each["ETag"]) for each in page.get("Contents", ())]
        return found, page.get("NextContinuationToken")

    def begin_upload(self, path: str) -> PartUpload:
        """Begin an upload, which becomes one request or parts."""
        return _S3Upload(self, path)

    async def _call_over(self, over: str | None, method: str, **arguments: Any) -> Any:
        """Send a request for one version alone; without the condition to a store that does not support it."""
        call = self.fs._call_s3  # noqa: SLF001 - the coroutine of call_s3
        if over is None:
            return await call(method, **arguments)
        try:
            return await call(method, **({"IfNoneMatch": "*"} if over == ABSENT else {"IfMatch": over}), **arguments)
        except OSError as error:
            if not is_not_implemented(error):
                raise
            return await call(method, **arguments)

    async def _upload_file(self, local: str, over: str | None, **target: Any) -> None:
        """Upload a local file; all its parts have ended before the upload is aborted."""
        # s3fs itself aborts while a part may still be under way: that one comes in later, is not seen, and costs
        # money.
        call = self.fs._call_s3  # noqa: SLF001 - the coroutine of call_s3
        size = os.path.getsize(local)  # noqa: ASYNC240, PTH202 - a local file's, at once
        with open(local, "rb") as file:  # noqa: ASYNC230, PTH123 - likewise
            if size < 2 * _PART:
                await self._call_over(over, "put_object", Body=file.read(), **target)
                return
            part_size = max(_PART, -(-size // _MOST_PARTS))
            upload = (await call("create_multipart_upload", **target))["UploadId"]
            started = {"Bucket": target["Bucket"], "Key": target["Key"], "UploadId": upload}

            async def put_part(number: int, data: bytes) -> dict[str, Any]:
                answer = await call("upload_part", PartNumber=number, Body=data, **started)
                return {"PartNumber": number, "ETag": answer["ETag"]}

            try:
                parts: list[dict[str, Any]] = []
                while data := [piece for _ in range(_PARTS_AT_ONCE) if (piece := file.read(part_size))]:
                    puts = (put_part(number, piece) for number, piece in enumerate(data, len(parts) + 1))
                    parts += await _wait_for_all(puts)
                await self._call_over(over, "complete_multipart_upload", MultipartUpload={"Parts": parts}, **started)
            except BaseException as error:
                try:
                    await call("abort_multipart_upload", **started)
                except FileNotFoundError:
                    raise  # another try has cut it off: that is why, whatever the store said of the part
                except Exception:  # noqa: BLE001 - why it came to that matters more
                    raise error from None
                raise

    def has_leftovers(self, directory: str) -> bool:
        """Tell whether there are unfinished uploads in a directory."""
        return any(True for _ in self._find_uploads(directory, lambda name: "/" not in name))

    def _abort_uploads(self, directory: str, chosen: Callable[[str], bool]) -> None:
        """Abort the unfinished uploads of a path, and of the chosen names below it."""
        for upload in self._find_uploads(directory, chosen):
            self._abort(**upload)

    def _find_uploads(self, directory: str, chosen: Callable[[str], bool]) -> Iterator[dict[str, str]]:
        bucket, prefix, _ = self.fs.split_path(directory)
        marker: dict[str, str] = {}
        while True:
            found = self.fs.call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix, **marker)
            for upload in found.get("Uploads") or ():
                key = upload["Key"]
                if key == prefix or (key.startswith(f"{prefix}/") and chosen(key[len(prefix) + 1 :])):
                    yield {"bucket": bucket, "key": key, "upload": upload["UploadId"]}
            if not found.get("IsTruncated"):
                return
            marker = {"KeyMarker": found["NextKeyMarker"], "UploadIdMarker": found["NextUploadIdMarker"]}

    def _abort(self, bucket: str, key: str, upload: str) -> None:
        with contextlib.suppress(FileNotFoundError):  # another try was quicker
            self.fs.call_s3("abort_multipart_upload", Bucket=bucket, Key=key, UploadId=upload)


class _S3Upload:
    """An upload in parts that grow with their number, so that any length fits into ten thousand."""

    repeatable = True

    def __init__(self, files: S3Files, path: str) -> None:
        self._files = files
        bucket, key, _ = files.fs.split_path(path)
        self._target: dict[str, Any] = {"Bucket": bucket, "Key": key}
        self._parts: list[dict[str, Any]] = []

    @property
    def part_size(self) -> int:
        return _PART << (len(self._parts) // (_MOST_PARTS // 10))

    def send(self, part: bytes) -> None:
        if "UploadId" not in self._target:
            self._target["UploadId"] = self._call("create_multipart_upload", **self._target)["UploadId"]
        number = len(self._parts) + 1
        answer = self._call("upload_part", PartNumber=number, Body=part, **self._target)
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})

    def finish(self, last: bytes, sha256: str) -> None:
        """Send the last part, or the only one, and let the object appear."""
        if "UploadId" not in self._target:
            self._call("put_object", Body=last, Metadata={DIGEST_KEY: sha256}, **self._target)
            return
        if last:
            self.send(last)
        parts = list(self._parts)
        del self._parts[len(parts) - bool(last) :]  # for a further try
        self._call("complete_multipart_upload", MultipartUpload={"Parts": parts}, **self._target)

    def abort(self) -> None:
        """Abort the upload; where the store is out of reach, the next run's sweep does."""
        if "UploadId" in self._target:
            with contextlib.suppress(Exception):
                self._call("abort_multipart_upload", **self._target)

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        call = self._files.fs._call_s3  # noqa: SLF001 - the coroutine of call_s3
        answer: dict[str, Any] = self._files.wait_for(call(method, **arguments))
        return answer


async def _wait_for_all(doing: Iterable[Coroutine[Any, Any, _Answer]]) -> list[_Answer]:
    """Wait until all have ended, and return their results or raise the first error."""
    answers: list[_Answer] = []
    for answer in await asyncio.gather(*doing, return_exceptions=True):
        if isinstance(answer, BaseException):
            raise answer
        answers.append(answer)
    return answers
