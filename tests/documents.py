# SPDX-License-Identifier: Apache-2.0
"""What stands in the documents: their fenced blocks, in order, and the tables that are written into them."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "DAGS",
    "DOCUMENTS",
    "ON_ENGINES",
    "PROGRAMS",
    "ROOT",
    "SHOWN",
    "TRIED_ELSEWHERE",
    "TUTORIAL",
    "Block",
    "blocks_of",
    "dag_id_of",
    "put_between",
]

ROOT = Path(__file__).resolve().parents[1]
TUTORIAL = ROOT / "docs" / "tutorial.md"
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("**/*.md"))]

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\S*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """
    Hold a fenced block.

    :param document: the file
    :param line: the line of its fence, from 1
    :param language: what the fence names
    :param text: what is in it
    """

    document: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks_of(document: Path, language: str | None = None) -> list[Block]:
    """
    Return the fenced blocks of a document, in order.

    :param document: a Markdown file
    :param language: only those of this language
    """
    text = document.read_text(encoding="utf-8")
    found = [
        Block(document, text.count("\n", 0, match.start()) + 1, match["language"], textwrap.dedent(match["text"]))
        for match in _FENCE.finditer(text)
    ]
    return [block for block in found if language in {None, block.language}]


def dag_id_of(block: Block) -> str:
    """
    Return the id of the one DAG in a block.

    :param block: a block of Python
    """
    (dag_id,) = re.findall(r'DAG\(\s*"(\w+)"', block.text)
    return str(dag_id)


TRIED_ELSEWHERE = {ROOT / "docs" / "formats.md", ROOT / "docs" / "stores.md"}
"""Their blocks lean on each other, and have tests of their own: test_formats_document.py, test_stores_document.py."""
ON_ENGINES = ROOT / "docs" / "tables.md"
"""Its programs are for engines with an environment of their own: tests/integration/engines.py."""
SHOWN = [block for document in DOCUMENTS for block in blocks_of(document)]
PYTHON = [block for block in SHOWN if block.language == "python" and block.document not in TRIED_ELSEWHERE]
DAGS = [block for block in PYTHON if "DAG(" in block.text]
PROGRAMS = [
    block
    for block in PYTHON
    if block not in DAGS
    and block.document != ON_ENGINES
    and "--8<--" not in block.text
    and block.document in {each.document for each in DAGS}
]
"""What reads the files of the DAG before it in the same document."""


def put_between(document: Path, name: str, text: str) -> None:
    """
    Put a text between the marks ``<!-- name: begin -->`` and ``<!-- name: end -->``, in place of what is there.

    :param document: the document
    :param name: the marks' name
    :param text: the text, which ends with its line
    """
    between = re.compile(rf"(?<=<!-- {name}: begin -->\n).*(?=<!-- {name}: end -->)", re.DOTALL)
    document.write_text(between.sub(lambda _: text, document.read_text(encoding="utf-8")), encoding="utf-8")
