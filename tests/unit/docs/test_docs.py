# SPDX-License-Identifier: Apache-2.0
"""The documents say what the code does, and what they show can be tried as it stands there."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from airflow.configuration import conf
from airflow.providers_manager import ProvidersManager

import airflow_provider_synthflow
from airflow_provider_synthflow import __version__, exceptions
from airflow_provider_synthflow.observability import metrics
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from dev.reference import REFERENCE, reference
from tests.documents import DAGS, DOCUMENTS, ROOT, SHOWN, TUTORIAL, dag_id_of
from tests.versions import AIRFLOW

try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # before Airflow 3.2
    from airflow.models.dagbag import DagBag

LINK = re.compile(r"\]\((?!https?://)([^)#\s]+)")
LANGUAGES = {"python", "sh", "sql", "json", "ini", "text", "console", "dockerfile"}
"""Python, sh and sql are run, json is used, ini is looked up; text is printed, or for another program; console is for
another Airflow than the newest."""
EXTRA = re.compile(r"airflow-provider-synthflow\[([a-z0-9,]+)\]")


def ids(block):
    return str(block)


def test_the_reference_is_what_the_docstrings_say():
    assert REFERENCE.read_text(encoding="utf-8") == reference(), "run `make reference`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document):
    for target in LINK.findall(document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_error_has_its_cure_in_the_documents():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    named = re.findall(r'^\| <a id="(\w+)"></a>`(\w+)`', text, re.MULTILINE)

    assert {name for _, name in named} == set(exceptions.__all__) - {"SynthflowError"}
    assert all(anchor == name.lower() for anchor, name in named)


def test_every_verb_in_the_documents_is_one_of_the_makefile():
    verbs = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.compile(r"`make ([a-z0-9-]+)|^make ([a-z0-9-]+)(?=$| [A-Z]+=)", re.MULTILINE)
    for document in DOCUMENTS:
        used = set(named.findall(document.read_text(encoding="utf-8")))
        assert {one or other for one, other in used} <= verbs, document.name


def test_every_example_dag_is_in_the_documents_and_every_one_named_is_there():
    others = {"calls", "conn_id", "default", "hashed", "new_calls", "server"}  # assets, connections, a parameter
    there = {path.stem for path in (ROOT / "example_dags").glob("*.py")}
    named = set()
    for document in DOCUMENTS:
        named |= set(re.findall(r"\bsynthflow_\w+", document.read_text(encoding="utf-8")))

    assert named - {f"synthflow_{name}" for name in others} == there


def test_every_metric_is_in_the_documents_and_every_one_named_is_sent():
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(synthflow\.\w+)`", text, re.MULTILINE))

    assert named == {
        *metrics.COUNTERS.values(),
        metrics.DURATION,
        metrics.FAILURES,
        metrics.RECORDINGS_DURATION,
    }


def test_every_line_of_a_log_in_the_documents_is_one_that_the_package_writes():
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8").partition("## Metrics")[0]
    package = Path(airflow_provider_synthflow.__file__).parent  # in the matrix it is not beside the tests
    source = " ".join(path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
    lines = re.findall(r"^\| `([^`]*)` \|", text, re.MULTILINE)

    assert len(lines) > 5
    for line in lines:
        pieces = [piece.strip(" :.,") for piece in re.split(r"…|, when |[\d.]*\d", line)]
        assert any(len(piece) > 5 for piece in pieces), line
        for piece in pieces:
            assert piece in source, line


def test_every_link_of_a_task_is_in_the_documents():
    text = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")

    for link in SynthflowListCallsOperator.operator_extra_links:
        assert f"**{link.name}**" in text


def test_the_changelog_has_a_place_for_what_is_to_come():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")

    assert "## [Unreleased]" in text or f"## [{__version__}]" in text


class TestTheReadme:
    README = ROOT / "README.md"

    def test_keeps_to_two_screens(self):
        assert len(self.README.read_text(encoding="utf-8").splitlines()) <= 110

    def test_has_a_dag_of_about_ten_lines(self):
        (dag,) = [block for block in DAGS if block.document == self.README]

        assert len(dag.text.splitlines()) <= 12

    def test_leads_to_the_documents(self):
        text = self.README.read_text(encoding="utf-8")

        for name in ("tutorial", "guarantees", "windows", "errors", "security", "observability", "reference"):
            assert f"](docs/{name}.md" in text


class TestBlocks:
    @pytest.mark.parametrize("block", SHOWN, ids=ids)
    def test_say_what_they_are(self, block):
        assert block.language in LANGUAGES

    @pytest.mark.parametrize("block", [block for block in SHOWN if block.language == "python"], ids=ids)
    def test_of_python_are_python(self, block):
        compile(block.text.replace("--8<--", "#"), str(block), "exec")

    def test_of_dags_have_names_of_their_own(self):
        names = [dag_id_of(block) for block in DAGS]

        assert len(names) == len(set(names)) > 5

    def test_of_dags_parse_without_a_database(self, tmp_path):
        blocks = [block for block in DAGS if AIRFLOW >= (3, 0) or "AssetWatcher" not in block.text]
        for block in blocks:
            (tmp_path / f"{dag_id_of(block)}.py").write_text(block.text, encoding="utf-8")

        bag = DagBag(str(tmp_path))

        assert bag.import_errors == {}
        assert set(bag.dags) == {dag_id_of(block) for block in blocks}

    @pytest.mark.parametrize("block", [block for block in SHOWN if block.language == "ini"], ids=ids)
    def test_of_settings_have_settings_of_airflow(self, block):
        settings = configparser.ConfigParser()
        settings.read_string(block.text)

        if settings.has_section("openlineage"):
            pytest.importorskip("airflow.providers.openlineage", reason="its settings are its provider's")
        ProvidersManager().initialize_providers_configuration()  # Airflow before 3.2 knows only its own
        for section in settings.sections():
            for option in settings.options(section):
                assert conf.has_option(section, option)

    def test_of_commands_install_extras_that_there_are(self):
        project = (
            (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("[project.optional-dependencies]\n")[2]
        )
        extras = set(re.findall(r"^(\w+) = ", project.partition("\n\n")[0], re.MULTILINE))
        named = {name for block in SHOWN for group in EXTRA.findall(block.text) for name in group.split(",")}

        assert named
        assert named <= extras


def test_the_tutorial_is_one_way_from_begin_to_end():
    text = TUTORIAL.read_text(encoding="utf-8")
    steps = [int(number) for number in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)]

    assert steps == list(range(1, len(steps) + 1))
