# SPDX-License-Identifier: Apache-2.0
"""The tables beside the calls: made of the calls as stored, published with them, and true whenever a manifest is."""

from __future__ import annotations

import hashlib
import json
import sys
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from airflow_provider_synthflow import parameters
from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowOutputConflictError
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from airflow_provider_synthflow.output.file_publication import TABLE_NAMES
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.tables.table import TABLES
from tests.unit.making import AGENT, FROM, HOUR, TO, make_call, tree_of

if TYPE_CHECKING:
    from pathlib import Path

PLACE = f"model_id={AGENT}/from_date=20240301T000000Z/to_date=20240302T000000Z"
TALK = "bot: Hello\nhuman: Yes\nand no"


def operator(path: Path | str | None, **arguments: Any) -> SynthflowListCallsOperator:
    return SynthflowListCallsOperator(
        task_id="calls", model_id=AGENT, from_date=FROM, to_date=TO, output_path=path, **arguments
    )


def calls(count: int = 5):
    return [
        make_call(
            f"c{number}",
            number * HOUR,
            transcript=TALK,
            judge_results={"score": str(number)},
            executed_actions={"k": {"name": "n", "return_value": '{"a": 1}'}},
            collected_variables={"v": {"value": "x", "collected": True}},
        )
        for number in range(count)
    ]


def read_manifest(root: Path) -> dict[str, Any]:
    return json.loads((root / PLACE / "_manifest.json").read_bytes())


def rows(root: Path, name: str) -> list[dict[str, Any]]:
    return pq.ParquetFile(root / PLACE / f"{name}.parquet").read().to_pylist()


@pytest.fixture
def serve(synthflow, connect):
    def start(there, **fields):
        handle = synthflow(there)
        connect(**{"host": handle.url, **fields})
        return handle

    return start


def test_the_names_of_parameters_are_those_of_the_tables():
    assert tuple(TABLES) == parameters.TABLES
    assert TABLES.keys() == TABLE_NAMES


