# SPDX-License-Identifier: Apache-2.0
"""A file's path tells its agent, its window and its format, and nothing can lead out of the output path."""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from urllib.parse import unquote

import pytest

from airflow_provider_synthflow.output.formats import FORMATS
from airflow_provider_synthflow.output.publication import MANIFEST_NAME, file_name, window_directory
from airflow_provider_synthflow.window import Window

DAY = Window.of("2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z")

HOSTILE = [
    "../x",
    "a/b",
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "a\\b",
    "a b",
    "a=b",
    "a%2Fb",
    "a\nb",
    "a\x00b",
    "Ägent-日本",
    "~",
    "*",
    "$HOME",
    "1776876567837x123456789",
]


def test_is_the_contract_s():
    assert window_directory("agent-1", DAY) == "model_id=agent-1/from_date=20261123T000000Z/to_date=20261124T000000Z"
    assert file_name("jsonl.gz") == "calls.jsonl.gz"
    assert MANIFEST_NAME == "_manifest.json"


@pytest.mark.parametrize(
    ("from_date", "to_date", "names"),
    [
        ("2026-11-23T00:00:00.001Z", "2026-11-24T00:00:00Z", "from_date=20261123T000000.001Z/to_date=20261124T000000Z"),
        ("2026-11-23T00:00:00Z", "2026-11-23T23:59:59.999Z", "from_date=20261123T000000Z/to_date=20261123T235959.999Z"),
        ("2026-11-23T00:00:00.100Z", "2026-11-23T00:00:00.2Z",
         "from_date=20261123T000000.100Z/to_date=20261123T000000.200Z"),
        ("2026-11-23T01:02:03+01:00", "2026-11-24T00:00:00Z", "from_date=20261123T000203Z/to_date=20261124T000000Z"),
    ],
    ids=["first millisecond", "last millisecond", "tenths", "another zone"],
)  # fmt: skip
def test_has_milliseconds_only_where_they_are_not_zero(from_date, to_date, names):
    assert window_directory("a", Window.of(from_date, to_date)) == f"model_id=a/{names}"


@pytest.mark.parametrize("model_id", HOSTILE)
def test_stays_below_the_output_path_whatever_the_agent_s_id(model_id):
    directory = window_directory(model_id, DAY)

    parts = PurePosixPath(directory).parts
    assert len(parts) == 3
    assert parts[0].startswith("model_id=")
    assert directory.isascii()
    assert directory.isprintable()
    assert os.path.normpath(f"/out/{directory}") == f"/out/{directory}"


@pytest.mark.parametrize("model_id", HOSTILE)
def test_tells_the_agent_s_id(model_id):
    name = window_directory(model_id, DAY).split("/")[0]

    assert unquote(name.removeprefix("model_id=")) == model_id


def test_is_another_for_each_agent_and_window():
    windows = [DAY, Window(DAY.from_ms, DAY.to_ms + 1), Window(DAY.from_ms - 1, DAY.to_ms)]

    paths = {window_directory(model_id, window) for model_id in HOSTILE for window in windows}

    assert len(paths) == len(HOSTILE) * len(windows)


@pytest.mark.parametrize("format_name", FORMATS)
def test_ends_with_the_format(format_name):
    assert file_name(format_name) == f"calls.{format_name}"
