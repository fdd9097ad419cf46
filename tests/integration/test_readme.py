# SPDX-License-Identifier: Apache-2.0
"""What the README shows works as it stands there: the connection's command, its test, and the DAG."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.integration.airflow_home import AirflowHome
from tests.synthflow_server import TEST_KEY, SynthflowApi, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")
FROM_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z

PROGRAM = """
import sys
import pendulum
sys.path.insert(0, sys.argv[1])
from calls import dag
import airflow
date = "execution_date" if airflow.__version__.startswith("2.") else "logical_date"
run = dag.test(**{date: pendulum.parse("2026-01-06T00:00:00Z")})
print("state", run.state)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    calls = make_calls(5, 100, agents=["your-agent-id"], from_ms=FROM_MS, to_ms=FROM_MS + DAY_MS)
    with serve(SynthflowApi(calls)) as server:
        airflow = AirflowHome(folder, {"SYNTHFLOW_API_KEY": TEST_KEY, "AIRFLOW__CORE__TEST_CONNECTION": "Enabled"})
        airflow.server = server
        airflow.folder = folder
        yield airflow


def test_the_command_of_the_readme_makes_a_connection_of_which_the_test_speaks(home):
    command = next(line for block in blocks("sh") for line in block.splitlines() if "connections add" in line)
    words = [home.env["SYNTHFLOW_API_KEY"] if word == "$SYNTHFLOW_API_KEY" else word for word in shlex.split(command)]

    home.airflow(*words[1:])

    shown = json.loads(home.airflow("connections", "get", "synthflow_default", "-o", "json").stdout)
    assert shown[0]["conn_type"] == "synthflow"
    assert json.loads(str(shown[0]["extra_dejson"]).replace("'", '"')) == {"region": "eu"}


def test_the_dag_of_the_readme_runs(home, tmp_path):
    code = blocks("python")[0].replace("/data/synthflow", str(tmp_path / "data"))
    code = re.sub(r"^with DAG\((.*)\):$", r"with DAG(\1) as dag:", code, flags=re.MULTILINE)
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "calls.py").write_text(code, encoding="utf-8")
    connection = json.dumps({"conn_type": "synthflow", "host": home.server.url, "password": TEST_KEY})

    done = home.run(
        "-c", PROGRAM, str(dags), AIRFLOW_CONN_SYNTHFLOW_DEFAULT=connection, AIRFLOW__CORE__DAGS_FOLDER=str(dags)
    )

    assert "success" in done.stdout.splitlines()[-1]
    manifests = list((tmp_path / "data").glob("model_id=your-agent-id/from_date=20260105T000000Z/*/_manifest.json"))
    assert [json.loads(path.read_bytes())["count"] for path in manifests] == [100]


def test_the_readme_has_a_dag_of_about_ten_lines():
    assert len(blocks("python")[0].splitlines()) <= 12
