# SPDX-License-Identifier: Apache-2.0
"""The table in docs/guarantees.md is what the comparison shows, in small as well."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev.soak.cases import CASES
from dev.soak.comparison import compare, table_of

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parents[2] / "docs" / "guarantees.md"
GUARDS = HERE.parents[2] / "dev" / "soak" / "README.md"
CALLS, DAYS = 1_200, 4


def rows_of(text: str) -> dict[str, list[str]]:
    """Return the cells of the table of the comparison, by the first of each row."""
    lines = text[text.index("| What the server does") :].split("\n\n", maxsplit=1)[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in rows}


WRITTEN = rows_of(DOCUMENT.read_text(encoding="utf-8"))


def is_harm(cell: str) -> bool:
    return cell not in {"0", "-"}


def test_the_table_has_the_cases_of_the_comparison_in_their_order():
    assert list(WRITTEN) == [case.name for case in CASES]
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_document_names_the_command_that_prints_it():
    assert "python -m dev.soak.comparison" in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", WRITTEN)
def test_the_table_says_that_the_provider_loses_and_doubles_nothing(name):
    assert WRITTEN[name][3:5] == ["0", "0"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_provider_loses_and_doubles_nothing_where_a_loop_does(case):
    (found,) = compare([case], count=CALLS, days=DAYS)
    (cells,) = rows_of(table_of([found])).values()

    assert (found.ours.lost, found.ours.doubled) == (0, 0)
    assert [is_harm(cell) for cell in cells[:3]] == [is_harm(cell) for cell in WRITTEN[case.name][:3]]
    if not is_harm(WRITTEN[case.name][5]):
        assert found.ours.failed == 0


def test_equal_seeds_give_equal_numbers():
    one, other = (table_of(list(compare(CASES[6:8], count=CALLS, days=DAYS, seed=3))) for _ in range(2))

    assert one == other


def test_every_test_that_is_said_to_hold_a_guard_is_there():
    named = re.findall(r"\| `([\w/]+\.py)::(?:(Test\w+)::)?(test_\w+)` \|", GUARDS.read_text(encoding="utf-8"))

    assert len(named) > 80
    for file, group, name in named:
        text = (HERE.parent / file).read_text(encoding="utf-8")
        assert f"def {name}(" in text, f"{file} has no {name}"
        assert not group or f"class {group}" in text
