# SPDX-License-Identifier: Apache-2.0
"""The commands that mend findings, ready for a shell."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec

from airflow_provider_synthflow.storage.address import FileAddress
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["NO_ORIGIN", "Cures", "Origin", "airflow_major", "quote_word"]

UNKNOWN_DAG = "DAG_ID"
"""The placeholder for a DAG that neither a manifest nor the user names."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_REMOVE = "import fsspec,sys;fs,path=fsspec.url_to_fs(sys.argv[1]);fs.rm(path,recursive=True)"


class Origin(msgspec.Struct, frozen=True, gc=False):
    """The task and the run that made a window, as far as its manifest names them."""

    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    logical_ms: int | None = None  # the run's logical date


NO_ORIGIN = Origin()


@dataclass(frozen=True)
class Cures:
    """The commands that mend one lake."""

    lake: str
    locate: Callable[[str], str]  # from a path in the lake to the full one
    dag_id: str | None = None  # for windows whose manifests name none
    airflow: int = 3  # the major version
    options: tuple[str, ...] = ()  # of the audit, such as its connection

    def clear(self, origin: Origin, from_ms: int, to_ms: int, *, downstream: bool = False) -> str:
        """Return the command that clears a window's task, by the window's bounds where its logical date is unknown."""
        dag_id = origin.dag_id or self.dag_id or UNKNOWN_DAG
        if origin.logical_ms is None and origin.dag_id and origin.run_id and self.airflow >= 3:
            return self._clear_run(origin, downstream=downstream)
        begin, end = (from_ms, to_ms) if origin.logical_ms is None else (origin.logical_ms, origin.logical_ms)
        words = ["airflow", "tasks", "clear", dag_id]
        if origin.task_id:
            words += [
                "--task-regex",
                origin.task_id,
            ]  # Airflow 3 takes it for a part of the name, Airflow 2 for a pattern
        if downstream:
            words += ["--downstream"]
        words += ["--start-date", _date(begin), "--end-date", _date(end), "--yes"]
        return _join_words(words)

    def _clear_run(self, origin: Origin, *, downstream: bool) -> str:
        """Return the request that clears a run without a logical date, which ``airflow tasks clear`` cannot name."""
        body: dict[str, object] = {"dry_run": False, "only_failed": False, "include_downstream": downstream}
        body["dag_run_id"] = origin.run_id
        if origin.task_id:
            body["task_ids"] = [origin.task_id]
        path = re.sub("[^A-Za-z0-9._~-]", lambda found: f"%{ord(found[0]):02X}", origin.dag_id or "")
        return (
            f'curl --fail --request POST "$AIRFLOW_URL/api/v2/dags/{path}/clearTaskInstances" '
            '--header "Authorization: Bearer $AIRFLOW_TOKEN" --header "Content-Type: application/json" '
            f"--data {quote_word(msgspec.json.encode(body).decode())}"
        )

    def backfill(self, origin: Origin, from_ms: int, to_ms: int, *, ends: bool | None = None) -> str:
        """Return the command that runs a DAG for a gap; ``ends``: a run's date is its window's end."""
        # Where that is unknown (None), the runs on both bounds are made.
        dag_id = origin.dag_id or self.dag_id or UNKNOWN_DAG
        begin = from_ms + 1000 if ends else from_ms
        end = to_ms - 1000 if ends is False else to_ms
        if self.airflow < 3:
            dates = ["--start-date", _date(begin), "--end-date", _date(end)]
            return _join_words(["airflow", "dags", "backfill", *dates, "--reset-dagruns", "--yes", dag_id])
        dates = ["--from-date", _date(begin), "--to-date", _date(end)]
        return _join_words(
            ["airflow", "backfill", "create", "--dag-id", dag_id, *dates, "--reprocess-behavior", "completed"]
        )

    def remove(self, paths: Sequence[str], *, directories: bool = False) -> str:
        """Return the command that removes files or directories from the lake."""
        return " && ".join(self._remove(self.locate(path), directory=directories) for path in paths)

    def _remove(self, location: str, *, directory: bool) -> str:
        at = FileAddress.parse(location)
        if at.is_local:
            return _join_words(["rm", *(["-r"] if directory else []), "--", at.key])
        if at.scheme in {"s3", "s3a"}:
            url = f"s3://{at.bucket}/{at.key}"
            return _join_words(["aws", "s3", "rm", *(["--recursive", f"{url}/"] if directory else [url])])
        if at.scheme in {"gs", "gcs"}:
            return _join_words(
                ["gcloud", "storage", "rm", *(["--recursive"] if directory else []), f"gs://{at.bucket}/{at.key}"]
            )
        if at.scheme in {"abfs", "abfss", "az"}:
            words = ["az", "storage", "fs", *(["directory", "delete"] if directory else ["file", "delete"]), "--yes"]
            return _join_words([*words, "--file-system", at.bucket, "--name" if directory else "--path", at.key])
        return _join_words(["python", "-c", _REMOVE, location])

    def audit(self, model_id: str, from_ms: int, to_ms: int) -> str:
        """Return the command that audits one agent's time again."""
        words = ["python", "-m", "airflow_provider_synthflow.audit", self.lake, "--model-id", model_id]
        return _join_words([*words, "--from", _date(from_ms), "--to", _date(to_ms), *self.options])


def airflow_major() -> int:
    """Return the major version of the installed Airflow; 3 where there is none."""
    try:
        return int(version("apache-airflow").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        return 3


def _join_words(words: Sequence[str]) -> str:
    """Join words into a command, each quoted for a shell."""
    return " ".join(quote_word(word) for word in words)


def quote_word(word: str) -> str:
    """Quote a word for a shell, its control characters as escapes."""
    if not _CONTROL.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _CONTROL.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), escaped) + "'"


def _date(milliseconds: int) -> str:
    return format_instant(milliseconds).replace(".000Z", "Z")
