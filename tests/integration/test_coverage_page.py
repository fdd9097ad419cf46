# SPDX-License-Identifier: Apache-2.0
"""The page "Synthflow coverage" of a real Airflow shows the newest report, and only to who may read DAGs."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.airflow_deployment import AirflowDeployment
from tests.versions import needs_airflow

pytestmark = [pytest.mark.long, needs_airflow("3.1", "pages of plugins in the navigation")]

REPORT = b"<!doctype html><title>all whole</title><p>\xe2\x9c\x93 nothing found</p>"
PASSWORDS = {"reader": "reader-password", "nobody": "nobody-password"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return tmp_path_factory.mktemp("lake") / "audit.html"


@pytest.fixture(scope="module")
def airflow(tmp_path_factory, report):
    home = tmp_path_factory.mktemp("home")
    (home / "passwords.json").write_text(json.dumps(PASSWORDS))
    env = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "reader:viewer,nobody:",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__SYNTHFLOW__AUDIT_REPORT": str(report),
    }
    with AirflowDeployment(home, env=env).api_server() as deployment:
        yield deployment


@pytest.fixture(scope="module")
def tokens(airflow):
    return {name: log_in(airflow, name, password) for name, password in PASSWORDS.items()}


def log_in(airflow: AirflowDeployment, name: str, password: str) -> str:
    body = json.dumps({"username": name, "password": password}).encode()
    request = urllib.request.Request(  # noqa: S310 - of this machine
        f"{airflow.url}/auth/token", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read())["access_token"]


def get(airflow: AirflowDeployment, token: str | None, path: str = "/synthflow/coverage") -> tuple[int, Any, bytes]:
    """Return the status, the headers and the body of an answer."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{airflow.url}{path}", headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_is_shown_to_nobody_without_a_session(airflow, report):
    report.write_bytes(REPORT)

    status, _, body = get(airflow, None)

    assert status == 401
    assert REPORT not in body


def test_is_not_shown_to_a_user_who_may_not_read_dags(airflow, report, tokens):
    report.write_bytes(REPORT)

    status, _, body = get(airflow, tokens["nobody"])

    assert status == 403
    assert REPORT not in body


def test_is_the_newest_report_without_any_of_the_reader_s_rights(airflow, report, tokens):
    for newest in (REPORT, REPORT.replace(b"all", b"still all")):
        report.write_bytes(newest)

        status, headers, body = get(airflow, tokens["reader"])

        assert (status, body) == (200, newest)
        assert headers["Content-Type"].startswith("text/html")
        assert "sandbox allow-scripts;" in headers["Content-Security-Policy"]
        assert "allow-same-origin" not in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"


def test_says_so_where_there_is_none_yet(airflow, report, tokens):
    report.unlink(missing_ok=True)

    status, _, body = get(airflow, tokens["reader"])

    assert status == 404
    assert b"There is no report at " in body
    assert b"next audit" in body