@pytest.mark.parametrize("output_format", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
def test_all_tables_lie_beside_the_calls_and_the_manifest_tells_of_each(serve, tmp_path, output_format):
    serve(calls())

    result = operator(tmp_path, tables="all", output_format=output_format).execute({})

    assert result["tables"] == read_manifest(tmp_path)["tables"]
    assert {name: (told["rows"], told["odd"]) for name, told in result["tables"].items()} == {
        "turns": (10, 0), "actions": (5, 0), "variables": (5, 0), "judgements": (5, 0),
    }  # fmt: skip
    for name, told in result["tables"].items():
        data = (tmp_path / PLACE / f"{name}.parquet").read_bytes()
        assert told["path"] == str(tmp_path / PLACE / f"{name}.parquet")
        assert (told["bytes"], told["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    turns = rows(tmp_path, "turns")
    assert [row["call_id"] for row in turns] == [f"c{number}" for number in range(5) for _ in range(2)]
    assert turns[1] == {"call_id": "c0", "turn": 1, "speaker": "human", "text": "Yes\nand no", "_raw": None}


def test_a_run_again_writes_nothing_and_says_the_same(serve, tmp_path):
    serve(calls())
    first = operator(tmp_path, tables=["turns", "actions"]).execute({})
    before = tree_of(tmp_path)

    again = operator(tmp_path, tables=["turns", "actions"]).execute({})

    assert (first["changed"], again["changed"]) == (True, False)
    assert again["tables"] == first["tables"]
    assert tree_of(tmp_path) == before


def test_a_window_without_a_table_gets_it_and_keeps_those_it_has(serve, tmp_path):
    serve(calls())
    operator(tmp_path).execute({})
    calls_file = (tmp_path / PLACE / "calls.jsonl.gz").stat().st_mtime_ns

    first = operator(tmp_path, tables=["turns"]).execute({})
    second = operator(tmp_path, tables=["actions"]).execute({})

    assert (first["changed"], second["changed"]) == (True, True)
    assert read_manifest(tmp_path)["tables"] == first["tables"] | second["tables"]
    assert (tmp_path / PLACE / "calls.jsonl.gz").stat().st_mtime_ns == calls_file


def test_a_damaged_table_is_written_anew(serve, tmp_path):
    serve(calls())
    operator(tmp_path, tables=["turns"]).execute({})
    before = tree_of(tmp_path)
    (tmp_path / PLACE / "turns.parquet").write_bytes(b"damaged")

    assert operator(tmp_path, tables=["turns"]).execute({})["changed"]

    after = tree_of(tmp_path)
    manifests = [name for name in before if name.endswith("_manifest.json")]
    assert {name: data for name, data in after.items() if name not in manifests} == {
        name: data for name, data in before.items() if name not in manifests
    }


def test_tables_of_calls_that_are_no_more_do_not_outlive_them(serve, tmp_path):
    handle = serve(calls())
    operator(tmp_path, tables="all").execute({})
    handle.api.update("c0", transcript="bot: changed")

    result = operator(tmp_path, tables=["turns"]).execute({})

    assert list(result["tables"]) == list(read_manifest(tmp_path)["tables"]) == ["turns"]
    assert sorted(path.name for path in (tmp_path / PLACE).iterdir()) == [
        "_manifest.json", "calls.jsonl.gz", "turns.parquet",
    ]  # fmt: skip
    assert rows(tmp_path, "turns")[0]["text"] == "changed"


@pytest.mark.parametrize("harm", ["no manifest", "no file of calls", "a manifest cut off"])
@pytest.mark.parametrize("tables", [["turns"], None])
def test_tables_that_the_new_manifest_does_not_tell_of_are_removed(serve, tmp_path, harm, tables):
    serve(calls())
    operator(tmp_path, tables="all").execute({})
    place = tmp_path / PLACE
    (place / "own.parquet").write_bytes(b"a person's own")
    if harm == "a manifest cut off":
        (place / "_manifest.json").write_bytes(b'{"tables": {')
    else:
        (place / "_manifest.json").unlink()
    if harm == "no file of calls":
        (place / "calls.jsonl.gz").unlink()

    operator(tmp_path, tables=tables).execute({})

    assert sorted(read_manifest(tmp_path).get("tables", ())) == sorted(tables or ())
    assert sorted(path.name for path in place.iterdir()) == sorted(
        ["_manifest.json", "calls.jsonl.gz", "own.parquet", *(f"{name}.parquet" for name in tables or ())]
    )


def test_while_tables_are_removed_no_manifest_is_there(serve, tmp_path, monkeypatch):
    handle = serve(calls())
    operator(tmp_path, tables="all").execute({})
    handle.api.update("c0", transcript="bot: changed")
    remove, removed = LocalStore.remove, {}

    def look(store, relative, over=None):
        name = relative.rpartition("/")[2]
        remove(store, relative, over)
        removed[name] = (tmp_path / PLACE / "_manifest.json").exists()

    monkeypatch.setattr(LocalStore, "remove", look)

    operator(tmp_path).execute({})

    assert removed == dict.fromkeys(["_manifest.json", *(f"{name}.parquet" for name in TABLES)], False)


def test_a_damaged_table_that_is_not_asked_for_any_more_goes_and_the_others_stay(serve, tmp_path):
    serve(calls())
    first = operator(tmp_path, tables=["turns", "actions"]).execute({})
    (tmp_path / PLACE / "turns.parquet").write_bytes(b"damaged")

    operator(tmp_path).execute({})

    assert read_manifest(tmp_path)["tables"] == {"actions": first["tables"]["actions"]}
    assert sorted(path.name for path in (tmp_path / PLACE).glob("*.parquet")) == ["actions.parquet"]


def test_where_the_calls_stay_since_a_volatile_field_alone_changed_their_tables_stay_too(serve, tmp_path):
    handle = serve(calls())
    volatile = ["recording_url", "judge_results"]
    first = operator(tmp_path, tables=["turns", "judgements"], volatile_fields=volatile).execute({})
    before = tree_of(tmp_path)
    handle.api.update("c0", judge_results={"score": "other"})

    again = operator(tmp_path, tables=["turns", "judgements"], volatile_fields=volatile).execute({})
    more = operator(tmp_path, tables="all", volatile_fields=volatile).execute({})

    assert (again["changed"], again["tables"]) == (False, first["tables"])
    assert more["tables"].items() >= first["tables"].items()
    assert {name: data for name, data in tree_of(tmp_path).items() if "_manifest" not in name}.items() >= {
        name: data for name, data in before.items() if "_manifest" not in name
    }.items()


def test_an_empty_window_has_empty_tables(serve, tmp_path):
    serve([])

    result = operator(tmp_path, tables="all").execute({})

    assert {told["rows"] for told in result["tables"].values()} == {0}
    assert all(rows(tmp_path, name) == [] for name in TABLES)


def test_dropped_and_hashed_fields_are_so_in_the_tables(serve, tmp_path):
    serve(calls(), extra={"hash_key": "k" * 20})

    result = operator(
        tmp_path, tables="all", drop_fields=["judge_results"], hash_fields=["transcript", "call_id"]
    ).execute({})

    assert {name: told["rows"] for name, told in result["tables"].items()} == {
        "turns": 5, "actions": 5, "variables": 5, "judgements": 0,
    }  # fmt: skip
    assert {len(row["text"]) for row in rows(tmp_path, "turns")} == {64}
    assert all(len(row["call_id"]) == 64 for row in rows(tmp_path, "actions"))


def test_no_table_of_another_query_is_overwritten(serve, tmp_path):
    serve(calls())
    operator(tmp_path, tables="all").execute({})
    before = tree_of(tmp_path)

    with pytest.raises(SynthflowOutputConflictError):
        operator(tmp_path, tables="all", call_status="failed").execute({})

    assert tree_of(tmp_path) == before


def test_after_an_error_between_the_files_no_manifest_lies_beside_them(serve, tmp_path, monkeypatch):
    handle = serve(calls())
    operator(tmp_path, tables="all").execute({})
    handle.api.update("c0", transcript="bot: changed", judge_results={"score": "other"})
    write = LocalStore.stage
    published = []

    def stage(store, directory):
        context = write(store, directory)
        enter = context.__enter__

        def entered():
            staged = enter()
            publish = staged.publish

            def failing(name, over=None):
                published.append(name)
                if len(published) == 2:
                    raise OSError(28, "No space left on device")
                publish(name, over)

            staged.publish = failing
            return staged

        context.__class__ = type("Failing", (context.__class__,), {"__enter__": lambda _: entered()})
        return context

    monkeypatch.setattr(LocalStore, "stage", stage)
    with pytest.raises((SynthflowConfigError, OSError)):
        operator(tmp_path, tables="all").execute({})
    monkeypatch.undo()

    assert not (tmp_path / PLACE / "_manifest.json").exists()
    assert not list((tmp_path / PLACE).glob(".*"))


@pytest.mark.parametrize("tables", ["all", ["turns"], "{{ params.tables }}"])
def test_tables_without_an_output_path_are_refused_in_the_dag_file(tables):
    with pytest.raises(SynthflowConfigError, match="Set output_path"):
        operator(None, tables=tables)


@pytest.mark.parametrize("tables", ["turn", ["turns", "judges"], 5, [None]])
def test_unknown_tables_are_refused_in_the_dag_file(tmp_path, tables):
    with pytest.raises(SynthflowConfigError, match="tables"):
        operator(tmp_path, tables=tables)


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("all", ["turns", "actions", "variables", "judgements"]),
        (["turns", "all"], ["turns", "actions", "variables", "judgements"]),
        ("['turns', 'actions']", ["turns", "actions"]),
        ("variables, turns", ["variables", "turns"]),
    ],
)
def test_a_template_may_render_the_tables(serve, tmp_path, value, names):
    serve(calls())
    one = operator(tmp_path, tables="{{ params.tables }}")
    one.render_template_fields({"params": {"tables": value}})

    assert list(one.execute({})["tables"]) == names


def test_without_pyarrow_the_task_fails_before_it_asks_and_says_what_to_install(serve, tmp_path, monkeypatch):
    handle = serve(calls())
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)

    with pytest.raises(SynthflowConfigError, match=r"(?s)tables needs pyarrow.*airflow-provider-synthflow\[parquet\]"):
        operator(tmp_path, tables="all").execute({})

    assert handle.api.requests == []
