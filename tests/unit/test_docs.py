# SPDX-License-Identifier: Apache-2.0
"""The documents say what the code does, and their links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_synthflow import __version__, exceptions
from tests.reference import REFERENCE, reference

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]
LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")


def test_the_reference_is_what_the_docstrings_say():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run `make reference`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document):
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_error_has_its_cure_in_the_documents():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)`", text, re.MULTILINE))

    assert named == set(exceptions.__all__) - {"SynthflowError"}


def test_every_verb_in_the_documents_is_one_of_the_makefile():
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in DOCUMENTS:
        used = set(re.findall(r"`make ([a-z]+)|^make ([a-z]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert {one or other for one, other in used} <= verbs, document.name


def test_every_example_dag_that_the_documents_name_is_there():
    for document in DOCUMENTS:
        for name in re.findall(
            r"\bsynthflow_(?:daily|hourly|sensor|all|reread|report|pool)\w*", document.read_text(encoding="utf-8")
        ):
            assert (ROOT / "example_dags" / f"{name}.py").exists(), f"{document.name} names {name}"


def test_the_changelog_has_a_place_for_what_is_to_come():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "## [Unreleased]" in text or f"## [{__version__}]" in text


def test_the_readme_keeps_to_two_screens():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 110
