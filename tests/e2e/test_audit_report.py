# SPDX-License-Identifier: Apache-2.0
"""A person reads the report of an audit in a real browser: by eye, by keyboard, with a reader of screens, on paper."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from airflow_provider_synthflow.auditing.cure import Origin
from airflow_provider_synthflow.auditing.report.page import publish_report
from airflow_provider_synthflow.auditing.window_check import CheckedWindow
from tests.e2e.browser import open_browser
from tests.unit.auditing.lakes import audit, edit, record, write_window
from tests.unit.making import DAY, FROM_MS, HOUR

ROOT = Path(__file__).resolve().parents[2]
IMAGE = ROOT / "docs" / "images" / "audit-report.png"
AXE = ROOT / ".cache" / "e2e" / "node_modules" / "axe-core" / "axe.min.js"
HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202e</script><script>alert(2)</script>"
AGENTS = [
    "b5e0a2d8-7f1e-4a6b-9c3d-1f2e3a4b5c6d",
    "0d9c1f52-33a8-4c0e-8a57-6f1b2c3d4e5f",
    "1733912345678x482913",
    HOSTILE,
]
DAYS = 120


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Write a lake of a third of a year, harm it, and audit it."""
    lake, rng = tmp_path_factory.mktemp("lake"), random.Random(7)  # noqa: S311 - no secret
    made = {}
    for agent in AGENTS:
        for day in range(DAYS if agent != HOSTILE else 3):
            begin = FROM_MS + day * DAY
            calls = [record(f"{day}-{number}", begin + number * HOUR) for number in range(rng.randrange(4))]
            made[agent, day] = write_window(lake, begin, begin + DAY, calls, agent=agent)
    first, second = AGENTS[:2]
    for day in (30, 31, 32):
        shutil.rmtree(made[first, day])
    (made[first, 51] / "calls.jsonl.gz").write_bytes(b"")
    edit(made[first, 77], unsettled=2)
    edit(made[first, 78], unsettled=1)
    write_window(
        lake, FROM_MS + 60 * DAY + 6 * HOUR, FROM_MS + 60 * DAY + 9 * HOUR, [], agent=second, extracted_at=None
    )
    (made[second, 90] / "_manifest.json").write_text("{")
    outcome = audit(lake)
    outcome.lake = "s3://lake/calls"
    agent = next(each for each in outcome.agents if each.model_id == AGENTS[2])
    begin = FROM_MS + 40 * DAY
    origin = Origin("calls", "extract", None, begin + DAY)
    agent.add_changed(CheckedWindow(begin, begin + DAY, 0, total=2, origin=origin), 5, guessed=False)
    path = tmp_path_factory.mktemp("report") / "audit.html"
    publish_report(outcome, str(path))
    return path


@pytest.fixture(scope="module")
def page(report, tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        said = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message) or dialog.dismiss())
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.said, page.asked = said, asked
        yield page


@pytest.fixture(autouse=True)
def opened(page, report):
    page.set_viewport_size({"width": 1200, "height": 900})
    page.emulate_media(media="screen", color_scheme="light")
    page.asked.clear()
    page.goto(report.as_uri())


def test_it_asks_nobody_for_anything_and_runs_nothing_that_an_agent_s_id_says(page, report):
    assert page.asked == [report.as_uri()]
    assert page.locator("img").count() == 0
    assert page.said == []
    assert page.title() == "Synthflow audit: 7 findings"


def test_a_day_opens_its_hours_and_what_was_found_by_mouse_and_by_keyboard(page):
    day = page.get_by_role("button", name="30 April 2024: doubled")
    day.click()
    panel = page.locator(".day")
    assert panel.locator("li.x").count() == 3
    assert panel.locator("li.w").count() == 21
    assert "share this time" in panel.inner_text()

    page.keyboard.press("Escape")
    assert panel.count() == 0
    assert day.evaluate("each => each === document.activeElement")
    page.keyboard.press("Enter")
    assert panel.count() == 1
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.ariaLabel").startswith("30 May 2024: damaged")


def test_findings_are_narrowed_by_kind_and_by_agent(page):
    shown = page.locator(".findings > li:visible")
    page.get_by_role("button", name="Damaged 2").click()
    assert shown.count() == 2
    page.get_by_role("searchbox").fill("0d9c")
    assert shown.count() == 1
    assert page.locator("#shown").inner_text() == "1 of 7 shown"


def test_a_cure_is_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card = page.locator(".findings > li").first
    card.get_by_role("button", name="Copy").click()
    card.get_by_text("Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == card.locator("pre").inner_text()


@pytest.mark.parametrize("width", [320, 390, 1200])
def test_nothing_is_cut_off_on_any_screen(page, width):
    page.set_viewport_size({"width": width, "height": 800})

    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1200])
def test_it_is_accessible(page, scheme, width):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 900})
    page.get_by_role("button", name="30 April 2024: doubled").click()

    page.evaluate(AXE.read_text(encoding="utf-8"))  # past the page's policy, as by a browser's extension
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")

    assert {each["id"]: [node["target"] for node in each["nodes"]][:5] for each in found["violations"]} == {}


def test_without_scripts_each_finding_and_each_day_is_there(page, report):
    context = page.context.browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(report.as_uri())

    assert plain.locator(".findings > li:visible").count() == 7
    assert plain.get_by_role("button", name="Copy").count() == 0
    context.close()


def test_on_paper_it_has_all_findings_and_no_buttons(page, tmp_path):
    page.emulate_media(media="print")
    assert page.locator(".tools").is_visible() is False
    assert page.locator(".findings > li:visible").count() == 7
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 10_000


@pytest.mark.skipif("SCREENSHOTS" not in os.environ, reason="SCREENSHOTS=1 takes the picture of docs/ anew")
def test_its_picture_is_taken(page):
    page.set_viewport_size({"width": 1200, "height": 1500})
    page.locator("details").first.evaluate("each => each.remove()")  # the hostile one would only puzzle
    page.get_by_role("button", name="30 April 2024: doubled").click()
    page.screenshot(path=str(IMAGE))
