# SPDX-License-Identifier: Apache-2.0
"""One small DAG for every way to make a run; each run writes its windows as a line into a file."""

from __future__ import annotations

import datetime as dt
import json
import os

import pendulum
from airflow.providers.common.compat.sdk import DAG, BaseOperator

from airflow_provider_synthflow.exceptions import SynthflowWindowError
from airflow_provider_synthflow.window import windows_of_run

try:
    from airflow.sdk import Asset, AssetWatcher
except ImportError:  # Airflow 2
    Asset = AssetWatcher = None
try:
    from airflow.sdk import (
        CronDataIntervalTimetable,
        CronTriggerTimetable,
        DeltaDataIntervalTimetable,
        DeltaTriggerTimetable,
        MultipleCronTriggerTimetable,
    )
except ImportError:  # before Airflow 3.2
    from airflow.timetables.interval import CronDataIntervalTimetable, DeltaDataIntervalTimetable
    from airflow.timetables.trigger import CronTriggerTimetable, DeltaTriggerTimetable

    try:
        from airflow.timetables.trigger import MultipleCronTriggerTimetable
    except ImportError:
        MultipleCronTriggerTimetable = None
try:
    from airflow.sdk import CronPartitionTimetable
except ImportError:
    CronPartitionTimetable = None

BERLIN = pendulum.timezone("Europe/Berlin")
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


class RecordWindowsOperator(BaseOperator):
    """Write the windows of the run, and how it came, as one line."""

    template_fields = ("from_date", "to_date")

    def __init__(self, *, from_date=None, to_date=None, model_id=None, **kwargs):
        super().__init__(**kwargs)
        self.from_date = from_date
        self.to_date = to_date
        self.model_id = model_id

    def execute(self, context):
        run = context["dag_run"]
        record = {
            "dag_id": self.dag_id,
            "run_id": run.run_id,
            "run_type": str(getattr(run.run_type, "value", run.run_type)),
            "keys": sorted({"data_interval_start", "logical_date", "partition_date"} & set(context)),
            "logical_date": run.logical_date and run.logical_date.isoformat(),
            "events": [
                type(event).__name__
                for group in (context.get("triggering_asset_events") or {}).values()
                for event in group
            ],
        }
        try:
            result = windows_of_run(context, from_date=self.from_date, to_date=self.to_date, model_id=self.model_id)
        except SynthflowWindowError as error:
            record["error"] = str(error)
        else:
            record["many"] = result.many
            record["windows"] = [[window.from_iso, window.to_iso] for window in result.windows]
        line = json.dumps(record) + "\n"
        file = os.open(os.environ["WINDOW_RECORDS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        try:
            os.write(file, line.encode())  # one write, so that lines of two tasks never mix
        finally:
            os.close(file)


def record(dag_id, schedule, start, end=None, *, catchup=True, **task):
    """Make a DAG that records, over a stretch of the past where it has an end."""
    with DAG(dag_id, schedule=schedule, start_date=start, end_date=end, catchup=catchup):
        RecordWindowsOperator(task_id="record", **task)


def utc(*parts):
    return pendulum.datetime(*parts)


def berlin(*parts):
    return pendulum.datetime(*parts, tz=BERLIN)


record("daily", "@daily", berlin(2026, 3, 28), berlin(2026, 3, 31))
record("cron_text", "0 * * * *", berlin(2026, 10, 25, 1), berlin(2026, 10, 25, 4))
record("delta", 6 * HOUR, utc(2026, 10, 1), utc(2026, 10, 1, 12))
record(
    "cron_trigger",
    CronTriggerTimetable("30 2 * * *", timezone="Europe/Berlin"),
    berlin(2026, 10, 24),
    berlin(2026, 10, 27),
)
record("delta_trigger", DeltaTriggerTimetable(1.5 * HOUR), utc(2026, 10, 1), utc(2026, 10, 1, 3))
record(
    "cron_trigger_interval",
    CronTriggerTimetable("0 0 * * *", timezone="UTC", interval=DAY),
    utc(2026, 10, 1),
    utc(2026, 10, 3),
)
record(
    "cron_interval",
    CronDataIntervalTimetable("0 0 * * *", timezone="Europe/Berlin"),
    berlin(2026, 10, 24),
    berlin(2026, 10, 26),
)
record("delta_interval", DeltaDataIntervalTimetable(6 * HOUR), utc(2026, 10, 1), utc(2026, 10, 1, 12))
if MultipleCronTriggerTimetable is not None:
    record(
        "several_crons",
        MultipleCronTriggerTimetable("0 6 * * *", "30 18 * * *", timezone="UTC"),
        utc(2026, 10, 1),
        utc(2026, 10, 2, 12),
    )
if CronPartitionTimetable is not None:
    for offset, key_format in ((0, "%Y-%m-%dT%H:%M:%S"), (-1, "%Y-%m-%d")):
        record(
            f"partition_{abs(offset)}",
            CronPartitionTimetable("0 0 * * *", timezone="Europe/Berlin", run_offset=offset, key_format=key_format),
            berlin(2026, 10, 24),
            berlin(2026, 10, 26),
        )

# Runs by hand and by backfill: no catchup, so that the schedule itself makes one run at most. A DAG of partitions that
# is backfilled goes on from there, where Airflow reads its file again before the schedule's first run.
if CronPartitionTimetable is not None:
    record(
        "partition_backfilled",
        CronPartitionTimetable("0 0 * * *", timezone="Europe/Berlin", key_format="%Y-%m-%dT%H:%M:%S"),
        berlin(2026, 3, 1),
        catchup=False,
    )
record("by_hand", "0 0 * * *", berlin(2026, 3, 1), catchup=False)
record("by_hand_interval", CronDataIntervalTimetable("0 0 * * *", timezone="UTC"), utc(2026, 3, 1), catchup=False)
record("by_hand_delta", HOUR, utc(2026, 3, 1), catchup=False)
record("backfilled", CronTriggerTimetable("0 0 * * *", timezone="Europe/Berlin"), berlin(2026, 3, 1), catchup=False)
record("no_schedule", None, utc(2026, 3, 1))
record(
    "explicit",
    None,
    utc(2026, 3, 1),
    from_date="{{ dag_run.conf['from'] }}",
    to_date="{{ dag_run.conf['to'] }}",
)

if Asset is not None:
    from tests.integration.run_window_dags.cell_trigger import CellTrigger

    def cells(model_id, start, end):
        day = "2026-11-23T"
        return {
            "model_id": model_id,
            "from_date": f"{day}{start}:00.000Z",
            "to_date": f"{day}{end}:00.000Z",
            "window": 900,
            "count": 1,
        }

    events = [
        cells("m1", "10:00", "10:15"),
        cells("m1", "10:00", "10:15"),
        cells("m2", "12:00", "12:15"),
        # The last one again and again: of events that come close together Airflow may leave some lying
        # until the next one comes.
        *[cells("m1", "10:00", "10:30")] * 10,
    ]
    calls = Asset(
        "new_calls", watchers=[AssetWatcher(name="cells", trigger=CellTrigger(events=json.dumps(events), pause=3.0))]
    )
    record("by_events", [calls], utc(2026, 3, 1), model_id="m1")
