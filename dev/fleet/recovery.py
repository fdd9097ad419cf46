# SPDX-License-Identifier: Apache-2.0
"""Lose days from the bucket, and extract them again by one command."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from airflow_provider_synthflow.output.publication import MANIFEST_NAME, file_name
from dev.fleet.check import Verdict, folders_of, objects_of, open_bucket, remove_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.fleet.fleet import Fleet

__all__ = ["recover"]

_DAG_ID = "fleet_backfill"
_DATA = file_name("jsonl.gz")


def recover(fleet: Fleet, say: Callable[[str], None]) -> Verdict:
    """
    Remove the files of the last days, extract them again, and compare the bytes.

    :param fleet: the fleet, whose backfill has ended
    :param say: takes a line about each step
    """
    plan, bucket = fleet.plan, open_bucket((fleet.s3.folder / "connection.json").read_text())
    lost = range(plan.days - plan.lost_days, plan.days)
    folders = folders_of(plan, "backfill", plan.agent_ids, lost)
    names = {f"{folder}/{_DATA}" for folder in folders}
    before = {key: data for key, data in objects_of(bucket, "backfill").items() if key in names}
    remove_objects(bucket, [f"{folder}/{name}" for folder in folders for name in (_DATA, MANIFEST_NAME)])
    say(f"{len(before)} files lost; `airflow backfill create --reprocess-behavior completed` over their days ...")
    started = time.monotonic()
    first = plan.day(plan.days - plan.lost_days + 1)  # the run of a day fires at the day's end
    fleet.backfill(_DAG_ID, first, plan.end, "--reprocess-behavior", "completed")
    fleet.await_runs(say)
    say(f"{plan.lost_days} days extracted again in {time.monotonic() - started:.0f} s")
    after = objects_of(bucket, "backfill")
    verdict = Verdict()
    same = sum(after.get(key) == data for key, data in before.items())
    verdict.hold("files have the same bytes as before", same, len(names))
    return verdict
