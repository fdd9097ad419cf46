# SPDX-License-Identifier: Apache-2.0
"""An output path names a store as Airflow's own paths do, and what it cannot name is told with the cure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.storage.open_store import open_store

if TYPE_CHECKING:
    from airflow_provider_synthflow.storage.base import Store


def publish(store: Store, data: bytes, directory: str = "a/b", name: str = "file") -> None:
    with store.stage(directory) as staged:
        staged.write(data)
        staged.publish(name)


class TestPaths:
    @pytest.mark.parametrize(
        "form",
        [
            "{tmp}/out",
            "{tmp}/out/",
            "file://{tmp}/out",
            "file://{tmp}/out//",
            "file:{tmp}/out",
            "{tmp}/a b#c?d%20e",
            "file://{tmp}/a b#c?d%20e",
            "{tmp}/Grüße",
        ],
    )
    def test_name_the_place_that_airflow_s_own_paths_name(self, tmp_path, form):
        given = form.format(tmp=tmp_path)
        store = open_store(given)

        publish(store, b"x")

        location = store.location("a/b/file")
        assert ObjectStoragePath(location).read_bytes() == b"x"
        assert (ObjectStoragePath(given) / "a/b/file").read_bytes() == b"x"
        assert location.startswith("file:///" if given.startswith("file:") else "/")
        assert "//" not in location.removeprefix("file://")

    def test_that_are_relative_count_from_the_working_directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        store = open_store("out/deeper")

        publish(store, b"x")
        monkeypatch.chdir("/")

        assert store.location("a/b/file") == str(tmp_path / "out/deeper/a/b/file")
        assert Path(store.location("a/b/file")).read_bytes() == b"x"

    def test_with_a_tilde_begin_at_home(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))

        assert open_store("~/out").location("x") == str(tmp_path / "out/x")

    def test_on_this_host_may_say_so(self, tmp_path):
        assert open_store(f"file://localhost{tmp_path}/out").location("x") == f"file://{tmp_path}/out/x"

    def test_may_be_the_root(self):
        assert open_store("/").location("a/x") == "/a/x"
        assert open_store("file:///").location("a/x") == "file:///a/x"

    @pytest.mark.parametrize(
        ("path", "text"),
        [
            ("file://host/out", "three slashes"),
            ("file:out", "three slashes"),
            ("file://out", "three slashes"),
            ("file:///a\0b", "is not the URL of a local file"),
            ("a\0b", "is not the path of a directory"),
            ("~no-such-user-here/out", "is not the path of a directory"),
            ("ftp://host/out", "ftp://, which this Airflow does not know"),
            ("gs://bucket/out", r"airflow-provider-synthflow\[gcs\]"),
            ("abfss://container/out", r"airflow-provider-synthflow\[azure\]"),
            ("s3:///out", "has no bucket"),
        ],
    )
    def test_that_name_no_local_place_are_errors(self, path, text):
        with pytest.raises(SynthflowConfigError, match=text):
            open_store(path)

    @pytest.mark.parametrize("path", ["file:out", "a\0b", "s3:///out", "ftp://host/out"])
    def test_are_named_as_the_parameter_is_that_holds_them(self, path):
        with pytest.raises(SynthflowConfigError, match=r"^resume_path"):
            open_store(path, name="resume_path")

    def test_are_named_so_by_what_is_done_with_them_later(self, tmp_path):
        (tmp_path / "file").write_bytes(b"no directory")

        with pytest.raises(SynthflowConfigError, match=r"^resume_path .*/file cannot be written"):
            publish(open_store(str(tmp_path / "file"), name="resume_path"), b"x")

    def test_need_no_connection(self, tmp_path):
        with pytest.raises(SynthflowConfigError, match="needs no connection"):
            open_store(str(tmp_path), "aws_default")
