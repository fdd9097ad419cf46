# SPDX-License-Identifier: Apache-2.0
"""A person looks at the daily runs of a real Airflow in a real browser: the grid, a task's log, and its links."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.airflow_deployment import AirflowDeployment
from tests.e2e.browser import open_browser
from tests.synthflow_server import TEST_KEY, SynthflowApi, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "docs" / "images" / "run.png"
DAG_ID = "synthflow_daily_to_files"
FROM_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
DAYS = [f"2026-01-{day:02}" for day in range(6, 13)]
AGENTS = ["agent-a", "agent-b"]

expect.set_options(timeout=30_000)  # a busy machine draws slowly; nothing waits longer than it must


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    dags = folder / "dags"
    dags.mkdir()
    (dags / f"{DAG_ID}.py").write_text((ROOT / f"example_dags/{DAG_ID}.py").read_text(encoding="utf-8"), "utf-8")
    calls = make_calls(7, 2_461, agents=AGENTS, from_ms=FROM_MS, to_ms=FROM_MS + 7 * DAY_MS)
    with serve(SynthflowApi(calls)) as server:
        env = {
            "AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(
                {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
            ),
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "SYNTHFLOW_MODEL_ID": ",".join(AGENTS),
            "SYNTHFLOW_OUTPUT_PATH": str(folder / "lake"),
        }
        with AirflowDeployment(folder / "home", dags, env) as deployment:
            deployment.wait_for(lambda: DAG_ID in deployment.dag_ids(), "the DAG is known")
            for day in DAYS:
                body = {"dag_run_id": day, "logical_date": f"{day}T00:00:00Z"}
                deployment.rest("POST", f"/dags/{DAG_ID}/dagRuns", body)
            deployment.wait_for(
                lambda: deployment.rest("GET", f"/dags/{DAG_ID}/dagRuns?state=success")["total_entries"] == len(DAYS),
                "each day is read",
                timeout=240,
            )
            yield deployment


@pytest.fixture(scope="module")
def page(airflow, tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        page.set_viewport_size({"width": 1280, "height": 720})
        yield page


def test_the_log_says_what_was_read_with_the_numbers_first(page, airflow):
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{DAYS[0]}/tasks/calls")

    for agent in AGENTS:
        line = rf"\d+ calls, \d+ not final; \d+ declared, \d+ pages?, \d+ requests? .* of agent {agent}, .*calls\.jsonl"
        expect(page.get_by_text(re.compile(line)).first).to_be_visible()


def test_each_day_is_a_run_that_ended_well(page, airflow):
    """With SCREENSHOTS set, write the picture of README.md."""
    page.goto(f"{airflow.url}/dags/{DAG_ID}/runs/{DAYS[-1]}/tasks/calls")

    for day in DAYS:
        expect(page.locator(f'a[href="/dags/{DAG_ID}/runs/{day}/tasks/calls"]').first).to_be_visible()
    expect(page.get_by_text("Success").first).to_be_visible()
    expect(page.get_by_text(re.compile("calls, .* declared")).first).to_be_visible()
    if os.environ.get("SCREENSHOTS"):
        page.wait_for_timeout(1500)  # the grid is drawn with a movement
        page.screenshot(path=str(IMAGE))
    assert IMAGE.read_bytes().startswith(b"\x89PNG")
