# SPDX-License-Identifier: Apache-2.0
"""A task's file is looked for in the console of its store, where that is the cloud's own."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import XCom

from airflow_provider_synthflow.links.synthflow import SynthflowOutputLink
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.unit.making import FROM, TO


def operator(**arguments: Any) -> SynthflowListCallsOperator:
    return SynthflowListCallsOperator(task_id="calls", model_id="agent-1", from_date=FROM, to_date=TO, **arguments)


@pytest.mark.parametrize(
    ("pushed", "address"),
    [
        ({"path": "s3://lake/a=1/calls.jsonl"}, "https://s3.console.aws.amazon.com/s3/object/lake?prefix=a%3D1%2Fcalls.jsonl"),
        ([{"count": 0}, {"path": "gs://lake/calls.jsonl"}], "https://console.cloud.google.com/storage/browser/_details/lake/calls.jsonl"),
        ({"path": "/lake/calls.jsonl"}, ""),
        ({"calls": []}, ""),
        ([], ""),
        (None, ""),
    ],
)  # fmt: skip
def test_the_output_link_leads_to_the_file_in_its_store_s_console(mocker, pushed, address):
    mocker.patch.object(XCom, "get_value", return_value=pushed)

    assert SynthflowOutputLink().get_link(operator(), ti_key=SimpleNamespace()) == address


@pytest.mark.parametrize(
    ("extra", "leads"),
    [
        ({"region_name": "eu-central-1"}, True),
        ({"endpoint_url": "http://minio:9000"}, False),
        ({"service_config": {"s3": {"endpoint_url": "http://minio:9000"}}}, False),
        (None, False),
    ],
)
@pytest.mark.parametrize("where", ["output_conn_id", "output_path"])
def test_the_output_link_leads_to_no_console_of_another_s_store(mocker, monkeypatch, extra, leads, where):
    mocker.patch.object(XCom, "get_value", return_value={"path": "s3://lake/calls.jsonl"})
    if extra is not None:
        monkeypatch.setenv("AIRFLOW_CONN_LAKE_CONN", json.dumps({"conn_type": "aws", "extra": extra}))
    place = {"output_path": "s3://lake/x", "output_conn_id": "lake_conn"}
    task = operator(**place) if where == "output_conn_id" else operator(output_path="s3://lake_conn@lake/x")

    assert bool(SynthflowOutputLink().get_link(task, ti_key=SimpleNamespace())) is leads


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_output_link_leads_to_no_console_of_another_s_store_in_the_environment(mocker, monkeypatch, name):
    mocker.patch.object(XCom, "get_value", return_value={"path": "s3://lake/calls.jsonl"})
    monkeypatch.setenv(name, "http://minio:9000")

    assert SynthflowOutputLink().get_link(operator(), ti_key=SimpleNamespace()) == ""
