# SPDX-License-Identifier: Apache-2.0
"""Run the demonstration: ``make demo``."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dev.demo.failure import explain_failure
from dev.demo.files import compare, digests, manifests
from dev.demo.questions import answer_questions
from dev.demo.source import open_source
from tests.airflow_deployment import AirflowDeployment

if TYPE_CHECKING:
    from dev.demo.source import Source

_ROOT = Path(__file__).resolve().parents[2]
_FOLDER = _ROOT / ".demo"
_DAG_ID = "synthflow_daily_to_files"
_PATIENCE_SECONDS = 600
"""How long no run may end before the demonstration gives up; a busy machine takes minutes to start a task."""
_ACTIVE_RUNS = 4
_DAY = dt.timedelta(days=1)


def main() -> int:
    """Run it, and return the process's exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    os.environ["AIRFLOW_HOME"] = str(_FOLDER / "airflow")  # for what of Airflow is used in this process
    started = time.monotonic()
    output = _FOLDER / ("calls" if not os.environ.get("SYNTHFLOW_API_KEY") else "calls-of-your-workspace")
    before = digests(output)
    with open_source() as source:
        _say("calls", source.title)
        _say("days", f"{source.first:%Y-%m-%d} to {source.until - _DAY:%Y-%m-%d}")
        deployment = _deployment(source, output)
        try:
            _say("airflow", "preparing its database (SQLite) and a backfill of these days ...")
            _prepare(deployment, source)
            _say("airflow", "starting scheduler, DAG processor, triggerer and API server ...")
            deployment.start()
            _say("airflow", f"ready after {time.monotonic() - started:.0f} s")
            done = _follow(deployment, source, output)
        finally:
            deployment.stop()
        if not done:
            _say("stopped", "not all runs succeeded")
            print("\n".join(f"            {line}" for line in explain_failure(deployment.home)))
            return 1
        _print_table(output, source)
        print(f"\n{answer_questions(output)}")
        comparison = compare([each["path"] for each in manifests(output, source)], source.held())
    _say_repetition(before, digests(output))
    print(f"\n{comparison}.  ({time.monotonic() - started:.0f} s)")
    return 0 if comparison.right else 1


def _deployment(source: Source, output: Path) -> AirflowDeployment:
    home = _FOLDER / "airflow"
    shutil.rmtree(home, ignore_errors=True)
    dags = home / "dags"
    dags.mkdir(parents=True)
    shutil.copy(_ROOT / "example_dags" / f"{_DAG_ID}.py", dags)
    return AirflowDeployment(
        home,
        dags,
        env={
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": source.connection,
            "SYNTHFLOW_MODEL_ID": ",".join(source.agents),
            "SYNTHFLOW_OUTPUT_PATH": str(output),
            "AIRFLOW__CORE__DEFAULT_TASK_RETRIES": "2",  # as in any deployment: machines are busy now and then
            "AIRFLOW__CORE__DEFAULT_TASK_RETRY_DELAY": "5",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",  # the backfill's days, and no others
        },
    )


def _prepare(deployment: AirflowDeployment, source: Source) -> None:
    """Make the backfill before the scheduler runs, since two writers now and then lock each other out of SQLite."""
    deployment.cli("db", "migrate")
    deployment.cli("dags", "reserialize")
    first, last = source.first + _DAY, source.until  # the run of a day fires at the day's end
    deployment.cli(
        "backfill", "create", "--dag-id", _DAG_ID, "--from-date", f"{first:%Y-%m-%d}", "--to-date", f"{last:%Y-%m-%d}",
        "--max-active-runs", str(_ACTIVE_RUNS),
    )  # fmt: skip


def _follow(deployment: AirflowDeployment, source: Source, output: Path) -> bool:
    """Show how far the runs are until all have ended, and tell whether all succeeded."""
    ended, last_end = 0, time.monotonic()
    while time.monotonic() < last_end + _PATIENCE_SECONDS:
        done, failed = (_count_runs(deployment, state) for state in ("success", "failed"))
        if done > ended:
            ended, last_end = done, time.monotonic()
        calls = sum(manifest["count"] for manifest in manifests(output, source))
        bar = "#" * done + "." * (source.days - done)
        _say("runs", f"[{bar}] {done} of {source.days} days, {calls:,} calls in files", again=True)
        if failed or done >= source.days:
            break
        time.sleep(1)
    if sys.stdout.isatty():
        print()
    return done >= source.days


def _count_runs(deployment: AirflowDeployment, state: str) -> int:
    path = f"/dags/{_DAG_ID}/dagRuns?run_type=backfill&state={state}&limit=1"
    return int(deployment.wait_for(lambda: deployment.rest("GET", path), "the runs are counted")["total_entries"])


def _print_table(output: Path, source: Source) -> None:
    print(f"\n  {'agent':<10} {'window (UTC)':<34} {'calls':>6} {'bytes':>9}  file below {output}")
    for manifest in manifests(output, source):
        window = f"{manifest['from_date'][:16]} to {manifest['to_date'][:16]}"
        file = manifest["path"].removeprefix(f"{output}/")
        agent = source.agents.index(manifest["model_id"]) + 1
        print(f"  {agent:<10} {window:<34} {manifest['count']:>6,} {manifest['bytes']:>9,}  {file}")


def _say_repetition(before: dict[str, str], after: dict[str, str]) -> None:
    if before:
        same = sum(before.get(path) == digest for path, digest in after.items())
        print(f"\n{same} of {len(after)} files are byte-identical to those of the run before.")
    else:
        print(f"\n{len(after)} files written; run it again to see that they come out byte-identical.")


def _say(what: str, text: str, *, again: bool = False) -> None:
    """Print a line; where it comes again and again, on a terminal, over itself."""
    over = again and sys.stdout.isatty()
    if again and not over and _say_again.get(what) == text:
        return
    _say_again[what] = text
    print(f"{chr(13) if over else ''}  {what:<9} {text}", end=" " if over else chr(10), flush=True)


_say_again: dict[str, str] = {}


if __name__ == "__main__":
    sys.exit(main())
