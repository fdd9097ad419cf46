# SPDX-License-Identifier: Apache-2.0
"""What docs/compatibility.md says is what the matrix runs, and what the pins and the package's bounds hold."""

from __future__ import annotations

import re

import pytest

from dev.matrix.versions import ROOT, VERSIONS

DOCUMENT = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
LACKS = re.compile(r'needs_airflow\(\s*"(\d+\.\d+)",\s*"([^"]+)"')
REQUIREMENT = re.compile(r'^  "([\w.-]+)>=([\d.]+)",$', re.MULTILINE)


def pins_of(version):
    lines = version.pins.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ;")[0].split("==") for line in lines if "==" in line)


def test_the_table_names_each_version_with_the_airflow_of_its_pins_and_its_python():
    rows = re.findall(r"^\| (\d[\d.b]+) \| (\d\.\d+)\.\d+ \| [\d,]+ \| \d+ \| 0 \|$", DOCUMENT, re.MULTILINE)
    partly = re.findall(r"^Airflow (\S+) on Python (\d\.\d+) has run in part", DOCUMENT, re.MULTILINE)

    assert len(rows) > len(partly)
    assert rows + partly == [(pins_of(each)["apache-airflow"], each.python) for each in VERSIONS]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.minor)
def test_what_an_airflow_is_said_to_need_is_what_its_pins_hold(version):
    wanted = dict(
        re.findall(r"^([\w.-]+)(?:\[[\w-]+\])?==(\S+)$", version.wanted.read_text(encoding="utf-8"), re.MULTILINE)
    )

    assert wanted.items() <= pins_of(version).items()
    for line in DOCUMENT.splitlines():
        if line.startswith(f"| {wanted['apache-airflow']} |"):
            assert dict(re.findall(r"`([\w-]+)==([\d.]+)`", line)).items() <= wanted.items()


def test_the_oldest_airflow_is_tested_with_the_oldest_libraries_that_the_package_allows():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = dict(REQUIREMENT.findall(text[text.index("dependencies = [") : text.index("[project.optional")]))
    airflow = required.pop("apache-airflow")

    assert len(required) == 7
    assert required.items() <= pins_of(VERSIONS[0]).items()
    assert pins_of(VERSIONS[0])["apache-airflow"].startswith(airflow.rpartition(".")[0])


def test_whatever_a_test_is_skipped_for_on_an_older_airflow_is_in_the_document():
    used = {
        found for path in (ROOT / "tests").rglob("*.py") for found in LACKS.findall(path.read_text(encoding="utf-8"))
    }

    assert used
    assert {(minor, what) for minor, what in used if f"| Airflow {minor} | {what} |" not in DOCUMENT} == set()
