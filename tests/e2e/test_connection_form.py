# SPDX-License-Identifier: Apache-2.0
"""A person fills in the connection form of a real Airflow in a real browser, and the Test button says what is wrong."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.airflow_deployment import AirflowDeployment
from tests.e2e.browser import open_browser
from tests.synthflow_server import TEST_KEY, Behaviour, SynthflowApi, serve

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parents[1] / "docs" / "images"
WRONG_KEY = "wrong-key-9876543210"
ALL = frozenset({TEST_KEY})
NONE = frozenset({"a-key-of-nobody-0000"})

expect.set_options(timeout=30_000)  # a busy machine draws slowly; nothing waits longer than it must


@pytest.fixture(scope="module")
def server():
    with serve(SynthflowApi(assistants=["agent-1"])) as handle:
        yield handle


@pytest.fixture(scope="module")
def european():
    """Start a server for each region, of which only Europe's knows the key."""
    with (
        serve(SynthflowApi(behaviour=Behaviour(require_key=NONE))) as world,
        serve(SynthflowApi(behaviour=Behaviour(require_key=NONE))) as america,
        serve(SynthflowApi(behaviour=Behaviour(require_key=ALL))) as europe,
    ):
        yield {"global": world.url, "us": america.url, "eu": europe.url}


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, european):
    home = tmp_path_factory.mktemp("airflow")
    settings = {
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(HERE / "plugins"),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "REGIONS_OF_THE_TEST": json.dumps(european),
    }
    with AirflowDeployment(home, env=settings).api_server() as deployment:
        yield deployment


