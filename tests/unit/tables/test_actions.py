# SPDX-License-Identifier: Apache-2.0
"""An executed action is a row: JSON in its strings is opened, and what no column takes is in `_raw`."""

from __future__ import annotations

import json

import pytest

from tests.unit.tables.making import rows_of_field


def only(value):
    (row,) = rows_of_field("actions", value)
    return row


def test_actions_are_rows_in_their_order_with_their_keys():
    rows = rows_of_field(
        "actions", {"extract_info_b": {"name": "b"}, "info_extractor_a": {"name": "a"}, "other": {"name": None}}
    )

    assert [(row["position"], row["key"], row["name"], row["_raw"]) for row in rows] == [
        (0, "extract_info_b", "b", None),
        (1, "info_extractor_a", "a", None),
        (2, "other", None, None),
    ]


@pytest.mark.parametrize("column", ["parameters", "return_value"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        (' [1, "[2]"] ', [1, [2]]),
        (json.dumps({"a": json.dumps({"b": json.dumps([1])})}), {"a": {"b": [1]}}),
        (json.dumps(json.dumps({"a": 1})), {"a": 1}),
        ({"a": '{"b": "{\\"c\\": true}"}', '{"name": 1}': 2}, {"a": {"b": {"c": True}}, '{"name": 1}': 2}),
        ("42", "42"),
        ("true", "true"),
        ("null", "null"),
        ('"quoted"', '"quoted"'),
        ("{'python': 1}", "{'python': 1}"),
        ('{"a": NaN}', '{"a": NaN}'),
        ("{not json", "{not json"),
        ("", ""),
        (42, 42),
        (False, False),
        ([], []),
        ({"a": "x{", "b": "[", "c": " {", "d": '"'}, {"a": "x{", "b": "[", "c": " {", "d": '"'}),
        ('{"a": "\\ud800"}', {"a": "\ufffd"}),
        ("[" * 3000 + "]" * 3000, "[" * 3000 + "]" * 3000),
    ],
)
def test_a_string_that_holds_an_object_or_an_array_is_opened_as_deep_as_it_goes(column, value, expected):
    row = only({"key": {column: value}})

    assert json.loads(row[column]) == expected
    assert row["_raw"] is None


def test_strings_that_hold_one_another_deeper_than_functions_may_call_are_opened_too():
    text, levels = "[1]", 350
    for _ in range(levels):
        text = '["{}"]'.format(text.replace("\\", r"\u005c").replace('"', r"\u0022"))

    row = only({"k": {"return_value": text}})

    assert row["return_value"] == "[" * levels + "[1]" + "]" * levels


def test_numbers_and_names_in_opened_strings_stay_as_they_were_written():
    row = only({"k": {"return_value": '{"a": 1.10, "a": 12345678901234567890123, "b": 1e999}'}})

    assert row["return_value"] == '{"a": 1.10, "a": 12345678901234567890123, "b": 1e999}'


def test_the_parameters_that_the_api_parts_are_one_object():
    row = only(
        {"k": {"name": "n", "parameters_hard_coded": '{"id": "x"}', "parameters_from_llm": "{}", "status": "ok"}}
    )

    assert json.loads(row["parameters"]) == {"parameters_hard_coded": {"id": "x"}, "parameters_from_llm": {}}
    assert json.loads(row["_raw"]) == {"status": "ok"}


@pytest.mark.parametrize(
    ("actions", "key", "raw"),
    [
        ({"k": "text"}, "k", "text"),
        ({"k": [1]}, "k", [1]),
        ({"k": None}, "k", None),
        (["list"], None, ["list"]),
        ("text", None, "text"),
        (0, None, 0),
    ],
)
def test_what_is_no_action_stands_in_raw(actions, key, raw):
    row = only(actions)

    assert (row["position"], row["key"], row["name"], row["return_value"]) == (0, key, None, None)
    assert json.loads(row["_raw"]) == raw


def test_a_name_that_is_no_text_is_there_as_text_and_as_received():
    row = only({"k": {"name": 7}})

    assert (row["name"], json.loads(row["_raw"])) == ("7", {"name": 7})


@pytest.mark.parametrize("actions", [None, {}])
def test_no_actions_are_no_rows(actions):
    assert rows_of_field("actions", actions) == []
