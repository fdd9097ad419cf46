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

__all__ = ["NO_ORIGIN", "Cures", "Origin", "airflow_major", "join_words", "quote_word"]

UNKNOWN_DAG = "DAG_ID"
"""What stands for the DAG where no manifest names it, and nobody did."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_REMOVE = "import fsspec,sys;fs,path=fsspec.url_to_fs(sys.argv[1]);fs.rm(path,recursive=True)"


class Origin(msgspec.Struct, frozen=True, gc=False):
    """
    The task and the run that made a window, as far as its manifest names them.

    :param dag_id: the DAG
    :param task_id: the task
    :param run_id: the run
    :param logical_ms: the run's logical date, UTC milliseconds since 1970
    """

    dag_id: str | None = None
    task_id: str | None = None
    run_id: str | None = None
    logical_ms: int | None = None


NO_ORIGIN = Origin()


@dataclass(frozen=True)
class Cures:
    """
    What the commands of one lake have in common.

    :param lake: the lake's path, as the audit was given it
    :param locate: makes a file's full name of its path in the lake
    :param dag_id: the DAG that wrote the lake, for windows whose manifests name none
    :param airflow: Airflow's major version, which decides on its commands
    :param options: what an audit of this lake is called with besides, such as its connection
    """

    lake: str
    locate: Callable[[str], str]
    dag_id: str | None = None
    airflow: int = 3
    options: tuple[str, ...] = ()

    def clear(self, origin: Origin, from_ms: int, to_ms: int, *, downstream: bool = False) -> str:
        """Return what runs the task of a window again; the bounds stand in for a logical date that is not known."""
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
        return join_words(words)

    def _clear_run(self, origin: Origin, *, downstream: bool) -> str:
        """Return what clears a run that has no logical date, which ``airflow tasks clear`` cannot name."""
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
        """
        Return what makes the runs of a stretch of time.

        :param ends: whether a run's logical date is its window's end (True) or begin (False), as the windows beside
            tell; None where they do not: then the runs on both bounds are taken, too
        """
        dag_id = origin.dag_id or self.dag_id or UNKNOWN_DAG
        begin = from_ms + 1000 if ends else from_ms
        end = to_ms - 1000 if ends is False else to_ms
        if self.airflow < 3:
            dates = ["--start-date", _date(begin), "--end-date", _date(end)]
            return join_words(["airflow", "dags", "backfill", *dates, "--reset-dagruns", "--yes", dag_id])
        dates = ["--from-date", _date(begin), "--to-date", _date(end)]
        return join_words(
            ["airflow", "backfill", "create", "--dag-id", dag_id, *dates, "--reprocess-behavior", "completed"]
        )

    def remove(self, paths: Sequence[str], *, directories: bool = False) -> str:
        """Return what removes files, or directories with all that is in them, from the lake."""
        return " && ".join(self._remove(self.locate(path), directory=directories) for path in paths)

    def _remove(self, location: str, *, directory: bool) -> str:
        at = FileAddress.parse(location)
        if at.is_local:
            return join_words(["rm", *(["-r"] if directory else []), "--", at.key])
        if at.scheme in {"s3", "s3a"}:
            url = f"s3://{at.bucket}/{at.key}"
            return join_words(["aws", "s3", "rm", *(["--recursive", f"{url}/"] if directory else [url])])
        if at.scheme in {"gs", "gcs"}:
            return join_words(
                ["gcloud", "storage", "rm", *(["--recursive"] if directory else []), f"gs://{at.bucket}/{at.key}"]
            )
        if at.scheme in {"abfs", "abfss", "az"}:
            words = ["az", "storage", "fs", *(["directory", "delete"] if directory else ["file", "delete"]), "--yes"]
            return join_words([*words, "--file-system", at.bucket, "--name" if directory else "--path", at.key])
        return join_words(["python", "-c", _REMOVE, location])

    def audit(self, model_id: str, from_ms: int, to_ms: int) -> str:
        """Return what looks at a stretch of one agent's time again."""
        words = ["python", "-m", "airflow_provider_synthflow.audit", self.lake, "--model-id", model_id]
        return join_words([*words, "--from", _date(from_ms), "--to", _date(to_ms), *self.options])


def airflow_major() -> int:
    """Return the major version of the Airflow that is installed here; 3 where none is."""
    try:
        return int(version("apache-airflow").partition(".")[0])
    except (PackageNotFoundError, ValueError):
        return 3


def join_words(words: Sequence[str]) -> str:
    """Join words into a command, each quoted where a shell would make something of it."""
    return " ".join(quote_word(word) for word in words)


def quote_word(word: str) -> str:
    """Quote a word for a shell; what a terminal would obey is written as an escape."""
    if not _CONTROL.search(word):
        return shlex.quote(word)
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + _CONTROL.sub(lambda found: "".join(f"\\x{byte:02x}" for byte in found[0].encode()), escaped) + "'"


def _date(milliseconds: int) -> str:
    return format_instant(milliseconds).replace(".000Z", "Z")