@pytest.fixture(scope="module")
def page(airflow, tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


def open_list(page, airflow):
    page.goto(f"{airflow.url}/connections")
    expect(page.get_by_role("button", name="Add Connection")).to_be_visible()


def choose(page, box, text):
    box.click()
    box.fill(text)
    page.get_by_role("option", name=text, exact=True).click()


def said_by_the_test_button(page, conn_id):
    """Click the button in the connection's row; return what Airflow then shows."""
    page.get_by_role("row", name=re.compile(rf"^\W*{conn_id}\b")).get_by_role("button", name="Test Connection").click()
    told = page.get_by_role("status").filter(has_text="Test Connection")
    expect(told).to_be_visible()
    return told.inner_text()


@pytest.fixture(scope="module")
def form(page, airflow):
    open_list(page, airflow)
    page.get_by_role("button", name="Add Connection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Connection ID").fill("synthflow_default")
    choose(page, dialog.get_by_role("combobox", name="Connection Type"), "Synthflow")
    expect(dialog.get_by_role("button", name="Standard Fields")).to_be_visible()
    return dialog


class TestForm:
    """What stands in the form, in the order in which a person meets it."""

    def test_has_airflow_s_own_fields_relabelled_and_no_login(self, form):
        region = form.get_by_role("region", name="Standard Fields")

        for role, name in (("textbox", "Host (optional)"), ("textbox", "API key"), ("spinbutton", "Port (optional)"),
                           ("textbox", "Schema (optional)"), ("textbox", "Description")):  # fmt: skip
            expect(region.get_by_role(role, name=name)).to_be_visible()
        expect(form.get_by_text("Login", exact=True)).to_have_count(0)
        expect(form.get_by_text("Password", exact=True)).to_have_count(0)

    def test_hides_the_key(self, form):
        expect(form.get_by_role("textbox", name="API key")).to_have_attribute("type", "password")

    def test_has_the_provider_s_own_fields_with_their_defaults(self, form):
        form.get_by_role("button", name="Extra Fields", exact=True).click()

        expect(form.get_by_role("spinbutton", name="Timeout (seconds)")).to_have_value("60")
        expect(form.get_by_role("spinbutton", name="Tries")).to_have_value("6")
        expect(form.get_by_role("checkbox", name="Allow plain http")).not_to_be_checked()
        hash_key = form.get_by_role("group").filter(has_text="Hash key").last.locator("input")
        expect(hash_key).to_have_attribute("type", "password")

    def test_offers_the_regions_in_a_drop_down(self, page, form):
        form.get_by_role("combobox", name="Region").click()

        expect(page.get_by_role("option")).to_have_text(["global", "us", "eu"])
        page.get_by_role("option", name="eu", exact=True).click()
        expect(form.get_by_role("group").filter(has_text="Region").last).to_contain_text("eu")

    def test_is_shown_in_the_documents_as_it_is(self, page, form):
        """With SCREENSHOTS set, write the picture; else only see that there is one."""
        if os.environ.get("SCREENSHOTS"):
            form.get_by_role("button", name="Standard Fields").click()
            for name, heading in (("connection-form", "Standard Fields"), ("connection-form-extra", "Extra Fields")):
                button = form.get_by_role("button", name=heading, exact=True)
                if button.get_attribute("aria-expanded") != "true":
                    button.click()
                page.wait_for_timeout(600)  # the fold opens slowly
                form.screenshot(path=str(IMAGES / f"{name}.png"))

        for name in ("connection-form", "connection-form-extra"):
            assert (IMAGES / f"{name}.png").read_bytes().startswith(b"\x89PNG")

    def test_saves_what_was_filled_in(self, page, form, server, airflow):
        address = urlsplit(server.url)
        standard = form.get_by_role("button", name="Standard Fields")
        if standard.get_attribute("aria-expanded") != "true":
            standard.click()
        form.get_by_role("textbox", name="API key").fill(TEST_KEY)
        form.get_by_role("textbox", name="Host (optional)").fill(address.hostname)
        form.get_by_role("spinbutton", name="Port (optional)").fill(str(address.port))
        form.get_by_role("textbox", name="Schema (optional)").fill("http")
        form.get_by_role("button", name="Save").click()
        expect(page.get_by_role("row", name="synthflow_default")).to_be_visible()

        stored = airflow.rest("GET", "/connections/synthflow_default")
        assert (stored["conn_type"], stored["host"], stored["port"]) == ("synthflow", address.hostname, address.port)
        assert json.loads(stored["extra"]) == {
            "region": "eu", "timeout": 60, "max_response_bytes": 268_435_456, "max_attempts": 6, "hash_key": None,
            "allow_insecure": False,
        }  # fmt: skip

    def test_is_shown_again_with_what_was_saved_but_not_the_key(self, page, airflow, server):
        open_list(page, airflow)
        page.get_by_role("row", name="synthflow_default").get_by_role("button", name="Edit Connection").click()
        dialog = page.get_by_role("dialog")

        expect(dialog.get_by_role("textbox", name="Host (optional)")).to_have_value(urlsplit(server.url).hostname)
        expect(dialog.get_by_role("textbox", name="API key")).not_to_have_value(TEST_KEY)
        dialog.get_by_role("button", name="Extra Fields", exact=True).click()
        expect(dialog.get_by_role("group").filter(has_text="Region").last).to_contain_text("eu")
        assert TEST_KEY not in page.content()


class TestButton:
    """The Test button in the list of connections, and what it says on the screen."""

    def test_is_green_with_a_good_key(self, page, airflow, server):
        open_list(page, airflow)
        asked = len(server.api.requests)

        told = said_by_the_test_button(page, "synthflow_default")

        assert told.startswith("Test Connection Successful")
        assert f"Connected to 127.0.0.1:{server.port}: the API accepts the key." in told
        assert [(each.path, each.query) for each in server.api.requests[asked:]] == [
            ("/v2/assistants/", {"limit": "1"})
        ]

    def make(self, airflow, conn_id, **fields):
        airflow.rest("POST", "/connections", {"connection_id": conn_id, "conn_type": "synthflow", **fields})

    def test_says_that_the_key_is_wrong_where_no_region_knows_it(self, page, airflow):
        self.make(airflow, "wrong_key", password=WRONG_KEY, port=443, extra=json.dumps({"region": "us"}))
        open_list(page, airflow)

        told = said_by_the_test_button(page, "wrong_key")

        assert told.startswith("Test Connection Failed")
        assert "does not accept the key (HTTP 401), and no other region does." in told
        assert WRONG_KEY not in page.content()

    def test_says_that_the_key_or_the_region_is_wrong_where_a_host_is_set(self, page, airflow, server):
        self.make(airflow, "wrong_at_host", password=WRONG_KEY, host="127.0.0.1", port=server.port)
        open_list(page, airflow)

        told = said_by_the_test_button(page, "wrong_at_host")

        assert told.startswith("Test Connection Failed")
        assert f"Key or region: 127.0.0.1:{server.port} does not accept the key (HTTP 401)." in told

    def test_names_the_region_that_knows_the_key(self, page, airflow):
        self.make(airflow, "wrong_region", password=TEST_KEY, port=443, extra=json.dumps({"region": "us"}))
        open_list(page, airflow)

        told = said_by_the_test_button(page, "wrong_region")

        assert told.startswith("Test Connection Failed")
        assert "Region: " in told
        assert "Set the connection's region to 'eu'." in told

    def test_says_that_the_network_is_wrong_where_nobody_listens(self, page, airflow):
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        self.make(airflow, "no_network", password=TEST_KEY, host="127.0.0.1", port=port)
        open_list(page, airflow)

        told = said_by_the_test_button(page, "no_network")

        assert told.startswith("Test Connection Failed")
        assert f"Network: 127.0.0.1:{port} refused the connection: nothing listens there." in told
