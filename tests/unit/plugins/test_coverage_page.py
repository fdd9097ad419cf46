# SPDX-License-Identifier: Apache-2.0
"""The page of Airflow's UI finds the report that the configuration names, and says what to do where there is none."""

from __future__ import annotations

import pytest

from tests.versions import needs_airflow

pytestmark = needs_airflow("3.1", "pages of plugins in the navigation")
REPORT = "AIRFLOW__SYNTHFLOW__AUDIT_REPORT"


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch):
    monkeypatch.delenv(REPORT, raising=False)
    monkeypatch.delenv(f"{REPORT}_CONN_ID", raising=False)


def find_page() -> tuple[int, bytes]:
    from airflow_provider_synthflow.plugins import coverage_page  # noqa: PLC0415 - only such an Airflow has its libraries

    return coverage_page.find_page()


def test_without_a_setting_it_names_the_setting():
    status, page = find_page()

    assert status == 404
    assert b"[synthflow] audit_report" in page


def test_before_the_first_audit_it_says_that_one_is_due(monkeypatch, tmp_path):
    monkeypatch.setenv(REPORT, str(tmp_path / "audit.html"))

    status, page = find_page()

    assert status == 404
    assert b"it comes with the next audit" in page


def test_the_report_is_given_as_it_is(monkeypatch, tmp_path):
    (tmp_path / "audit.html").write_bytes(b"<p>whole</p>")
    monkeypatch.setenv(REPORT, str(tmp_path / "audit.html"))

    assert find_page() == (200, b"<p>whole</p>")


def test_a_directory_is_told_as_the_setting(monkeypatch, tmp_path):
    monkeypatch.setenv(REPORT, str(tmp_path))

    status, page = find_page()

    assert status == 502
    assert f"audit_report {tmp_path} is a directory".encode() in page


def test_a_store_that_cannot_be_read_is_told_without_being_html(monkeypatch):
    monkeypatch.setenv(REPORT, "<b>nonsense://bucket/<script>")

    status, page = find_page()

    assert status in {404, 502}
    assert b"<b>" not in page
    assert b"<script>" not in page
