# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.exceptions import SynthflowConfigError, SynthflowProtocolError
from airflow_provider_synthflow.extraction.privacy import Privacy

KEY = "hash-key-0123456789"
ODD = (
    b'"n":1.10,"big":123456789012345678901234567890,"exp":1E2,"huge":1e999,"t":"\\u00e9\\/\\ud83d","o":{ "a" : [ 1 ] }'
)


def digest(text, key=KEY):
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def hashed(value, key=KEY):
    record = Privacy(hash_fields=["v"], key=key).apply(json.dumps({"v": value}).encode())
    return json.loads(record)["v"]


def test_without_fields_a_record_stays_the_very_bytes_it_was():
    raw = b'{ "call_id" : "a" }'
    privacy = Privacy()
    assert not privacy
    assert privacy.apply(raw) is raw


@pytest.mark.parametrize("options", [{"drop_fields": ["name"]}, {"hash_fields": ["name"], "key": KEY}])
def test_with_fields_there_is_something_to_do(options):
    assert Privacy(**options)


def test_dropped_fields_are_gone_and_only_they():
    raw = b'{"call_id":"a","transcript":"secret","name":null,"nested":{"transcript":"stays"},"z":1}'
    record = Privacy(["transcript", "name", "not_there"]).apply(raw)
    assert record == b'{"call_id":"a","nested":{"transcript":"stays"},"z":1}'


def test_a_hash_is_the_hmac_sha256_of_a_text_in_hexadecimal():
    assert hashed("+15550100001") == digest("+15550100001")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (5, "5"),
        (1.5, "1.5"),
        (False, "false"),
        ([1, "a"], '[1,"a"]'),
        ({"b": 1, "a": {"d": 2, "c": "é"}}, '{"a":{"c":"é","d":2},"b":1}'),
        (10**29, "1" + "0" * 29),
    ],
)
def test_what_is_no_text_is_hashed_as_its_json_with_sorted_keys(value, text):
    assert hashed(value) == digest(text)


def test_the_order_of_keys_and_the_spaces_between_them_do_not_change_a_hash():
    privacy = Privacy(hash_fields=["v"], key=KEY)
    assert privacy.apply(b'{"v":{"a":1,"b":[2]}}') == privacy.apply(b'{ "v" : { "b" : [ 2 ], "a" : 1 } }')


def test_one_value_has_one_hash_in_every_field_and_record_and_another_under_another_key():
    privacy = Privacy(hash_fields=["a", "b"], key=KEY)
    record = json.loads(privacy.apply(b'{"a":"x","b":"x","c":"x"}'))
    assert record["a"] == record["b"] == hashed("x") != "x"
    assert record["c"] == "x"
    assert hashed("x", key="another") != hashed("x")
    assert hashed("y") != hashed("x")


def test_a_null_stays_null_and_an_absent_field_absent():
    assert Privacy(hash_fields=["a", "b"], key=KEY).apply(b'{"a":null}') == b'{"a":null}'


def test_an_empty_text_is_hashed():
    assert hashed("") == digest("")


@pytest.mark.parametrize("value", ["\ud83d", {"x": "\ud83d"}, ["\udc00", 1]], ids=["text", "object", "list"])
def test_half_of_a_surrogate_pair_is_hashed_like_any_other_value(value):
    found = hashed(value)
    assert len(found) == 64
    assert found == hashed(value) != hashed("x")


def test_a_value_that_is_nested_too_deeply_to_be_hashed_is_a_typed_error():
    with pytest.raises(SynthflowProtocolError, match="hash_fields"):
        Privacy(hash_fields=["x"], key="k").apply(b'{"x":%b}' % (b"[" * 300_000 + b"]" * 300_000))


def test_the_fields_that_stay_keep_their_own_bytes():
    raw = b'{"drop":1,' + ODD + b',"hash":"x"}'
    record = Privacy(["drop"], ["hash"], key=KEY).apply(raw)
    assert record == b"{" + ODD + b',"hash":"' + digest("x").encode() + b'"}'


def test_names_of_fields_stay_what_they_were():
    record = Privacy(["x"]).apply(b'{"x":1,"Gr\xc3\xbc\xc3\x9fe":2,"\\ud83d":3,"a\\"b":4}')
    assert json.loads(record) == {"Grüße": 2, "\ud83d": 3, 'a"b': 4}


def test_a_field_that_comes_twice_is_dropped_twice():
    assert Privacy(["a"]).apply(b'{"a":"secret","b":1,"a":"secret too"}') == b'{"b":1}'


def test_a_field_that_is_dropped_and_hashed_is_dropped():
    assert Privacy(["a"], ["a"], key=KEY).apply(b'{"a":1}') == b"{}"


@pytest.mark.parametrize("key", [None, ""])
def test_hashing_without_a_key_is_an_error_that_names_hash_key(key):
    with pytest.raises(SynthflowConfigError, match="Set hash_key in the connection's extra"):
        Privacy(hash_fields=["name"], key=key)


@pytest.mark.parametrize(
    ("given_names", "names"),
    [
        (["a", "b"], ("a", "b")),
        (("a", " a "), ("a",)),
        ("a, b,,a", ("a", "b")),
        ("", ()),
        (None, ()),
        ([], ()),
        ([" "], ()),
    ],
)
def test_names_come_as_a_list_or_as_one_text_with_commas(given_names, names):
    privacy = Privacy(given_names, given_names, key=KEY)
    assert privacy.drop_fields == privacy.hash_fields == names


@pytest.mark.parametrize("option", ["drop_fields", "hash_fields"])
def test_a_name_that_is_no_text_is_an_error_that_names_the_parameter(option):
    with pytest.raises(SynthflowConfigError, match=f"{option} must be a list of field names"):
        Privacy(**{option: ["a", 5]}, key=KEY)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from("abcd") | st.text(max_size=4), values))
def test_of_any_record_the_dropped_are_gone_the_hashed_hidden_and_the_others_as_they_were(record):
    changed = json.loads(Privacy(["a"], ["b"], key=KEY).apply(json.dumps(record).encode()))
    assert "a" not in changed
    for name in {*record} - {"a", "b"}:
        assert changed[name] == record[name]
    if record.get("b") is not None:
        assert len(changed["b"]) == 64


@pytest.mark.parametrize("options", [{"drop_fields": ["call_id"]}, {"hash_fields": ["call_id"]}])
def test_an_id_that_is_not_to_be_kept_is_not_kept_while_the_window_is_read_either(options):
    to_key = Privacy(**options, key="secret").to_key

    assert to_key("a") == to_key("a") != to_key("b")
    assert len({to_key("a"), to_key("\ud800"), to_key("")}) == 3
    assert "a-long-call-id" not in to_key("a-long-call-id")


def test_an_id_that_is_kept_stands_for_itself():
    assert Privacy(["name"], ["transcript"], key="secret").to_key("a") == "a"


def test_the_key_of_a_hashed_id_is_the_hash_in_the_file():
    privacy = Privacy(hash_fields=["call_id"], key="secret")

    assert json.loads(privacy.apply(b'{"call_id":"a"}')) == {"call_id": privacy.to_key("a")}
