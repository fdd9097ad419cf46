# SPDX-License-Identifier: Apache-2.0
"""The audit from a shell: ``python -m airflow_provider_synthflow.audit``."""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import sys
from typing import IO, TYPE_CHECKING, Any

from airflow_provider_synthflow.auditing import FINDINGS
from airflow_provider_synthflow.auditing.cure import Cures, airflow_major
from airflow_provider_synthflow.auditing.finding import plain
from airflow_provider_synthflow.auditing.journal import open_journal
from airflow_provider_synthflow.auditing.lake_audit import AuditPlan, audit_lake
from airflow_provider_synthflow.auditing.progress import BarProgress, LogProgress
from airflow_provider_synthflow.auditing.report.page import check_report, publish_report
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowError
from airflow_provider_synthflow.observability.quantities import to_count
from airflow_provider_synthflow.storage.address import to_path_text
from airflow_provider_synthflow.storage.open_store import open_store
from airflow_provider_synthflow.timestamps import to_milliseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_synthflow.auditing.lake_audit import AuditOutcome
    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["run_command"]

WHOLE, FOUND, FAILED = 0, 1, 2
"""The exit statuses: whole, something was found, the audit failed."""

_SHOWN = 20


def run_command(
    arguments: Sequence[str] | None,
    output: IO[str],
    connect: Callable[[str], contextlib.AbstractContextManager[SynthflowClient]],
) -> int:
    """Run the command, and return its exit status."""
    with contextlib.redirect_stdout(output):  # for --help
        options = _read_arguments(arguments)
    try:
        with _warnings_only():
            outcome = _audit(options, connect)
    except (SynthflowError, OSError) as error:
        sys.stderr.write(f"{plain(str(error))}\n")
        return FAILED
    except KeyboardInterrupt:
        cure = "Run the same command again to go on." if options.resume else "With --resume DIR it could go on later."
        sys.stderr.write(f"The audit was interrupted. {cure}\n")
        return FAILED
    result = outcome.result(None)
    if options.json:
        output.write(json.dumps(result, indent=2) + "\n")
    else:
        _tell(outcome, result, output)
    if outcome.failure is not None:
        sys.stderr.write(f"{plain(str(outcome.failure))}\n")
        return FAILED
    return FOUND if outcome.named(options.fail_on) else WHOLE


@contextlib.contextmanager
def _warnings_only() -> Iterator[None]:
    """Silence this package's progress logs, since the command shows its progress itself."""
    log = logging.getLogger("airflow_provider_synthflow")
    before = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(before)


def _audit(
    options: argparse.Namespace, connect: Callable[[str], contextlib.AbstractContextManager[SynthflowClient]]
) -> AuditOutcome:
    path = to_path_text(options.path, "PATH")
    store = open_store(path, options.conn_id, name="PATH")
    own = (("--conn-id", options.conn_id), ("--synthflow-conn-id", options.synthflow_conn_id))
    cures = Cures(
        path,
        store.location,
        options.dag_id,
        airflow_major(),
        tuple(word for name, value in own if value and value != "synthflow_default" for word in (name, value)),
    )
    plan = AuditPlan(
        tuple(options.model_id),
        options.from_date,
        options.to_date,
        read_files=not options.no_read,
        by_day=options.analytics,
        max_requests=options.max_requests,
    )
    if plan.from_ms is not None and plan.to_ms is not None and plan.from_ms >= plan.to_ms:
        raise SynthflowConfigError("--from is not before --to.")
    report = None if options.report is None else to_path_text(options.report, "--report")
    if report is not None:
        check_report(report, options.conn_id, name="--report")
    with contextlib.ExitStack() as stack:
        client = None if options.no_api else stack.enter_context(connect(options.synthflow_conn_id))
        bar = sys.stderr.isatty() and not options.quiet
        journal = None
        if options.resume is not None:
            resume = to_path_text(options.resume, "--resume")
            journal = stack.enter_context(open_journal(resume, options.conn_id, path, name="--resume"))
        with BarProgress() if bar else contextlib.nullcontext(LogProgress()) as progress:
            outcome = audit_lake(store, plan, cures, progress, client=client, journal=journal)
        if report is not None:
            outcome.report = publish_report(outcome, report, options.conn_id, name="--report")
        if journal is not None:
            journal.is_finished = outcome.failure is None
    return outcome


