# SPDX-License-Identifier: Apache-2.0
"""A collected variable is a row in either documented shape, and what is in neither is in `_raw`."""

from __future__ import annotations

import json

import pytest

from tests.unit.tables.making import rows_of_field


def variables(collected):
    return [
        (row["agent"], row["name"], row["value"], row["value_type"], row["collected"], row["_raw"])
        for row in rows_of_field("variables", collected)
    ]


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        ("Ada", "Ada", "string"),
        ("42", "42", "string"),
        ('{"a": 1}', '{"a": 1}', "string"),
        ("", "", "string"),
        (42, "42", "number"),
        (-1.5, "-1.5", "number"),
        (True, "true", "boolean"),
        (False, "false", "boolean"),
        ({"a": 1}, '{"a": 1}', "object"),
        ([1, 2], "[1, 2]", "array"),
        (None, None, "null"),
    ],
)
@pytest.mark.parametrize("agent", [None, "agent-1"])
def test_a_value_is_there_with_its_type_in_both_shapes(value, text, kind, agent):
    variable = {"slot": {"value": value, "collected": True}}

    assert variables({agent: variable} if agent else variable) == [(agent, "slot", text, kind, True, None)]


def test_shapes_may_be_mixed_in_one_call():
    collected = {
        "a": {"x": {"value": "1", "collected": True}, "y": {"value": None, "collected": False}},
        "z": {"value": "3", "collected": None},
    }

    assert variables(collected) == [
        ("a", "x", "1", "string", True, None),
        ("a", "y", None, "null", False, None),
        (None, "z", "3", "string", None, None),
    ]


def test_variables_with_the_names_of_the_fields_are_told_from_the_fields():
    leaf = {"value": "v", "collected": True}

    assert variables({"agent": {"value": leaf, "collected": leaf}}) == [
        ("agent", "value", "v", "string", True, None),
        ("agent", "collected", "v", "string", True, None),
    ]
    assert variables({"slot": {"value": leaf, "collected": True}}) == [
        (None, "slot", json.dumps(leaf), "object", True, None)
    ]


@pytest.mark.parametrize(
    ("collected", "rows"),
    [
        ({"v": {"collected": True}}, [(None, "v", None, None, True, None)]),
        ({"v": {"value": "x", "collected": "yes"}}, [(None, "v", "x", "string", None, '{"collected":"yes"}')]),
        ({"v": {"value": "x", "description": "d"}}, [(None, "v", "x", "string", None, '{"description":"d"}')]),
        ({"v": "plain"}, [(None, "v", "plain", "string", None, '"plain"')]),
        ({"v": 5}, [(None, "v", "5", "number", None, "5")]),
        ({"v": {"other": 1}}, [(None, "v", None, None, None, '{"other": 1}')]),
        ({"a": {}}, [("a", None, None, None, None, "{}")]),
        (
            {"a": {"x": {"value": "1", "collected": True}, "y": 2}},
            [("a", "x", "1", "string", True, None), ("a", "y", "2", "number", None, "2")],
        ),
        (["list"], [(None, None, None, None, None, '["list"]')]),
        ("text", [(None, None, None, None, None, '"text"')]),
        (None, []),
        ({}, []),
    ],
)
def test_what_is_in_neither_shape_stands_in_raw(collected, rows):
    assert variables(collected) == rows
