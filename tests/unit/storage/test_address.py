# SPDX-License-Identifier: Apache-2.0
"""A file's address tells its console and its name in the lineage."""

from __future__ import annotations

import pytest

from airflow_provider_synthflow.storage.address import FileAddress

KEY = "calls/model_id=a%2Fb/from_date=20240301T000000Z/calls.jsonl"


@pytest.mark.parametrize(
    ("path", "address", "dataset"),
    [
        ("/lake/calls.jsonl", ("file", "", "/lake/calls.jsonl"), ("file", "/lake/calls.jsonl")),
        ("file:///lake/calls.jsonl", ("file", "", "/lake/calls.jsonl"), ("file", "/lake/calls.jsonl")),
        (f"s3://lake/{KEY}", ("s3", "lake", KEY), ("s3://lake", KEY)),
        (f"s3a://lake/{KEY}", ("s3a", "lake", KEY), ("s3://lake", KEY)),
        (f"s3://aws_default@lake/{KEY}", ("s3", "lake", KEY), ("s3://lake", KEY)),
        ("s3://lake/a?b#c/calls", ("s3", "lake", "a?b#c/calls"), ("s3://lake", "a?b#c/calls")),
        (f"gs://lake/{KEY}", ("gs", "lake", KEY), ("gs://lake", KEY)),
        (f"gcs://lake/{KEY}", ("gcs", "lake", KEY), ("gs://lake", KEY)),
        (
            f"abfss://azure_default@lake/{KEY}",
            ("abfss", "lake", KEY),
            ("abfss://lake", KEY),
        ),
    ],
)
def test_an_address_is_taken_apart_and_named(path, address, dataset):
    found = FileAddress.parse(path)

    assert (found.scheme, found.bucket, found.key) == address
    assert found.dataset == dataset


@pytest.mark.parametrize(
    ("path", "console"),
    [
        ("s3://lake/a b/x=1%2F2", "https://s3.console.aws.amazon.com/s3/object/lake?prefix=a%20b%2Fx%3D1%252F2"),
        ("gs://lake/a b/x=1", "https://console.cloud.google.com/storage/browser/_details/lake/a%20b/x%3D1"),
        ("/lake/calls.jsonl", ""),
        ("abfss://lake/calls.jsonl", ""),
        ("memory://lake/calls.jsonl", ""),
    ],
)
def test_only_stores_with_a_console_have_an_address_there(path, console):
    assert FileAddress.parse(path).console == console
