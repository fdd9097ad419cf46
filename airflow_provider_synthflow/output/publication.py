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
from airflow_provider_synthflow.output.call_schema import COLUMNS
from airflow_provider_synthflow.output.draft import Draft
from airflow_provider_synthflow.output.formats import FORMATS, check_format
from airflow_provider_synthflow.timestamps import format_instant, to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from airflow_provider_synthflow.output.call_schema import Column
    from airflow_provider_synthflow.output.draft import Finished, TablesSpec
    from airflow_provider_synthflow.storage.base import Staged, Store
    from airflow_provider_synthflow.window.window import Window

__all__ = ["MANIFEST_NAME", "FilePublication", "Publication", "directory_of", "file_name", "table_file_name"]

_TRIES = 5
_PAUSE = 0.5


class FilePublication:
    """
    Where one file goes, with its manifest and the tables beside it.

    :param store: the place for files
    :param directory: the directory below the store's path
    :param stem: the file's name without its format
    :param format_name: the file's format
    :param filters: the query that the file is the answer to, which the manifest keeps
    :param tables: the tables that are published beside it; default: none
    :param columns: the columns of Parquet; default: those of calls
    :raises SynthflowConfigError: for an unknown format
    """

    def __init__(
        self,
        store: Store,
        directory: str,
        stem: str,
        format_name: str,
        filters: dict[str, Any],
        *,
        tables: TablesSpec | None = None,
        columns: tuple[Column, ...] = COLUMNS,
    ) -> None:
        check_format(format_name)
        self._store = store
        self._format = format_name
        self._filters = filters
        self._tables = tables
        self._columns = columns
        self._directory = directory
        self._name = f"{stem}.{format_name}"
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
        return manifest if whole and self._has_tables(manifest) else None

    def _has_tables(self, manifest: Mapping[str, Any]) -> bool:
        """Tell whether the tables that are asked for are there, whole, as a manifest says."""
        told = _tables_in(manifest)
        names = () if self._tables is None else self._tables.names
        return all(
            name in told
            and self._store.holds(
                f"{self._directory}/{table_file_name(name)}", told[name]["bytes"], told[name]["sha256"]
            )
            for name in names
        )

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
        with contextlib.ExitStack() as stack:
            yield self._open_draft(lambda: stack.enter_context(self._store.draft(self._directory)))

    def _open_draft(self, open_file: Callable[[], Staged | None]) -> Draft | None:
        staged = open_file()
        tables = {} if self._tables is None else {name: open_file() for name in self._tables.names}
        if staged is None or None in tables.values():
            return None
        files = cast("dict[str, Staged]", tables)
        return Draft(staged, self._format, columns=self._columns, tables=files, spec=self._tables)

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
                draft = self._open_draft(lambda: stack.enter_context(self._store.stage(self._directory)))
                draft = cast("Draft", draft)  # a store can always stage
                for record in records:
                    draft.write(record)
            finished = draft.finish()
            stack.enter_context(self._store.locked(self._directory))
            return self._settle(finished, result)

    def _settle(self, finished: Finished, result: dict[str, Any]) -> dict[str, Any]:
        """Give the files and their manifest their names, until all are there and it speaks of them."""
        staged = finished.calls
        files = {table_file_name(name): table for name, (table, _) in finished.tables.items()} | {self._name: staged}
        file: dict[str, Any] = {"path": self.path, "format": self._format}
        file |= {"bytes": staged.size, "sha256": staged.sha256}
        if finished.tables:
            file["tables"] = {name: self._describe(name, *table) for name, table in finished.tables.items()}
        missing = _missing(files)
        result = {**result, "changed": bool(missing), **file}
        if not missing and self._tells(file):
            return result
        for turn in range(_TRIES):
            self._put(missing, result, file)
            missing = _missing(files)
            if not missing and self._tells(file):
                return result
            # Another try of the same window came between. Both begin again, after pauses of different lengths.
            result["changed"] = True
            time.sleep(random.uniform(0, _PAUSE * 2**turn))  # noqa: S311 - no secret
        if missing and self._tells(file):
            self._store.take(self._manifest)
        msg = (
            f"{self.path} was written {_TRIES} times by another task at the same time. "
            "Let one task at a time write a window."
        )
        raise SynthflowTransientError(msg, attempts=_TRIES)

    def _describe(self, name: str, staged: Staged, told: dict[str, int]) -> dict[str, Any]:
        path = self._store.location(f"{self._directory}/{table_file_name(name)}")
        return {"path": path, "rows": told["rows"], "bytes": staged.size, "sha256": staged.sha256, "odd": told["odd"]}

    def _put(self, missing: Mapping[str, Staged], result: dict[str, Any], file: dict[str, Any]) -> None:
        """Put the files that are not there, and then their manifest."""
        before = self.manifest()
        if missing:
            # Between the files' publishing no manifest is true: the old one is of other bytes.
            taken = self._store.take(self._manifest)
            before = _manifest_in(taken)
            try:
                self._check_query(before)
            except SynthflowOutputConflictError:  # another query's task came first, since this one looked
                self._write_manifest(taken or b"")
                raise
            for name in self._stale_tables(before, file):
                self._store.take(f"{self._directory}/{table_file_name(name)}")
            for name, staged in missing.items():
                staged.publish(name)
        if not self._tells(file):
            self._check_query(self.manifest())
            kept = {name: told for name, told in _tables_in(before).items() if _same_calls(before, file)}
            tables = {"tables": kept | file.get("tables", {})} if kept or "tables" in file else {}
            self._write_manifest(json.dumps({**result, **tables}, indent=2, ensure_ascii=False).encode() + b"\n")

    def _stale_tables(self, before: Mapping[str, Any] | None, file: Mapping[str, Any]) -> list[str]:
        """Return the tables of calls that are no more, which are not written again."""
        return (
            []
            if _same_calls(before, file)
            else [name for name in _tables_in(before) if name not in file.get("tables", {})]
        )

    def _write_manifest(self, data: bytes) -> None:
        with self._store.stage(self._directory) as manifest:
            manifest.write(data)
            manifest.publish(MANIFEST_NAME)

    def _tells(self, file: dict[str, Any]) -> bool:
        """Tell whether the manifest that is there speaks of a file."""
        manifest = self.manifest()
        if manifest is None or (manifest.get("query") or {}) != self._filters:
            return False
        told = _tables_in(manifest)
        return all(manifest.get(name) == value for name, value in file.items() if name != "tables") and all(
            told.get(name) == table for name, table in file.get("tables", {}).items()
        )

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


