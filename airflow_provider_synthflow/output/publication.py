# SPDX-License-Identifier: Apache-2.0
"""Publish the calls of a window: the file whole, then its manifest; never over the file of another query."""

from __future__ import annotations

import contextlib
import json
import random
import time
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from airflow_provider_synthflow.exceptions import SynthflowOutputConflictError, SynthflowTransientError
from airflow_provider_synthflow.output.formats import FORMATS, check_format, open_writer
from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_synthflow.storage.base import Staged, Store
    from airflow_provider_synthflow.window.window import Window

__all__ = ["MANIFEST_NAME", "Draft", "Publication", "directory_of", "file_name"]

_TRIES = 5
_PAUSE = 0.5


class Draft:
    """
    Be the file of a window while it is written.

    :param staged: where the bytes go
    :param format_name: the file's format
    """

    def __init__(self, staged: Staged, format_name: str) -> None:
        self._staged = staged
        self._writer = open_writer(format_name, staged)

    @property
    def place(self) -> int | None:
        """Return at which byte of the file the next record will begin; None where it cannot be read back."""
        return self._writer.place

    def write(self, record: bytes) -> None:
        """
        Write one record.

        :param record: its JSON
        """
        self._writer.write(record)

    def reader(self) -> Callable[[int, int], bytes]:
        """Return what reads so many bytes at a place, of all that was written so far."""
        self._writer.flush()
        self._staged.flush()
        return self._staged.read

    def finish(self) -> Staged:
        """Write the file's end, and return what can be published."""
        self._writer.close()
        return self._staged


