# SPDX-License-Identifier: Apache-2.0
"""A person opens "Synthflow coverage" from the navigation of a real Airflow in a real browser, and reads the report."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from airflow_provider_synthflow.auditing.report.page import publish_report
from tests.airflow_deployment import AirflowDeployment
from tests.e2e.browser import open_browser
from tests.unit.auditing.lakes import audit, record, write_window
from tests.unit.making import DAY, FROM_MS, HOUR

expect.set_options(timeout=30_000)  # a busy machine draws slowly; nothing waits longer than it must


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    home, lake = tmp_path_factory.mktemp("airflow"), tmp_path_factory.mktemp("lake")
    for day in range(5):
        begin = FROM_MS + day * DAY
        write_window(lake, begin, begin + DAY, [record(f"{day}", begin + HOUR)], agent="agent-of-the-report")
    report = home / "audit.html"
    publish_report(audit(lake), str(report))
    with AirflowDeployment(home, env={"AIRFLOW__SYNTHFLOW__AUDIT_REPORT": str(report)}).api_server() as deployment:
        yield deployment


@pytest.fixture(scope="module")
def page(airflow, tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def test_the_report_is_shown_inside_airflow(page, airflow):
    page.goto(f"{airflow.url}/dags")
    page.get_by_role("button", name="Browse").first.click()
    page.get_by_role("menuitem", name="Synthflow coverage").first.click()

    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("agent-of-the-report").first).to_be_visible()
    expect(page.get_by_role("button", name="Browse").first).to_be_visible()


def test_the_report_has_none_of_the_reader_s_rights(page, airflow):
    page.goto(f"{airflow.url}/plugin/synthflow-coverage")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("agent-of-the-report").first).to_be_visible()

    inside = next(each for each in page.frames if each.url.endswith("/synthflow/coverage"))

    assert inside.evaluate("self.origin") == "null"
