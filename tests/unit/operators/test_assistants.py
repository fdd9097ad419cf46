# SPDX-License-Identifier: Apache-2.0
"""All agents as a snapshot of the run's day: complete, sorted, the same bytes again, and without prompts."""

from __future__ import annotations

import datetime as dt
import gzip
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowConfigError,
    SynthflowOutputConflictError,
)
from airflow_provider_synthflow.operators.synthflow import SynthflowListAssistantsOperator
from tests.synthflow_server import Answer, Fault, agent_ids
from tests.unit.making import tree_of

if TYPE_CHECKING:
    from pathlib import Path

DAY = dt.datetime(2026, 11, 28, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
CONTEXT: Any = {"logical_date": DAY}
PLACE = "assistants/snapshot_date=20261128"
IDS = agent_ids(130)


def operator(path: Path | str | None = None, **arguments: Any) -> SynthflowListAssistantsOperator:
    return SynthflowListAssistantsOperator(task_id="agents", output_path=path, **arguments)


@pytest.fixture
def serve(synthflow, connect):
    def start(assistants=IDS, **options):
        handle = synthflow(assistants=assistants, **options)
        connect(host=handle.url)
        return handle

    return start


def lines_of(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_bytes().splitlines()]


def test_all_agents_are_in_the_file_of_the_day_sorted_by_their_ids(serve, tmp_path):
    serve(IDS[::-1])

    result = operator(tmp_path).execute(CONTEXT)

    file = tmp_path / PLACE / "assistants.jsonl.gz"
    agents = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    assert [agent["model_id"] for agent in agents] == sorted(IDS) == result["model_ids"]
    assert (result["count"], result["path"], result["format"], result["changed"]) == (130, str(file), "jsonl.gz", True)
    assert json.loads((tmp_path / PLACE / "_manifest.json").read_bytes()) == result


def test_a_run_again_writes_nothing(serve, tmp_path):
    serve()
    first = operator(tmp_path).execute(CONTEXT)
    before = tree_of(tmp_path)

    again = operator(tmp_path).execute(CONTEXT)

    assert (again["changed"], again["sha256"], again["bytes"]) == (False, first["sha256"], first["bytes"])
    assert tree_of(tmp_path) == before


def test_without_a_path_the_agents_are_in_the_result(serve):
    serve(IDS[:3])

    result = operator().execute({})

    assert [agent["model_id"] for agent in result["assistants"]] == sorted(IDS[:3]) == result["model_ids"]
    assert "path" not in result


AGENT = {
    "model_id": "a", "name": "Ada", "description": "d" * 2000, "prompt": "secret", "system_prompt": "secret",
    "agent": {"prompt": "secret"}, "long": "x" * 1001, "short": "x" * 1000, "flag": True, "none": None, "list": [1],
}  # fmt: skip


def test_prompts_and_long_fields_are_left_out(serve):
    serve([AGENT])

    (agent,) = operator().execute({})["assistants"]

    assert set(agent) == {"model_id", "name", "description", "short", "flag", "none"}


def test_half_of_a_surrogate_pair_is_mended_in_an_agents_id_and_its_fields(serve, tmp_path, monkeypatch):
    handle = serve()
    body = rb'{"response":{"assistants":[{"model_id":"a\ud83d","name":"\udc00"}],"pagination":{"total_records":1}}}'
    monkeypatch.setattr(handle.api, "handle", lambda *_: Answer(200, {}, body))

    result = operator(tmp_path, output_format="jsonl").execute(CONTEXT)

    assert result["model_ids"] == ["a\ufffd"]
    assert json.loads((tmp_path / PLACE / "assistants.jsonl").read_bytes()) == {"model_id": "a\ufffd", "name": "\ufffd"}


def test_with_full_an_agent_is_as_received(serve, tmp_path):
    serve([AGENT])

    operator(tmp_path, full=True, output_format="jsonl").execute(CONTEXT)

    assert json.loads((tmp_path / PLACE / "assistants.jsonl").read_bytes()) == AGENT


def test_with_and_without_full_are_two_queries(serve, tmp_path):
    serve()
    operator(tmp_path).execute(CONTEXT)

    with pytest.raises(SynthflowOutputConflictError):
        operator(tmp_path, full=True).execute(CONTEXT)


def test_parquet_has_the_documented_columns_and_the_rest_in_raw(serve, tmp_path):
    serve([{**AGENT, "type": 7, "created_at": "2026-01-01T00:00:00Z", "phone_number": "+1"}])

    operator(tmp_path, output_format="parquet").execute(CONTEXT)

    (row,) = pq.ParquetFile(tmp_path / PLACE / "assistants.parquet").read().to_pylist()
    assert list(row) == ["model_id", "name", "type", "description", "phone_number", "created_at", "_raw"]
    assert (row["type"], row["created_at"], row["phone_number"]) == ("7", "2026-01-01T00:00:00Z", "+1")
    assert json.loads(row["_raw"]) == {"short": "x" * 1000, "flag": True, "none": None, "type": 7}


@pytest.mark.parametrize("output_format", ["jsonl", "parquet"])
def test_an_agent_that_has_only_id_has_it_as_its_model_id_too(serve, tmp_path, output_format):
    serve([{"id": 5, "name": "five"}, {"id": "b", "model_id": None}, {"id": "own", "model_id": "c"}])

    result = operator(tmp_path, output_format=output_format).execute(CONTEXT)

    file = tmp_path / PLACE / f"assistants.{output_format}"
    rows = pq.ParquetFile(file).read().to_pylist() if output_format == "parquet" else lines_of(file)
    assert [row["model_id"] for row in rows] == ["5", "b", "c"] == result["model_ids"]


def test_agents_without_ids_are_kept_and_no_ids(serve):
    serve([{"model_id": "b"}, {"name": "nameless"}, {"id": 5}])

    result = operator().execute({})

    assert (result["count"], result["model_ids"]) == (3, ["5", "b"])


def test_no_agents_are_an_empty_snapshot(serve, tmp_path):
    serve([])

    result = operator(tmp_path, output_format="parquet").execute(CONTEXT)

    assert (result["count"], result["model_ids"]) == (0, [])
    assert (tmp_path / PLACE / "assistants.parquet").exists()


def test_nothing_is_written_where_the_list_cannot_be_read(serve, tmp_path):
    serve(faults=[Fault(status=401, route="assistants", at=2)])

    with pytest.raises(SynthflowAuthError):
        operator(tmp_path).execute(CONTEXT)

    assert tree_of(tmp_path) == {}


def test_a_result_too_large_for_xcom_names_the_cure(serve):
    serve()

    with pytest.raises(SynthflowConfigError, match=r"130 assistants[\s\S]*output_path"):
        operator(max_xcom_bytes=1000).execute({})


@pytest.mark.parametrize(
    ("context", "day"),
    [
        ({"logical_date": DAY}, "20261128"),
        ({"dag_run": SimpleNamespace(logical_date=None, run_after=DAY + dt.timedelta(days=1))}, "20261129"),
    ],
)
def test_the_day_is_the_run_s_in_utc(serve, tmp_path, context, day):
    serve(IDS[:1])

    operator(tmp_path).execute(context)

    assert [path.name for path in (tmp_path / "assistants").iterdir()] == [f"snapshot_date={day}"]


def test_the_ids_are_an_xcom_of_their_own(serve):
    serve(IDS[:2])
    pushed: dict[str, Any] = {}
    instance = SimpleNamespace(xcom_push=lambda key, value: pushed.update({key: value}))

    operator().execute({"ti": instance})

    assert pushed == {"model_ids": sorted(IDS[:2])}


@pytest.mark.parametrize(
    "wrong", [{"output_format": "csv"}, {"output_path": ""}, {"full": "perhaps"}, {"max_xcom_bytes": 0}]
)
def test_what_is_fixed_and_wrong_is_refused_in_the_dag_file(wrong):
    with pytest.raises(SynthflowConfigError):
        SynthflowListAssistantsOperator(task_id="agents", **wrong)
