# SPDX-License-Identifier: Apache-2.0
"""The sdist and the wheel hold what a user needs and nothing else, and are the same bytes whoever builds them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from airflow_provider_synthflow import __version__

if TYPE_CHECKING:
    from email.message import EmailMessage

ROOT = Path(__file__).resolve().parents[2]
NAME = "airflow_provider_synthflow"
STEM = f"{NAME}-{__version__}"
SOURCES = (
    NAME, "example_dags", "pyproject.toml", "hatch_build.py", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore",
)  # fmt: skip
JUNK = (
    f"{NAME}/__pycache__/walk.cpython-311.pyc",
    f"{NAME}/client/__pycache__/pace.cpython-311.pyc",
    "example_dags/__pycache__/synthflow_all_agents.cpython-311.pyc",
    ".cache/airflow/airflow.db",
    ".venv/bin/python",
    "dist/old.whl",
    "docs/guarantees.md",
    "tests/unit/pagination/test_walk.py",
    "requirements/dev.txt",
    ".ci/run",
    "Makefile",
)
"""What lies about in a folder in which somebody works."""


def run(*command: str, cwd: Path = ROOT, umask: int = -1, **env: str) -> str:
    own = ("SOURCE_DATE_EPOCH", "PROJECT_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)} | env
    done = subprocess.run(  # noqa: S603 - our own program
        command, cwd=cwd, env=environment, umask=umask, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tracked(*paths: str) -> list[str]:
    return [name for name in run("git", "ls-files", "-z", "--", *paths).split("\0") if name and (ROOT / name).exists()]


def build(source: Path, junk: tuple[str, ...], **how: object) -> dict[str, Path]:
    """Copy what git knows of, add junk, build the sdist, and the wheel out of it; return both by their kind."""
    for name in tracked(*SOURCES):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    for name in junk:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"junk")
    out = source / "dist-of-test"
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source), cwd=source, **how)
    return {path.suffix: path for path in out.iterdir()}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("a"), JUNK)


@pytest.fixture(scope="module")
def wheel(built) -> dict[str, bytes]:
    with zipfile.ZipFile(built[".whl"]) as file:
        return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope="module")
def metadata(wheel) -> EmailMessage:
    return HeaderParser().parsestr(wheel[f"{STEM}.dist-info/METADATA"].decode())


def test_two_builds_give_the_same_bytes_whatever_the_folder_the_time_zone_and_the_rights(built, tmp_path):
    again = build(tmp_path, (), umask=0o077, TZ="Pacific/Auckland", PYTHONHASHSEED="7")

    digests = [{kind: hashlib.sha256(path.read_bytes()).hexdigest() for kind, path in each.items()}
               for each in (built, again)]  # fmt: skip
    assert digests[0].keys() == {".gz", ".whl"}
    assert digests[0] == digests[1]


def test_the_wheel_holds_the_package_and_its_examples_and_nothing_else(wheel):
    description = {f"{STEM}.dist-info/{name}"
                   for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")}  # fmt: skip
    examples = {f"{NAME}/{name}" for name in tracked("example_dags")}

    assert wheel.keys() == {*tracked(NAME), *examples, *description}
    assert f"{NAME}/py.typed" in wheel
    assert len(examples) >= 5


def test_every_file_of_the_wheel_is_the_one_of_the_repository(wheel):
    for name, content in wheel.items():
        if not name.startswith(f"{STEM}.dist-info/"):
            path = ROOT / (name if "/example_dags/" not in name else name.removeprefix(f"{NAME}/"))
            assert content == path.read_bytes(), name
    assert wheel[f"{STEM}.dist-info/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()


def test_the_sdist_holds_what_the_wheel_is_built_from_and_nothing_else(built):
    with tarfile.open(built[".gz"]) as file:
        names = {member.name.removeprefix(f"{STEM}/") for member in file.getmembers()}
        owners = {(member.uid, member.gid, member.uname, member.gname) for member in file.getmembers()}

    assert names == {*tracked(*SOURCES), "PKG-INFO"}
    assert owners == {(0, 0, "", "")}


def test_the_registries_accept_the_description_without_a_warning(built):
    told = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, built.values()))

    assert told.count("PASSED") == 2


def test_the_metadata_say_what_the_contract_says(metadata):
    assert metadata["Name"] == "airflow-provider-synthflow"
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == "<3.15,>=3.10"
    assert set(metadata.get_all("Provides-Extra")) == {"azure", "gcs", "openlineage", "parquet", "s3", "zstd"}
    required = {re.split(r"[^\w-]", each)[0] for each in metadata.get_all("Requires-Dist") if "extra ==" not in each}
    assert required == {
        "apache-airflow", "apache-airflow-providers-common-compat", "requests", "pendulum", "msgspec", "tenacity",
        "httpx",
        "isal",  # gzip at the speed of the wire; the same on every worker, so that a window's bytes are the same, too
    }  # fmt: skip
    assert "Framework :: Apache Airflow :: Provider" in metadata.get_all("Classifier")


def test_every_requirement_has_a_lower_bound_and_none_an_upper_one(metadata):
    bounds = [each.split(";")[0].strip() for each in metadata.get_all("Requires-Dist")]

    assert [each for each in bounds if not re.fullmatch(r"[\w.-]+(\[\w+\])?>=[\d.]+", each)] == []


def test_the_entry_points_are_those_that_airflow_looks_for(wheel):
    assert wheel[f"{STEM}.dist-info/entry_points.txt"].decode().split() == [
        "[airflow.plugins]", "synthflow", "=", f"{NAME}.plugins.coverage:SynthflowPlugin",
        "[apache_airflow_provider]", "provider_info", "=", f"{NAME}.get_provider_info:get_provider_info",
    ]  # fmt: skip


def test_the_version_stands_in_one_file_only():
    pattern = re.compile(rf"(?<![\d.=]){re.escape(__version__)}(?![\d.])")
    found = [
        name
        for name in tracked(NAME, "example_dags", "pyproject.toml", "Makefile", ".ci", "README.md")
        if pattern.search((ROOT / name).read_text(encoding="utf-8"))
    ]

    assert found == [f"{NAME}/__init__.py"]


ADDRESS = "https://forge.example/owner/name"


@pytest.fixture(scope="module")
def released(tmp_path_factory) -> dict[str, Path]:
    return build(tmp_path_factory.mktemp("r"), (), PROJECT_REPOSITORY=f"{ADDRESS}/", PROJECT_RELEASE="1")


class TestRepositoryAddress:
    """The repository's address stands in one variable of the build, ``PROJECT_REPOSITORY``."""

    def metadata_of(self, wheel: Path) -> EmailMessage:
        with zipfile.ZipFile(wheel) as file:
            return HeaderParser().parsestr(file.read(f"{STEM}.dist-info/METADATA").decode())

    def test_gives_the_project_s_addresses(self, released):
        urls = dict(each.split(", ") for each in self.metadata_of(released[".whl"]).get_all("Project-URL"))

        assert urls["Source"] == ADDRESS
        assert {name for name, url in urls.items() if url.startswith(f"{ADDRESS}/")} == {
            "Changelog", "Documentation", "Issues",
        }  # fmt: skip

    def test_makes_each_link_of_the_readme_lead_to_a_file_of_the_version(self, released):
        text = self.metadata_of(released[".whl"]).get_payload()
        targets = re.findall(r"\]\(([^)\s]+)\)", text)
        there = [url for url in targets if url.startswith(ADDRESS)]

        assert [url for url in targets if not url.startswith(("https://", "#"))] == []
        assert len(there) > 10
        for url in there:
            kind, version, path = url.removeprefix(f"{ADDRESS}/").split("/", 2)
            assert kind in {"blob", "raw"}
            assert version == f"v{__version__}"
            assert (ROOT / path.partition("#")[0]).exists(), path

    def test_stays_when_a_wheel_is_built_from_the_sdist_without_the_variable(self, released, tmp_path):
        with tarfile.open(released[".gz"]) as file:
            file.extractall(tmp_path, filter="data")
        run(
            sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(tmp_path / STEM),
            cwd=tmp_path,
        )  # fmt: skip
        (wheel,) = tmp_path.glob("*.whl")

        assert wheel.read_bytes() == released[".whl"].read_bytes()

    @pytest.mark.parametrize(
        ("environment", "said"),
        [
            ({"PROJECT_RELEASE": "1"}, "A release needs PROJECT_REPOSITORY"),
            ({"PROJECT_REPOSITORY": "github.com/owner/name"}, "PROJECT_REPOSITORY must be an address"),
            ({"PROJECT_REPOSITORY": "https://github.com/owner"}, "PROJECT_REPOSITORY must be an address"),
        ],
    )
    def test_is_demanded_of_a_release_and_refused_where_it_is_none(self, tmp_path, environment, said):
        with pytest.raises(AssertionError, match=said):
            build(tmp_path, (), **environment)

    def test_is_no_part_of_a_build_without_the_variable(self, metadata):
        assert metadata.get_all("Project-URL") == ["Synthflow API, https://docs.synthflow.ai/"]
        assert "](docs/tutorial.md)" in metadata.get_payload()
