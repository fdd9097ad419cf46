# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.synthflow_server import Behaviour


def test_a_switch_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="no switch 'ordr'"):
        Behaviour().with_texts({"ordr": "newest"})


@pytest.mark.parametrize(
    "switch", [{"order": "newset"}, {"envelope": "none"}, {"unknown_model": 404}, {"date_granularity_ms": 0}]
)
def test_a_value_that_a_switch_has_not_is_refused(switch):
    with pytest.raises(ValueError, match=next(iter(switch))):
        Behaviour(**switch)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("order", "oldest", "oldest"),
        ("limit_cap", "50", 50),
        ("max_rows", "7", 7),
        ("max_rows", "none", None),
        ("to_inclusive", "true", True),
        ("ignore_offset", "0", False),
        ("latency_s", "0.25", 0.25),
        ("retry_after", "30", 30),
        ("retry_after", "date", "date"),
        ("require_key", "a,b", frozenset({"a", "b"})),
        ("unknown_model", "404", "404"),
    ],
)
def test_switches_are_read_from_text(name, text, value):
    read = getattr(Behaviour().with_texts({name: text}), name)
    assert read == value
    assert type(read) is type(value)


def test_a_text_that_is_neither_true_nor_false_is_refused():
    with pytest.raises(ValueError, match="must be true or false"):
        Behaviour().with_texts({"to_inclusive": "maybe"})


def test_keys_may_be_any_collection_or_one_text():
    assert Behaviour(require_key={"a"}).require_key == Behaviour(require_key="a").require_key == frozenset("a")
