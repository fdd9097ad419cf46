# SPDX-License-Identifier: Apache-2.0
"""Publish a file and the tables made of it: all whole, then their manifest; never over the files of another query."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_synthflow.exceptions import SynthflowOutputConflictError, SynthflowTransientError
from airflow_provider_synthflow.output.call_schema import COLUMNS
from airflow_provider_synthflow.output.comparison import are_equal_but_for, open_staged
from airflow_provider_synthflow.output.draft import Draft
from airflow_provider_synthflow.output.formats import check_format
from airflow_provider_synthflow.output.manifest import (
    is_same_manifest,
    list_told_bytes,
    parse_manifest,
    read_tables,
    tells_of_file,
)
from airflow_provider_synthflow.storage.base import ABSENT, ChangedMeanwhileError
from airflow_provider_synthflow.timestamps import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from airflow_provider_synthflow.output.call_schema import Column
    from airflow_provider_synthflow.output.draft import Finished, TablesSpec
    from airflow_provider_synthflow.storage.base import Staged, Store

__all__ = ["MANIFEST_NAME", "TABLE_NAMES", "FilePublication"]

MANIFEST_NAME = "_manifest.json"
"""The name of the manifest: readers of partitioned data pass over names with an underscore before them."""

TABLE_NAMES = frozenset({"turns", "actions", "variables", "judgements"})
"""The tables that may lie beside calls."""

_TRIES = 5
_PAUSE = 0.5
_SOME = 128  # records at a time
_DESCRIBED = ("drop_fields", "hash_fields", "details")
"""What of a query the manifest keeps beside the API's filters: the file holds other records for it."""


@dataclass(frozen=True)
class _File:
    """A file to publish, and what the manifest says about it."""

    name: str
    staged: Staged
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    """The files that are there, compared with those to publish."""

    told: dict[str, Any]
    """What the manifest is to say."""

    due: list[tuple[_File, str | None]]
    """The files that are not there with their bytes, each with the version that is."""

    manifest_version: str | None
    is_true: bool
    """Whether there is a manifest, of files that stay as they are."""

    is_whole: bool
    """Whether nothing is to be written."""


