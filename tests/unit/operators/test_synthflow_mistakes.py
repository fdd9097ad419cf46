# SPDX-License-Identifier: Apache-2.0
"""What templates render, and what is written by mistake, never ends in a green task without its data."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, ObjectStoragePath

from airflow_provider_synthflow.exceptions import (
    SynthflowConfigError,
    SynthflowIncompleteError,
    SynthflowWindowError,
)
from airflow_provider_synthflow.storage.address import to_path_text
from airflow_provider_synthflow.storage.open_store import open_store
from tests.unit.making import AGENT, make_call, read_file
from tests.unit.making_tasks import operator

LISTS = {"ids": [AGENT, "agent-2"], "hide": ["transcript", "phone_number_to"], "statuses": ["completed"], "none": None}


def rendered(**arguments: Any) -> Any:
    one = operator(**arguments)
    one.render_template_fields({"params": LISTS})
    return one


class TestTemplates:
    @pytest.mark.parametrize("parameter", ["drop_fields", "hash_fields"])
    def test_of_a_list_of_fields_take_each_of_them(self, serve, parameter):
        serve([make_call("a")])

        (call,) = rendered(**{parameter: "{{ params.hide }}"}).execute({})["calls"]

        assert not {"bot: Hallo\nhuman: Grüß Gott", "+493023125001"} & set(map(str, call.values()))

    def test_of_a_list_of_agents_read_each_of_them(self, serve):
        serve([make_call("a"), make_call("b", agent="agent-2")])

        results = rendered(model_id="{{ params.ids }}").execute({})

        assert [(result["model_id"], result["count"]) for result in results] == [(AGENT, 1), ("agent-2", 1)]

    @pytest.mark.parametrize(
        "arguments",
        [
            {"model_id": "{{ params.none }}"},
            {"model_id": "[broken"},
            {"call_status": "{{ params.statuses }}"},
            {"drop_fields": "['broken"},
            {"output_path": Path("s3://bucket/calls")},
            {"output_path": "s3:/bucket/calls"},
            {"output_path": "s3://"},
            {"output_path": 5},
            {"from_date": "20240301", "to_date": "20240302"},
            {"from_date": "1709251200", "to_date": "1709337600"},
        ],
        ids=str,
    )
    def test_that_name_nothing_that_can_be_meant_are_errors_before_the_first_request(self, serve, arguments):
        handle = serve([make_call("a")])

        with pytest.raises(SynthflowConfigError):
            rendered(**arguments).execute({})

        assert handle.api.requests == []

    def test_of_digits_are_milliseconds_where_they_can_be(self, serve):
        serve([make_call("a")])

        assert operator(from_date="0", to_date="1709337600000").execute({})["count"] == 1
        with pytest.raises(SynthflowWindowError, match="milliseconds"):
            operator(from_date="1709251200", to_date="1709337600000").execute({})


class TestPaths:
    def test_may_be_airflow_s_own(self, serve, tmp_path):
        serve([make_call("a")])

        result = operator(output_path=ObjectStoragePath(f"file://{tmp_path}")).execute({})

        assert [call["call_id"] for call in read_file(result["path"].removeprefix("file://"))] == ["a"]

    def test_of_pathlib_are_rendered_and_need_not_be_there(self, serve, tmp_path):
        serve([make_call("a")])
        one = operator(output_path=tmp_path / "{{ params.name }}")
        one.render_template_fields({"params": {"name": "new"}})

        assert one.execute({})["path"].startswith(f"{tmp_path}/new/model_id=")

    def test_lose_the_blanks_around_them(self):
        assert to_path_text(" s3://bucket/calls\n") == "s3://bucket/calls"

    def test_with_credentials_are_refused_without_repeating_them(self):
        with pytest.raises(SynthflowConfigError, match="contains credentials") as caught:
            open_store("s3://AKIAEXAMPLE:topsecret@bucket/calls")

        assert "topsecret" not in str(caught.value)


class TestFilesOfOthers:
    def test_an_empty_window_that_is_skipped_leaves_no_calls_of_before(self, serve, tmp_path):
        handle = serve([make_call("a")])
        result = operator(output_path=str(tmp_path), on_empty="skip").execute({})
        handle.api.remove("a")

        with pytest.raises(AirflowSkipException):
            operator(output_path=str(tmp_path), on_empty="skip").execute({})

        assert read_file(result["path"]) == []
        assert json.loads((Path(result["path"]).parent / "_manifest.json").read_text())["count"] == 0

    @pytest.mark.parametrize(
        ("call", "arguments"),
        [(make_call("running", lasts=None), {"on_unsettled": "fail"}), (None, {"on_empty": "fail"})],
        ids=["unsettled", "empty"],
    )
    def test_a_retry_keeps_no_file_of_another_task_that_it_would_not_have_written(
        self, serve, tmp_path, call, arguments
    ):
        serve([call] if call else [])
        retry = {
            "ti": SimpleNamespace(try_number=2, max_tries=3),
            "task": SimpleNamespace(retries=3),
            "dag_run": SimpleNamespace(start_date=dt.datetime.now(dt.timezone.utc)),
        }
        operator(output_path=str(tmp_path)).execute({})

        with pytest.raises(SynthflowIncompleteError):
            operator(output_path=str(tmp_path), retries=3, **arguments).execute(retry)