def _read_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_provider_synthflow.audit",
        description="Check that every call that was published is there today, whole, and still what the API has. "
        "Nothing is written but the report.",
        epilog="Exit status: 0 whole, 1 something was found, 2 the audit failed.",
    )
    parser.add_argument(
        "path", type=_given, metavar="PATH", help="the output_path: a directory, or s3://, gs://, abfss://, …"
    )
    parser.add_argument(
        "--conn-id",
        type=_given,
        metavar="ID",
        help="the Airflow connection of the store; default: what the environment gives",
    )
    parser.add_argument(
        "--model-id",
        type=_given,
        action="append",
        default=[],
        metavar="ID",
        help="audit this agent alone; may be repeated",
    )
    parser.add_argument("--from", dest="from_date", type=_date, metavar="DATE", help="from when on; default: all")
    parser.add_argument("--to", dest="to_date", type=_date, metavar="DATE", help="until when, exclusive; default: all")
    parser.add_argument(
        "--report", type=_given, metavar="FILE.html", help="write a report: a path, or a URL of a store"
    )
    parser.add_argument(
        "--resume",
        type=_given,
        metavar="DIR",
        help="keep here what was found whole, so that the same command goes on after it was interrupted",
    )
    parser.add_argument("--json", action="store_true", help="write the result as JSON to standard output")
    parser.add_argument("--no-api", action="store_true", help="do not ask the API")
    parser.add_argument("--analytics", action="store_true", help="ask the API's analytics, too")
    parser.add_argument("--no-read", action="store_true", help="compare the sizes of files, and do not read them")
    parser.add_argument(
        "--fail-on",
        type=_kinds,
        default=tuple(FINDINGS),
        metavar="KINDS",
        help=f"what makes the exit status 1, with commas: {', '.join(FINDINGS)}; default: any",
    )
    parser.add_argument(
        "--dag-id", type=_given, metavar="ID", help="the DAG that wrote the lake, for windows whose manifests name none"
    )
    parser.add_argument(
        "--max-requests",
        type=_number,
        default=10_000,
        metavar="N",
        help="ask the API for so many windows at the most, the newest first; default 10000",
    )
    parser.add_argument(
        "--synthflow-conn-id", type=_given, default="synthflow_default", metavar="ID", help="the API's connection"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress")
    options = parser.parse_args(arguments)
    if options.analytics and options.no_api:
        parser.error("--analytics asks the API: leave out one of --analytics and --no-api")
    if options.resume is not None and options.no_read:
        parser.error("--resume saves reading files: leave out one of --resume and --no-read")
    return options


def _date(text: str) -> int:
    """Parse a date, which means midnight in UTC, or an instant with a time zone."""
    try:
        return to_milliseconds(f"{text}T00:00:00Z" if len(text) == len("2026-11-23") else text, name="the date")
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _kinds(text: str) -> tuple[str, ...]:
    kinds = tuple(word.strip() for word in _given(text).split(",") if word.strip())
    unknown = [word for word in kinds if word not in FINDINGS]
    if unknown:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is no finding: use {', '.join(FINDINGS)}")
    return kinds


def _given(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it came to nothing: give it a value, or leave it out")
    return text


def _number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError("give a whole number")
    return int(text)


def _tell(outcome: AuditOutcome, result: dict[str, Any], output: IO[str]) -> None:
    """Write the result as text."""
    windows, agents, calls = (to_count(result[f"{noun}s"], noun) for noun in ("window", "agent", "call"))
    lines = [f"{windows} of {agents} with {calls}, {result['from_date']} to {result['to_date']}."]
    found = [f"{count:,} {kind}" for kind, count in result["counts"].items() if count]
    lines.append(f"Found: {', '.join(found)}." if found else "Whole: nothing was found.")
    for finding in outcome.findings[:_SHOWN]:
        each = finding.as_dict()
        lines += [
            "",
            f"{each['finding']}  {plain(each['model_id'])}  {each['from_date']} to {each['to_date']}",
            f"  {each['detail']}",
            f"  cure: {each['cure']}",
        ]
    if len(outcome.findings) > _SHOWN:
        lines += ["", f"… and {len(outcome.findings) - _SHOWN:,} more: see --report or --json."]
    lines += ["", *outcome.checked, *outcome.notes] if outcome.notes else ["", *outcome.checked]
    if outcome.report:
        lines.append(f"Report: {outcome.report}")
    output.write("\n".join(lines) + "\n")