class FilePublication:
    """The publication of one file, with its tables and their manifest."""

    # The files are written into `draft` while records still come, or by `publish` when they are all there. The manifest
    # is removed before the first file changes and written after the last: where it is, each file is whole and of this
    # query.

    def __init__(
        self,
        store: Store,
        directory: str,
        stem: str,
        format_name: str,
        filters: dict[str, Any],
        *,
        described: Mapping[str, Any] | None = None,
        volatile_fields: Collection[str] = (),
        tables: TablesSpec | None = None,
        columns: tuple[Column, ...] = COLUMNS,
    ) -> None:
        check_format(format_name)
        self._store = store
        self._format = format_name
        self._filters = filters
        self._described = {name: (described or {}).get(name) or None for name in _DESCRIBED}
        self._volatile_fields = frozenset(volatile_fields)
        self._tables = tables
        self._columns = columns
        self._directory = directory
        self._stem = stem
        self._name = f"{stem}.{format_name}"
        self._manifest = f"{self._directory}/{MANIFEST_NAME}"
        self.path = store.location(f"{self._directory}/{self._name}")

    def check(self) -> None:
        """Raise where the file could not be published, before anything is read from the API."""
        self._store.check_writable()
        self._check_query(self.manifest())

    def manifest(self) -> dict[str, Any] | None:
        """Return the manifest that is there, or None where none can be read."""
        return parse_manifest(self._store.read(self._manifest))

    def find_published(self, since_ms: int) -> dict[str, Any] | None:
        """Return the manifest of files that are there, whole, of this query, and not older than an instant."""
        manifest = self.manifest()
        if manifest is None or self._find_differing(manifest):
            return None
        try:
            told, names = read_tables(manifest), () if self._tables is None else self._tables.names
            files = [(self._name, manifest), *((_table_file_name(name), told[name]) for name in names)]
            if to_milliseconds(manifest["extracted_at"]) < since_ms or manifest["path"] != self.path:
                return None
            whole = all(
                self._store.holds(f"{self._directory}/{name}", file["bytes"], file["sha256"]) for name, file in files
            )
        except (KeyError, TypeError, ValueError):
            return None  # whoever wrote it, it is no manifest of this package, or lacks a table
        return manifest if whole else None

    @contextlib.contextmanager
    def draft(self) -> Iterator[Draft | None]:
        """Open the file while its calls still come, unless it could outlive a killed process (None)."""
        with contextlib.ExitStack() as stack:
            yield self._open_draft(lambda: stack.enter_context(self._store.draft(self._directory)))

    def publish(
        self,
        records: Iterable[bytes],
        result: dict[str, Any],
        *,
        draft: Draft | None = None,
    ) -> dict[str, Any]:
        """Write the files and then their manifest, unless they are there, and return the result with their numbers."""
        with contextlib.ExitStack() as stack:
            if draft is None:
                draft = self._open_draft(lambda: stack.enter_context(self._store.stage(self._directory)))
                draft = cast("Draft", draft)  # a store can always stage
                rest = iter(records)
                while some := list(itertools.islice(rest, _SOME)):
                    draft.write(some)
            files = self._list_files(draft.finish())
            seen = self._compare(files, {**result, "changed": False})
            if seen.is_whole and not self._store.has_leftovers(self._directory):
                return seen.told
            stack.enter_context(self._store.locked(self._directory))
            self._store.sweep(self._directory)
            return self._settle(files, result)

    def _open_draft(self, open_file: Callable[[], Staged | None]) -> Draft | None:
        staged = open_file()
        tables = {} if self._tables is None else {name: open_file() for name in self._tables.names}
        if staged is None or None in tables.values():
            return None
        files = cast("dict[str, Staged]", tables)
        return Draft(staged, self._format, columns=self._columns, tables=files, spec=self._tables)

    def _list_files(self, finished: Finished) -> list[_File]:
        """Return the files to publish, the calls first."""
        files = [_File(self._name, finished.calls, {"path": self.path, "format": self._format})]
        for name, (staged, counts) in finished.tables.items():
            path = self._store.location(f"{self._directory}/{_table_file_name(name)}")
            files.append(_File(_table_file_name(name), staged, {"path": path, **counts}))
        return files

    def _settle(self, files: list[_File], result: dict[str, Any]) -> dict[str, Any]:
        """Publish the files and their manifest, until all are there and agree."""
        written: list[_File] = []
        try:
            for turn in range(_TRIES):
                with contextlib.suppress(ChangedMeanwhileError):
                    return self._settle_once(files, result, written)
                # Someone who has no lock came between. Both begin again, after pauses of different lengths.
                time.sleep(random.uniform(0, _PAUSE * 2**turn))  # noqa: S311 - no secret
        except SynthflowOutputConflictError:
            self._undo(written)
            raise
        self._remove_untrue_manifest()
        msg = (
            f"{self.path} was written {_TRIES} times by another task at the same time. "
            "Let one task at a time write a window."
        )
        raise SynthflowTransientError(msg, attempts=_TRIES)

    def _settle_once(self, files: list[_File], result: dict[str, Any], written: list[_File]) -> dict[str, Any]:
        """Publish the files that are not there, then the manifest, each over the version that was seen."""
        seen = self._compare(files, {**result, "changed": bool(written)})
        if seen.is_whole:
            return seen.told
        version = seen.manifest_version
        if not seen.is_true:
            # While the files change no manifest is true: the old one is of other bytes.
            if version != ABSENT:
                self._store.remove(self._manifest, version)
                version = ABSENT
            self._remove_other_tables(files[0].staged, seen.told.get("tables", {}))
            for file, there in seen.due:
                file.staged.publish(file.name, there)
                written.append(file)
        new = json.dumps(seen.told, indent=2, ensure_ascii=False).encode() + b"\n"
        with self._store.stage(self._directory) as staged:
            staged.write(new)
            staged.publish(MANIFEST_NAME, version)
        if self._store.read(self._manifest) != new or not all(
            file.staged.compare(file.name)[0] for file, _ in seen.due
        ):
            raise ChangedMeanwhileError(self.path)
        return seen.told

    def _compare(self, files: list[_File], result: dict[str, Any]) -> _Seen:
        """Compare what is there with what is to be published."""
        data, version = self._store.read_version(self._manifest)
        manifest = parse_manifest(data)
        self._check_query(manifest)
        compared = [(file, *file.staged.compare(file.name)) for file in files]
        due = [(file, there) for file, same, there in compared if not same]
        is_new = bool(due) and due[0][0] is files[0]
        unchanged = self._find_unchanged(manifest, files[0].staged) if is_new else None
        earlier, held = read_tables(manifest), {}
        if unchanged or not is_new:  # else earlier tables are of other calls
            ours = set() if unchanged else {file.name for file in files}
            held = {name: each for name, each in earlier.items() if self._holds_table(name, each, but_for=ours)}
        if unchanged:  # its tables are of the calls that are there
            due = [(file, there) for file, there in due[1:] if _table_name(file) not in held]
        told = _tell([files[0], *(file for file, _ in due)] if unchanged else files, result, unchanged)
        told["changed"] = bool(due) or result["changed"]
        if tables := {**held, **told.get("tables", {})}:
            told["tables"] = tables
        true = not due and manifest is not None and earlier.keys() <= tables.keys()
        whole = true and manifest is not None and is_same_manifest(manifest, told)
        return _Seen(told, due, version, is_true=true, is_whole=whole)

    def _remove_other_tables(self, calls: Staged, told: Collection[str]) -> None:
        """Remove the tables of which the manifest will not tell: whoever left them, they are of other calls."""
        others = set(map(_table_file_name, TABLE_NAMES - set(told)))
        here = f"{self._directory}/"
        for name in others & {file.path.removeprefix(here) for file in self._store.list_files(here)}:
            there = calls.compare(name)[1]
            if there != ABSENT:  # another task may have removed it meanwhile
                self._store.remove(here + name, there)

    def _holds_table(self, name: str, told: Mapping[str, Any], *, but_for: Collection[str]) -> bool:
        """Tell whether a table is there as the manifest says."""
        file = _table_file_name(name)
        return file not in but_for and self._store.holds(f"{self._directory}/{file}", told["bytes"], told["sha256"])

    def _find_unchanged(self, manifest: Mapping[str, Any] | None, staged: Staged) -> dict[str, Any] | None:
        """Return the manifest's entries on the file if it differs in volatile fields alone."""
        if not self._volatile_fields or manifest is None or manifest.get("path") != self.path:
            return None
        relative = f"{self._directory}/{self._name}"
        if not tells_of_file(manifest) or not self._store.holds(relative, manifest["bytes"], manifest["sha256"]):
            return None
        unchanged = {name: manifest[name] for name in ("path", "format", "bytes", "sha256")}
        there = self._store.open(relative)
        if there is None:
            return None
        with there, open_staged(staged) as new:
            return unchanged if are_equal_but_for(self._volatile_fields, self._format, there, new) else None

    def _undo(self, written: list[_File]) -> None:
        """Remove what this task wrote where another query's task was first."""
        theirs = set(list_told_bytes(self.manifest() or {}))
        for file in written:
            same, version = file.staged.compare(file.name)
            if same and (file.staged.size, file.staged.sha256) not in theirs:
                with contextlib.suppress(ChangedMeanwhileError):
                    self._store.remove(f"{self._directory}/{file.name}", version)
        if written:
            self._remove_untrue_manifest()

    def _remove_untrue_manifest(self) -> None:
        """Remove the manifest where its file is not there."""
        data, version = self._store.read_version(self._manifest)
        told = parse_manifest(data)
        if told is None or not tells_of_file(told):
            return
        relative = f"{self._directory}/{self._stem}.{told['format']}"
        if not self._store.holds(relative, told["bytes"], told["sha256"]):
            with contextlib.suppress(ChangedMeanwhileError):
                self._store.remove(self._manifest, version)

    def _check_query(self, manifest: Mapping[str, Any] | None) -> None:
        """Raise where the manifest is of another query."""
        differing = [] if manifest is None else self._find_differing(manifest)
        if differing:
            msg = (
                f"{self.path} belongs to a query with another {', '.join(differing)}, and is left as it is. "
                "Write this query to an output_path of its own, or remove the window's files and their manifest."
            )
            raise SynthflowOutputConflictError(msg, path=self.path, differing=differing)

    def _find_differing(self, manifest: Mapping[str, Any]) -> list[str]:
        """Return the parts in which the query of a manifest differs."""
        theirs = manifest.get("query")
        theirs = theirs if isinstance(theirs, dict) else {}
        names = theirs.keys() | self._filters.keys()
        differing = {name for name in names if theirs.get(name) != self._filters.get(name)}
        differing |= {name for name, value in self._described.items() if (manifest.get(name) or None) != value}
        if manifest.get("format", self._format) != self._format:
            differing.add("output_format")
        return sorted(differing)


def _tell(files: list[_File], result: dict[str, Any], unchanged: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the result with the entries on its files."""
    calls, *tables = files
    told = {**result, **calls.told, "bytes": calls.staged.size, "sha256": calls.staged.sha256, **(unchanged or {})}
    if tables:
        told["tables"] = {
            _table_name(file): {
                **file.told,
                "bytes": file.staged.size,
                "sha256": file.staged.sha256,
            }
            for file in tables
        }
    return told


def _table_name(file: _File) -> str:
    return file.name.removesuffix(".parquet")


def _table_file_name(name: str) -> str:
    """Return the file name of a table."""
    return f"{name}.parquet"