class Publication:
    """
    Hold where the calls of one window go.

    :param store: the place for files
    :param model_id: the agent
    :param window: the window
    :param format_name: the file's format
    :param filters: the API's filters of the query, which the manifest keeps
    :raises SynthflowConfigError: for an unknown format
    """

    def __init__(self, store: Store, model_id: str, window: Window, format_name: str, filters: dict[str, Any]) -> None:
        check_format(format_name)
        self._store = store
        self._format = format_name
        self._filters = filters
        self._directory = directory_of(model_id, window)
        self._name = file_name(format_name)
        self._manifest = f"{self._directory}/{MANIFEST_NAME}"
        self.path = store.location(f"{self._directory}/{self._name}")

    def check(self) -> None:
        """
        Raise where the file could not be published, before anything is read from the API.

        :raises SynthflowConfigError: where the store cannot be written
        :raises SynthflowOutputConflictError: where the file there was made by another query
        :raises SynthflowTransientError: where the store does not answer
        """
        self._store.check_writable()
        self._check_query(self.manifest())

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest that is there, or None where there is none that can be read."""
        return _manifest_in(self._store.read(self._manifest))

    def finished(self, since_ms: int, described: Mapping[str, Any]) -> dict[str, Any] | None:
        """
        Return the manifest of a file that is there, whole, of this query and not older than an instant; else None.

        :param since_ms: UTC milliseconds since 1970
        :param described: what the manifest must say of dropped and hashed fields
        """
        manifest = self.manifest()
        if manifest is None or manifest.get("query") != self._filters:
            return None
        if any(manifest.get(name) != described.get(name) for name in ("drop_fields", "hash_fields")):
            return None
        file = f"{self._directory}/{self._name}"
        try:
            written = to_milliseconds(manifest["extracted_at"])
            told = (manifest["path"], manifest["format"]) == (self.path, self._format)
            whole = written >= since_ms and told and self._store.holds(file, manifest["bytes"], manifest["sha256"])
        except (KeyError, TypeError, ValueError):
            return None  # whoever wrote it, it is no manifest of this package
        return manifest if whole else None

    @contextlib.contextmanager
    def draft(self) -> Iterator[Draft | None]:
        """
        Open the window's file while its calls still come; nobody sees it, and unpublished it is gone at the end.

        :return: None where the format is written afterwards, or the store cannot promise that nothing of the file
            outlives the process
        :raises SynthflowConfigError: where the store cannot be written
        """
        if not FORMATS[self._format].ahead:
            yield None
            return
        with self._store.draft(self._directory) as staged:
            yield None if staged is None else Draft(staged, self._format)

    def publish(
        self, records: Iterable[bytes], result: dict[str, Any], *, draft: Draft | None = None
    ) -> dict[str, Any]:
        """
        Write the file and then its manifest, unless the same bytes are there already.

        :param records: the calls in order, each as JSON
        :param result: the result without what is said of the file
        :param draft: the file that all the records were written into already, in order; default: none
        :return: the result with ``changed``, ``path``, ``format``, ``bytes`` and ``sha256``
        :raises SynthflowConfigError: where the store cannot be written
        :raises SynthflowTransientError: where the store fails, or others write the same window all the time
        """
        self._check_query(self.manifest())
        self._store.sweep(self._directory)
        with contextlib.ExitStack() as stack:
            if draft is None:
                draft = Draft(stack.enter_context(self._store.stage(self._directory)), self._format)
                for record in records:
                    draft.write(record)
            staged = draft.finish()
            stack.enter_context(self._store.locked(self._directory))
            return self._settle(staged, result)

    def _settle(self, staged: Staged, result: dict[str, Any]) -> dict[str, Any]:
        """Give the file and its manifest their names, until both are there and speak of each other."""
        file = {"path": self.path, "format": self._format, "bytes": staged.size, "sha256": staged.sha256}
        there = staged.is_at(self._name)
        result = {**result, "changed": not there, **file}
        if there and self._tells(file):
            return result
        for turn in range(_TRIES):
            self._put(staged, result, file, there=there)
            there = staged.is_at(self._name)
            if there and self._tells(file):
                return result
            # Another try of the same window came between. Both begin again, after pauses of different lengths.
            result["changed"] = True
            time.sleep(random.uniform(0, _PAUSE * 2**turn))  # noqa: S311 - no secret
        if self._tells(file) and not staged.is_at(self._name):
            self._store.take(self._manifest)
        msg = (
            f"{self.path} was written {_TRIES} times by another task at the same time. "
            "Let one task at a time write a window."
        )
        raise SynthflowTransientError(msg, attempts=_TRIES)

    def _put(self, staged: Staged, result: dict[str, Any], file: dict[str, Any], *, there: bool) -> None:
        """Put the file, where it is not there, and then its manifest."""
        if not there:
            # Between the two files' publishing no manifest is true: the old one is of other bytes.
            taken = self._store.take(self._manifest)
            try:
                self._check_query(_manifest_in(taken))
            except SynthflowOutputConflictError:  # another query's task came first, since this one looked
                self._write_manifest(taken or b"")
                raise
            staged.publish(self._name)
        if not self._tells(file):
            self._check_query(self.manifest())
            self._write_manifest(json.dumps(result, indent=2, ensure_ascii=False).encode() + b"\n")

    def _write_manifest(self, data: bytes) -> None:
        with self._store.stage(self._directory) as manifest:
            manifest.write(data)
            manifest.publish(MANIFEST_NAME)

    def _tells(self, file: dict[str, Any]) -> bool:
        """Tell whether the manifest that is there speaks of a file."""
        manifest = self.manifest()
        if manifest is None or (manifest.get("query") or {}) != self._filters:
            return False
        return all(manifest.get(name) == value for name, value in file.items())

    def _check_query(self, manifest: Mapping[str, Any] | None) -> None:
        """Raise where the file of a manifest was made by another query."""
        if manifest is None:
            return
        theirs = manifest.get("query")
        theirs = theirs if isinstance(theirs, dict) else {}
        differing = sorted(
            name for name in theirs.keys() | self._filters.keys() if theirs.get(name) != self._filters.get(name)
        )
        if differing:
            msg = (
                f"{self.path} belongs to a query with another {', '.join(differing)}, and is left as it is. "
                "Write this query to an output_path of its own, or remove the file and its manifest."
            )
            raise SynthflowOutputConflictError(msg, path=self.path, differing=differing)


def _manifest_in(data: bytes | None) -> dict[str, Any] | None:
    """Read a manifest; None where it is none."""
    try:
        manifest = None if data is None else json.loads(data)
    except ValueError:
        return None
    return cast("dict[str, Any]", manifest) if isinstance(manifest, dict) else None


MANIFEST_NAME = "_manifest.json"
"""The name of the manifest: readers of partitioned data pass over names with an underscore before them."""


def directory_of(model_id: str, window: Window) -> str:
    """
    Return the directory of a window below the output path, in the way that partition columns are read from.

    :param model_id: the agent; what is no plain character of a file name is percent-encoded
    :param window: the window
    """
    agent = quote(model_id, safe="")
    return f"model_id={agent}/from_date={_compact(window.from_ms)}/to_date={_compact(window.to_ms)}"


def file_name(format_name: str) -> str:
    """
    Return the name of the file of calls.

    :param format_name: the format, which is also the ending
    """
    return f"calls.{format_name}"


def _compact(milliseconds: int) -> str:
    """Write an instant as ``20261123T000000Z``, with milliseconds only where there are some."""
    text = format_instant(milliseconds).replace("-", "").replace(":", "")
    return text.replace(".000Z", "Z")
