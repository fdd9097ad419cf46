# SPDX-License-Identifier: Apache-2.0
"""A judge's result is a row, and one that is no text is also in `_raw`."""

from __future__ import annotations

import pytest

from tests.unit.tables.making import rows_of_field


@pytest.mark.parametrize(
    ("results", "rows"),
    [
        ({"sentiment": "good", "score": "7"}, [("sentiment", "good", None), ("score", "7", None)]),
        ({"sentiment": None, "ü": ""}, [("sentiment", None, None), ("ü", "", None)]),
        ({"score": 7, "ok": True, "x": "y"}, [("score", "7", "7"), ("ok", "true", "true"), ("x", "y", None)]),
        ({"nested": {"score": 7}, "list": []}, [("nested", None, '{"score": 7}'), ("list", None, "[]")]),
        (["list"], [(None, None, '["list"]')]),
        ("text", [(None, None, '"text"')]),
        ({}, []),
        (None, []),
    ],
)
def test_each_result_is_a_row(results, rows):
    assert [(row["name"], row["value"], row["_raw"]) for row in rows_of_field("judgements", results)] == rows


def test_thirty_five_results_are_thirty_five_rows():
    results = {f"judge_{number}": str(number) for number in range(35)}

    assert {row["name"]: row["value"] for row in rows_of_field("judgements", results)} == results
