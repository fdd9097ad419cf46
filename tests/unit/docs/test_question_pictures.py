# SPDX-License-Identifier: Apache-2.0
"""The pictures of docs/howto/questions.md are those of the statements' results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.demo.pictures import PICTURES, draw_all

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")


def test_each_statement_has_a_picture_of_its_own():
    shown = re.findall(r"^```sql\n.*?^```\n\n!\[.+?\]\(../images/questions/(.+?)\)$", TEXT, re.MULTILINE | re.DOTALL)

    assert len(shown) == TEXT.count("```sql") == 12
    assert sorted(shown) == sorted(path.name for path in PICTURES.iterdir())


@pytest.mark.long
def test_the_pictures_are_drawn_the_same_today():
    assert {path.name: path.read_text(encoding="utf-8") for path in PICTURES.iterdir()} == draw_all()
