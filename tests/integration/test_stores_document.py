# SPDX-License-Identifier: Apache-2.0
"""What docs/stores.md shows works as it stands there: the connection, the DAG, the lifecycle rule."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.integration.airflow_home import AirflowHome
from tests.synthflow_server import TEST_KEY, SynthflowApi, make_calls, serve
from tests.synthflow_server.dataset import DAY_MS
from tests.versions import AIRFLOW

pytestmark = pytest.mark.long

pytest.importorskip("moto")
pytest.importorskip("s3fs")

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "stores.md").read_text(encoding="utf-8")
FROM_MS = 1_767_571_200_000  # 2026-01-05T00:00:00Z
HEAD = """
from datetime import datetime, timezone
from airflow.providers.common.compat.sdk import DAG
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
"""
PROGRAM = """
import sys
import pendulum
sys.path.insert(0, sys.argv[1])
from calls import dag
print("state", dag.test(**{sys.argv[2]: pendulum.parse("2026-01-06T00:00:00Z")}).state)
"""


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    return found


def test_the_connection_and_the_dag_write_into_s3(s3_server, tmp_path):
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "calls.py").write_text(HEAD + block("python").replace(")):", ")) as dag:"), encoding="utf-8")
    known = json.loads(s3_server.connection())
    values = {"$AWS_ACCESS_KEY_ID": known["login"], "$AWS_SECRET_ACCESS_KEY": known["password"]}
    words = [values.get(word, word) for word in shlex.split(block("sh"))]
    words[-1] = json.dumps(json.loads(words[-1]) | {"endpoint_url": s3_server.url})
    calls = make_calls(5, 100, agents=["your-agent-id"], from_ms=FROM_MS, to_ms=FROM_MS + DAY_MS)
    with serve(SynthflowApi(calls)) as server:
        connection = {"conn_type": "synthflow", "host": server.url, "password": TEST_KEY}
        env = {"AIRFLOW_CONN_SYNTHFLOW_DEFAULT": json.dumps(connection), "AIRFLOW__CORE__DAGS_FOLDER": str(dags)}
        airflow = AirflowHome(tmp_path, env)
        airflow.airflow(*words[1:])
        date = "execution_date" if AIRFLOW < (3, 0) else "logical_date"
        done = airflow.run("-c", PROGRAM, str(dags), date)

    (state,) = [line for line in done.stdout.splitlines() if line.startswith("state ")]
    assert "success" in state
    (manifest,) = [key for key in s3_server.objects() if key.endswith("_manifest.json")]
    told = json.loads(s3_server.read(manifest))
    assert manifest.startswith("synthflow/model_id=your-agent-id/from_date=20260105T000000Z/")
    assert (told["count"], told["bytes"]) == (100, len(s3_server.read(told["path"].removeprefix("s3://lake/"))))


def test_the_lifecycle_rule_is_one_that_s3_takes(s3_server):
    rule = json.loads(block("json"))

    s3_server.client.put_bucket_lifecycle_configuration(Bucket="lake", LifecycleConfiguration=rule)

    (told,) = s3_server.client.get_bucket_lifecycle_configuration(Bucket="lake")["Rules"]
    assert told["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 2}