class Publication(FilePublication):
    """Where the calls of one window go: :class:`FilePublication` in the window's own directory."""

    def __init__(
        self,
        store: Store,
        model_id: str,
        window: Window,
        format_name: str,
        filters: dict[str, Any],
        *,
        tables: TablesSpec | None = None,
    ) -> None:
        super().__init__(store, directory_of(model_id, window), "calls", format_name, filters, tables=tables)


def _manifest_in(data: bytes | None) -> dict[str, Any] | None:
    """Read a manifest; None where it is none."""
    try:
        manifest = None if data is None else json.loads(data)
    except ValueError:
        return None
    return cast("dict[str, Any]", manifest) if isinstance(manifest, dict) else None


def _tables_in(manifest: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return what a manifest tells of its tables, as far as it can be read."""
    told = (manifest or {}).get("tables")
    if not isinstance(told, dict):
        return {}
    return {
        name: table
        for name, table in told.items()
        if isinstance(table, dict) and isinstance(table.get("bytes"), int) and isinstance(table.get("sha256"), str)
    }


def _same_calls(manifest: Mapping[str, Any] | None, file: Mapping[str, Any]) -> bool:
    return all((manifest or {}).get(name) == file[name] for name in ("path", "bytes", "sha256"))


def _missing(files: Mapping[str, Staged]) -> dict[str, Staged]:
    """Return the files that are not there with these very bytes."""
    return {name: staged for name, staged in files.items() if not staged.is_at(name)}


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


def table_file_name(name: str) -> str:
    """Return the name of the file of a table."""
    return f"{name}.parquet"


def _compact(milliseconds: int) -> str:
    """Write an instant as ``20261123T000000Z``, with milliseconds only where there are some."""
    text = format_instant(milliseconds).replace("-", "").replace(":", "")
    return text.replace(".000Z", "Z")
