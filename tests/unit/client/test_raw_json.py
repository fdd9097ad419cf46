# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.client.raw_json import check_utf8, decode_json, split_elements, split_members

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
    assert split_elements(body) == elements


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
    assert split_members(body) == members


@pytest.mark.parametrize("body", [b"{}", b"1", b"null", b"", b"[1,", b"[1]]", b"[NaN]", b"[" + HALF, b"\xff"])
def test_what_is_no_array_is_an_error(body):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever decoder
        split_elements(body)


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b"", b'{"a":', b'{"a":-Infinity}', b"[" + HALF + b"]", b"\xff"])
def test_what_is_no_object_is_an_error(body):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever decoder
        split_members(body)


@pytest.mark.parametrize("body", [b"NaN", b"[Infinity]", b'{"a":-Infinity}', b"\xff", b"[" * 100_000 + b"]" * 100_000])
def test_what_is_no_json_is_refused_also_where_python_takes_it_for_json(body):
    with pytest.raises(ValueError):  # noqa: PT011 - of whichever decoder
        decode_json(body)


texts = st.text(st.characters(exclude_categories=())) | st.sampled_from(["\ud83d", "]", "},{", '"', "\\"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.lists(values), st.sampled_from([None, 1, "\t"]))
def test_the_parts_of_any_array_are_its_elements(value, indent):
    parts = split_elements(json.dumps(value, indent=indent).encode())
    assert [json.loads(part) for part in parts] == value


@settings(deadline=None)
@given(st.dictionaries(texts, values), st.sampled_from([None, 1, "\t"]))
def test_the_parts_of_any_object_are_its_members(value, indent):
    parts = split_members(json.dumps(value, indent=indent).encode())
    assert {name: json.loads(part) for name, part in parts.items()} == value


PIECE = 8 * 1024


@pytest.mark.parametrize("character", ["é", "…", "👍"])
@pytest.mark.parametrize("before", range(PIECE - 4, PIECE + 1))
def test_a_character_may_lie_on_the_seam_of_two_pieces(character, before):
    check_utf8(b"x" * before + character.encode() + b"x" * PIECE)


@given(
    before=st.integers(PIECE - 5, PIECE + 1),
    bad=st.sampled_from([b"\xff", b"\x80", b"\xc3(", b"\xe2\x82(", b"\xed\xa0\x80", b"\xf0\x9f\x91(", b"\xc0\xaf"]),
    after=st.sampled_from([b"", b"x", b"\x80", "é".encode() * PIECE]),
)
def test_what_is_no_utf8_is_refused_wherever_it_lies(before, bad, after):
    with pytest.raises(UnicodeDecodeError):
        check_utf8(b"x" * before + bad + after)


@given(whole=st.text(min_size=1, max_size=3), cut=st.integers(1, 3), before=st.integers(0, 3))
def test_a_character_that_is_cut_off_at_the_end_is_refused_as_a_decoder_does(whole, cut, before):
    body = b"x" * (PIECE - before) + whole.encode()[:-cut]
    try:
        body.decode()
    except UnicodeDecodeError:
        with pytest.raises(UnicodeDecodeError):
            check_utf8(body)
    else:
        check_utf8(body)
