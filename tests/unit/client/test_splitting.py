# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.client.splitting import elements_of, members_of, refuse_constant

HALF = b'"\\ud83d"'  # half of a surrogate pair: JSON allows it, msgspec does not


@pytest.mark.parametrize(
    ("body", "elements"),
    [
        (b"[]", []),
        (b"[ ]", []),
        (b' [1 , {"a": 1.10},"b]" ,null]\n', [b"1", b'{"a": 1.10}', b'"b]"', b"null"]),
        (b"[" + HALF + b"]", [HALF]),
        (b"\n[ [] ,\t" + HALF + b' ,{ "x":"]},[{" , "y":1E5 } ] ', [b"[]", HALF, b'{ "x":"]},[{" , "y":1E5 }']),
    ],
)
def test_an_array_is_parted_into_its_elements_as_they_were_written(body, elements):
    assert elements_of(body) == elements


@pytest.mark.parametrize(
    ("body", "members"),
    [
        (b"{}", {}),
        (b"{ }", {}),
        (b' {"a" : [1, 2] , "b":{"c":1.10}}', {"a": b"[1, 2]", "b": b'{"c":1.10}'}),
        (b'{"a":1,"a":2}', {"a": b"2"}),
        (b'{ "a" : ' + HALF + b' , "b" :\n{ "x" : "}" } }', {"a": HALF, "b": b'{ "x" : "}" }'}),
        (b"{" + HALF + b':1, "a":1,"a": 2}', {"\ud83d": b"1", "a": b"2"}),
    ],
)
def test_an_object_is_parted_into_its_members_as_they_were_written(body, members):
    assert members_of(body) == members


@pytest.mark.parametrize("body", [b"{}", b"1", b"null", b"", b"[1,", b"[1]]", b"[NaN]", b"[" + HALF, b"\xff"])
def test_what_is_no_array_is_an_error(body):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever decoder
        elements_of(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"", b'{"a":', b'{"a":-Infinity}', b"[" + HALF + b"]", b"\xff"])
def test_what_is_no_object_is_an_error(body):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever decoder
        members_of(body)


def test_what_python_alone_takes_for_json_is_refused():
    with pytest.raises(ValueError, match="NaN is not JSON"):
        json.loads("NaN", parse_constant=refuse_constant)


texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(["\ud83d", "]", "},{", '"', "\\"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(values), st.sampled_from([None, 1, "\t"]))
def test_the_parts_of_any_array_are_its_elements(value, indent):
    parts = elements_of(json.dumps(value, indent=indent).encode())
    assert [json.loads(part) for part in parts] == value


@settings(deadline=None)
@given(st.dictionaries(texts, values), st.sampled_from([None, 1, "\t"]))
def test_the_parts_of_any_object_are_its_members(value, indent):
    parts = members_of(json.dumps(value, indent=indent).encode())
    assert {name: json.loads(part) for name, part in parts.items()} == value
