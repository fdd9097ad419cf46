# SPDX-License-Identifier: Apache-2.0
"""The site of the documents is built without a warning, and needs nothing from elsewhere to be built or read."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.documents import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytest.importorskip("mkdocs", reason="the site is built where the project is developed, not where a wheel is tried")

LOADING = {
    "script": "src",
    "img": "src",
    "iframe": "src",
    "source": "src",
    "video": "src",
    "audio": "src",
    "embed": "src",
}


class Loads(HTMLParser):
    """Collect the addresses that a page loads by itself, and those that it links to."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "link":
            self.loaded.append(given.get("href", ""))
        elif tag == "a":
            self.linked.append(given.get("href", ""))
        elif tag in LOADING:
            self.loaded.append(given.get("src") or "")


def build(folder: Path, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Build the site with an environment in which no proxy and no network is of use."""
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "true", "HTTPS_PROXY": "http://127.0.0.1:9", "NO_COLOR": "1"}
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(folder), "--config-file", str(root / "mkdocs.yml")],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = build(folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    return [path for path in site.rglob("*.html") if path.name != "404.html"]


def test_files_that_a_page_includes_are_shown(site):
    shown = {path.name: re.sub("<[^>]+>", "", path.read_text(encoding="utf-8")) for path in pages(site)}

    assert "def create_views(" in shown["tables.html"]
    assert not [name for name, text in shown.items() if re.search(r"--8\s*&lt;", text)]


def test_every_document_is_a_page(site):
    documents = {path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")}

    assert {path.relative_to(site) for path in pages(site)} == documents


def test_every_document_is_in_the_navigation_once():
    _, _, navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")
    named = re.findall(r"- (\S+\.md)$", navigation, re.MULTILINE)

    assert sorted(named) == sorted(str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md"))


def test_the_examples_are_on_their_page(site):
    text = re.sub("<[^>]+>", "", (site / "howto" / "examples.html").read_text(encoding="utf-8"))

    for example in (ROOT / "example_dags").glob("*.py"):
        assert f'dag_id="{example.stem}"' in html.unescape(text)


def test_no_page_loads_anything_from_elsewhere(site):
    for page in pages(site):
        loads = Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert loads.loaded
        for address in loads.loaded:
            assert not re.match(r"(https?:)?//", address), f"{page.name} loads {address}"
            assert (page.parent / address).exists(), f"{page.name} loads {address}, which is not there"
        assert 'class="mermaid"' not in page.read_text(encoding="utf-8"), "the theme loads that from elsewhere"


def test_no_style_loads_anything_from_elsewhere(site):
    for style in site.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"""url\(["']?(https?:)?//""", text), style.name
        assert "@import" not in text, style.name


def test_the_search_needs_no_server(site):
    text = (site / "search" / "search_index.js").read_text(encoding="utf-8")
    index = json.loads(text.removeprefix("var __index = "))

    assert {entry["location"].partition("#")[0] for entry in index["docs"]} >= {"tutorial.html", "security.html"}
    for page in pages(site):
        assert "iframe-worker.js" in page.read_text(encoding="utf-8")


@pytest.fixture
def copy(tmp_path):
    for name in ("docs", "example_dags"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    return tmp_path


def test_what_leads_nowhere_and_what_nothing_leads_to_fails_the_build(copy):
    (copy / "docs" / "forgotten.md").write_text("# In no navigation\n", encoding="utf-8")
    with (copy / "docs" / "index.md").open("a", encoding="utf-8") as file:
        file.write("\n[1](nowhere.md) [2](tutorial.md#no-such-place) [3](../README.md) [4](/tutorial.md)\n")

    done = build(copy / "site", copy)

    assert done.returncode != 0
    told = done.stderr.partition("WARNING")[2]
    assert [
        each for each in ("forgotten", "nowhere", "no-such-place", "../README", "/tutorial.md") if each not in told
    ] == []


def test_an_example_that_is_not_there_fails_the_build(copy):
    (copy / "example_dags" / "synthflow_all_agents.py").unlink()

    done = build(copy / "site", copy)

    assert done.returncode != 0
    assert "synthflow_all_agents.py" in done.stderr
