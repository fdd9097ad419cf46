# SPDX-License-Identifier: Apache-2.0
"""
### Prove the lake each week, and run again what is not whole

The first audit looks at all that was written: gaps, overlaps, damage, calls that are there twice, calls that came late.
Gaps, damage and duplicates that an Airflow command cures are run again by that command; the lake has some time for it,
and is audited again. What is found then fails the task, and `tell` says what a person has to do. The report has every
finding.

The worker that runs `cure` needs what the `airflow` command needs: Airflow's database. Airflow 3 keeps tasks
away from it, so that the commands get its URL from `SYNTHFLOW_AIRFLOW_DATABASE` in the worker's environment, or from
`airflow.cfg`. Where workers must not have it, run the commands, which the report and the log name, where there is one.
"""  # noqa: D415 - it begins with a heading

from __future__ import annotations

import datetime as dt
import os
import shlex
import subprocess
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_synthflow.operators.synthflow import SynthflowAuditOperator

OUTPUT_PATH = os.environ.get("SYNTHFLOW_OUTPUT_PATH", "/tmp/synthflow")  # noqa: S108 - an example's default
OUTPUT_CONN_ID = os.environ.get("SYNTHFLOW_OUTPUT_CONN_ID")
REPORT_PATH = os.environ.get("SYNTHFLOW_REPORT_PATH", f"{OUTPUT_PATH.rstrip('/')}-audit/report.html")
TIME_TO_MEND = dt.timedelta(hours=1)
MENDED = ("gap", "damaged", "duplicate")
CURED_HERE = ("airflow tasks clear ", "airflow backfill create ", "airflow dags backfill ")


def tell(context: dict[str, Any]) -> None:
    """Say what stays wrong; put the message to your own channel here."""
    error = context.get("exception")
    for finding in getattr(error, "findings", ()):
        print(f"{finding['finding']} of {finding['model_id']}: {finding['detail']} Cure: {finding['cure']}")  # noqa: T201 - into the log


with DAG(
    dag_id="synthflow_audit",
    schedule="@weekly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    doc_md=__doc__,
    tags=["synthflow"],
) as dag:
    audit = SynthflowAuditOperator(
        task_id="audit",
        output_path=OUTPUT_PATH,
        output_conn_id=OUTPUT_CONN_ID,
        report_path=REPORT_PATH,
        fail_on=(),
    )

    @task.short_circuit
    def cure(result: dict[str, Any]) -> bool:
        """Run the commands that Airflow has; where nothing is to be mended, all is done."""
        database = os.environ.get("SYNTHFLOW_AIRFLOW_DATABASE")
        env = {name: value for name, value in os.environ.items() if not value.startswith("airflow-db-not-allowed")}
        env |= {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": database} if database else {}
        commands = dict.fromkeys(finding["cure"] for finding in result["findings"] if finding["finding"] in MENDED)
        for command in commands:
            here = command.startswith(CURED_HERE) and " && " not in command
            print(f"{'running' if here else 'left to a person'}: {command}")  # noqa: T201 - into the log
            if here:
                subprocess.run(shlex.split(command), env=env, check=True)  # noqa: S603 - the audit's own command
        return bool(commands)

    @task.sensor(poke_interval=300, timeout=2 * TIME_TO_MEND.total_seconds(), mode="reschedule")
    def mended(**context: Any) -> bool:
        """Give the runs some time."""
        return pendulum.now("UTC") - context["dag_run"].start_date > TIME_TO_MEND

    again = SynthflowAuditOperator(
        task_id="audit_again",
        output_path=OUTPUT_PATH,
        output_conn_id=OUTPUT_CONN_ID,
        report_path=REPORT_PATH,
        on_failure_callback=tell,
    )
    cure(audit.output) >> mended() >> again
