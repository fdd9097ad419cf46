# SPDX-License-Identifier: Apache-2.0
"""Run the fleet: ``make fleet``."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from typing import TYPE_CHECKING

from dev.fleet.chaos import Chaos, TaskKey
from dev.fleet.check import Verdict, check_bucket, open_bucket
from dev.fleet.costs import format_table, measure_costs
from dev.fleet.fleet import open_fleet
from dev.fleet.plan import Plan
from dev.fleet.reaping import adopt_orphans, end_all
from dev.fleet.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.fleet.fleet import Fleet

_STARTED = time.monotonic()
_MOST_REFUSED = 0.02
_GAP_SECONDS = 4
_TABLE_UNTIL_SECONDS = 22 * 60


def main() -> int:
    """Run it, and return the process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m dev.fleet", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="the short form: fewer days and agents, each harm once")
    parser.add_argument("--costs", action="store_true", help="only measure what a task costs")
    given = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))  # so that nothing is left running
    adopt_orphans()
    troubles: list[str] = []
    try:
        if not given.costs:
            verdict = _run(Plan.of_today(quick=given.quick))
            _print_verdict(verdict)
            troubles += verdict.troubles
        if not given.quick:
            costs = measure_costs(_say, until=None if given.costs else _STARTED + _TABLE_UNTIL_SECONDS)
            print("\nWhat a task costs", *format_table(costs), sep="\n  ")
    finally:
        left = end_all()
    troubles += [f"left running: {each}" for each in left]
    for trouble in troubles:
        print(f"  WRONG: {trouble}")
    seconds = time.monotonic() - _STARTED
    ending = "Something is wrong" if troubles else "All is as it must be, and nothing runs any more"
    print(f"\n{ending}.  ({seconds:.0f} s)")
    return 1 if troubles else 0


def _run(plan: Plan) -> Verdict:
    _say(
        f"{plan.calls:,} calls of {plan.agents} agents in {plan.days} days; {plan.latency:g} s an answer, "
        f"{plan.limit} requests a minute, {plan.faults:.0%} of requests fail; a pool of {plan.slots} slots"
    )
    with open_fleet(plan) as fleet:
        _say("PostgreSQL, Redis, S3 and Synthflow are there; starting Airflow with two workers ...")
        fleet.start(workers=2)
        fleet.airflow.rest("POST", "/dags/fleet_sensors/dagRuns", {"logical_date": None})
        fleet.backfill("fleet_backfill", plan.day(1), plan.end)  # the run of a day fires at the day's end
        _say("Airflow is healthy, the backfill is created")
        chaos = Chaos(fleet, _say)
        _do_harm(chaos, fleet)
        _say("all harm is done; waiting for the rest of the backfill ...")
        fleet.await_runs(_say)
        recovery = recover(fleet, _say)
        verdict = _check(chaos, fleet)
    verdict.lines += ["of the days that were lost and extracted again:", *recovery.lines]
    verdict.troubles += recovery.troubles
    return verdict


def _do_harm(chaos: Chaos, fleet: Fleet) -> None:
    """Do one thing after the other while the backfill runs."""
    kills = fleet.plan.kills
    harms: list[Callable[[], None]] = [
        chaos.kill_worker,
        chaos.restart_redis,
        chaos.kill_triggerer,
        chaos.let_calls_arrive,
        chaos.restart_scheduler,
        chaos.run_twins,
        chaos.break_s3,
        chaos.break_synthflow,
    ]
    more = [chaos.kill_worker, lambda: chaos.kill_worker(whole=False)]
    for number in range(1, kills):
        harms.insert(2 * number, more[number % 2])
    for harm in harms:
        if set(fleet.states("dag_run", "fleet_backfill")) <= {"success"}:
            chaos.troubles.append("the backfill was done before all harm was")
        harm()
        time.sleep(_GAP_SECONDS)


def _check(chaos: Chaos, fleet: Fleet) -> Verdict:
    plan = fleet.plan
    bucket = open_bucket((fleet.s3.folder / "connection.json").read_text())
    verdict = check_bucket(bucket, plan, "backfill", plan.agent_ids, range(plan.days))
    days = range(plan.days - plan.scheduled_days, plan.days)
    daily = check_bucket(bucket, plan, "daily", plan.agent_ids[:1], days)
    verdict.lines += ["and of the scheduled DAG beside it:", *daily.lines]
    verdict.troubles += [*(f"scheduled DAG: {each}" for each in daily.troubles), *chaos.troubles]
    verdict.lines.append("of Airflow:")
    for dag_id, runs in (("fleet_backfill", plan.days), ("fleet_daily", plan.scheduled_days), ("fleet_sensors", 1)):
        verdict.hold(f"runs of {dag_id} succeeded", fleet.states("dag_run", dag_id).get("success", 0), runs)
    again = sum(_was_done_again(fleet, key) for key in chaos.killed_tries)
    verdict.hold("killed tries were followed by another", again, len(chaos.killed_tries))
    verdict.hold("temporary files of the workers left behind", len(list(fleet.temporary.glob("*synthflow*"))), 0)
    stats = fleet.stats()
    answers = ", ".join(f"{count:,} {answer}" for answer, count in sorted(stats["answers"].items()))
    share = stats["over_limit"] / stats["requests"]
    verdict.lines.append(f"of Synthflow: {stats['requests']:,} requests ({answers})")
    verdict.lines.append(f"{share:>7.2%} of them refused with 429, since they were over the key's limit")
    if share >= _MOST_REFUSED:
        verdict.troubles.append(f"{share:.2%} of the requests were over the key's limit")
    return verdict


def _was_done_again(fleet: Fleet, key: TaskKey) -> bool:
    sql = (
        "SELECT count(*) FROM task_instance WHERE dag_id = %s AND run_id = %s AND map_index = %s "
        "AND try_number > %s AND state = 'success'"
    )
    ((count,),) = fleet.query(sql, key.dag_id, key.run_id, key.map_index, key.number)
    return bool(count)


def _print_verdict(verdict: Verdict) -> None:
    print("\nThe final check")
    for line in verdict.lines:
        print(f"  {line}")
    print(flush=True)


def _say(text: str) -> None:
    print(f"  {time.monotonic() - _STARTED:6.0f} s  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
