# SPDX-License-Identifier: Apache-2.0
"""
A person fills in the connection form of an Airflow before 3.2, which draws it from the hook's form methods.

Run in the environments of the matrix, so that it is no part of `pytest tests/e2e`: ``make e2e ONLY=2.11,3.1``. With
``SCREENSHOTS=/a/folder`` each form's picture is put there. Airflow 3.0 asks the hook only where the FAB provider is
installed; without it, its form is the same for every type of connection.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.airflow_deployment import AirflowDeployment
from tests.e2e.browser import open_browser
from tests.synthflow_server import TEST_KEY, SynthflowApi, serve
from tests.versions import AIRFLOW

WRONG_KEY = "wrong-key-9876543210"
SAVED = {"region": "eu", "timeout": 60, "max_attempts": 6, "allow_insecure": False}

expect.set_options(timeout=30_000)  # a busy machine draws slowly; nothing waits longer than it must

in_airflow_2 = pytest.mark.skipif(AIRFLOW >= (3, 0), reason="the form of Airflow 2")
in_airflow_3_1 = pytest.mark.skipif(AIRFLOW != (3, 1), reason="the form of Airflow 3.1")


@pytest.fixture(scope="module")
def server():
    with serve(SynthflowApi(assistants=["agent-1"])) as handle:
        yield handle


@pytest.fixture(scope="module")
def airflow(tmp_path_factory):
    home = tmp_path_factory.mktemp("airflow")
    with AirflowDeployment(home, env={"AIRFLOW__CORE__TEST_CONNECTION": "Enabled"}).api_server() as deployment:
        yield deployment


@pytest.fixture(scope="module")
def page(airflow, tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def keep_picture(element):
    if folder := os.environ.get("SCREENSHOTS"):
        minor = ".".join(map(str, AIRFLOW))
        element.screenshot(path=str(Path(folder) / f"connection-form-{minor}.png"))


def stored_of(airflow, conn_id):
    """Return what Airflow stored of a connection: its fields, and its extra without what is empty."""
    stored = airflow.rest("GET", f"/connections/{conn_id}")
    return stored, {name: value for name, value in json.loads(stored["extra"]).items() if value not in ("", None)}


@in_airflow_2
class TestFormOfAirflow2:
    @pytest.fixture(scope="class")
    def form(self, page, airflow):
        page.goto(f"{airflow.url}/connection/add")
        page.locator("[aria-labelledby=select2-conn_type-container]").click()
        page.locator(".select2-results__option", has_text="Synthflow").click()
        expect(page.locator("label[for=password]")).to_have_text("API key")
        return page.locator("#model_form")

    def label_of(self, form, field):
        return form.locator(f"label[for={field}]")

    def test_has_airflow_s_own_fields_relabelled_and_no_login(self, form):
        for field, label in (("host", "Host (optional)"), ("schema", "Schema (optional)"), ("port", "Port (optional)")):
            expect(self.label_of(form, field)).to_have_text(label)
            expect(form.locator(f"#{field}")).to_be_visible()
        expect(form.locator("#host")).to_have_attribute("placeholder", "empty: the region's own host")
        for hidden in ("login", "extra"):
            expect(form.locator(f"#{hidden}")).to_be_hidden()

    def test_has_the_provider_s_own_fields_with_their_defaults(self, form):
        for field, label, value in (("region", "Region", "global"), ("timeout", "Timeout (seconds)", "60"),
                                    ("max_attempts", "Tries", "6"), ("hash_key", "Hash key", "")):  # fmt: skip
            expect(self.label_of(form, f"extra__synthflow__{field}")).to_have_text(label)
            expect(form.locator(f"#extra__synthflow__{field}")).to_have_value(value)
        expect(form.locator("#extra__synthflow__allow_insecure")).not_to_be_checked()
        expect(form).to_contain_text("global, us or eu")

    def test_hides_the_key_and_the_hash_key(self, form):
        for field in ("password", "extra__synthflow__hash_key"):
            expect(form.locator(f"#{field}")).to_have_attribute("type", "password")
        keep_picture(form)

    @pytest.mark.parametrize("key", [WRONG_KEY, TEST_KEY])
    def test_says_at_the_test_button_whether_the_key_is_good(self, page, form, server, key):
        address = urlsplit(server.url)
        for field, value in (("conn_id", "synthflow_default"), ("host", address.hostname), ("port", str(address.port)),
                             ("schema", "http"), ("password", key), ("extra__synthflow__region", "eu")):  # fmt: skip
            form.locator(f"#{field}").fill(value)

        page.locator("#test-connection").click()

        told = "the API accepts the key" if key == TEST_KEY else "does not accept the key"
        alert = page.locator(".alert", has_text=told)  # Airflow 2 draws either in green
        expect(alert).to_be_visible()
        assert key not in alert.inner_text()

    def test_refuses_a_region_that_is_none(self, page, form):
        form.locator("#extra__synthflow__region").fill("mars")
        page.get_by_role("button", name="Save").click()

        expect(page.locator("body")).to_contain_text("Invalid value, must be one of: global, us, eu.")

    def test_saves_what_was_filled_in_and_shows_it_again_but_not_the_key(self, page, airflow, server):
        page.locator("#extra__synthflow__region").fill("eu")
        page.locator("#password").fill(TEST_KEY)
        page.get_by_role("button", name="Save").click()
        expect(page.get_by_text("Added Row")).to_be_visible()

        stored, extra = stored_of(airflow, "synthflow_default")
        address = urlsplit(server.url)
        assert (stored["conn_type"], stored["host"], stored["port"]) == ("synthflow", address.hostname, address.port)
        assert extra == SAVED
        page.goto(f"{airflow.url}/connection/edit/1")
        expect(page.locator("#extra__synthflow__region")).to_have_value("eu")
        assert TEST_KEY not in page.content()


@in_airflow_3_1
class TestFormOfAirflow31:
    @pytest.fixture(scope="class")
    def form(self, page, airflow):
        page.goto(airflow.url)
        expect(
            page.get_by_text("Health", exact=True)
        ).to_be_visible()  # it logs in first, and forgets where it was to go
        page.goto(f"{airflow.url}/connections")
        page.get_by_role("button", name="Add Connection").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("combobox").first.fill("Synthflow")
        page.get_by_role("option", name="Synthflow", exact=True).click()
        expect(dialog.get_by_role("button", name="Standard Fields")).to_be_visible()
        return dialog

    def test_has_airflow_s_own_fields_relabelled_and_no_login(self, form):
        for label in ("Host (optional)", "API key", "Port (optional)", "Schema (optional)"):
            expect(form.get_by_text(label, exact=True)).to_be_visible()
        expect(form.get_by_text("Login", exact=True)).to_have_count(0)
        expect(form.get_by_text("Password", exact=True)).to_have_count(0)

    def test_has_the_provider_s_own_fields_with_their_defaults(self, form):
        form.get_by_role("button", name="Extra Fields", exact=True).click()

        for label in ("Region", "Timeout (seconds)", "Tries", "Hash key", "Allow plain http"):
            expect(form.get_by_text(label, exact=True)).to_be_visible()
        expect(form.locator("input[name=element_timeout]")).to_have_value("60")
        expect(form.locator("input[name=element_max_attempts]")).to_have_value("6")

    def test_hides_the_key(self, form):
        expect(form.locator("input[name=password]")).to_have_attribute("type", "password")

    def test_offers_the_regions_in_a_drop_down(self, page, form):
        form.locator("[id*=element_region]").get_by_role("combobox").click()

        expect(page.get_by_role("option")).to_have_text(["global", "us", "eu"])
        page.get_by_role("option", name="eu", exact=True).click()
        keep_picture(form)

    def test_saves_what_was_filled_in(self, page, form, airflow):
        form.get_by_role("textbox").first.fill("synthflow_default")
        standard = form.get_by_role("button", name="Standard Fields")
        if standard.get_attribute("aria-expanded") != "true":
            standard.click()
        form.locator("input[name=password]").fill(TEST_KEY)
        form.get_by_role("button", name="Save").click()
        expect(page.get_by_role("row", name="synthflow_default")).to_be_visible()

        stored, extra = stored_of(airflow, "synthflow_default")
        assert stored["conn_type"] == "synthflow"
        assert extra == SAVED
        assert TEST_KEY not in page.content()
