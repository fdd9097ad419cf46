# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_synthflow.exceptions import SynthflowConfigError
from airflow_provider_synthflow.extraction.named_fields import KNOWN_FIELDS, NamedFields


@pytest.mark.parametrize("name", sorted(KNOWN_FIELDS))
def test_a_documented_field_is_known_without_any_call(name):
    assert NamedFields({"drop_fields": [name]}).check() == []


@pytest.mark.parametrize("name", sorted(KNOWN_FIELDS))
@pytest.mark.parametrize("misspell", [lambda name: f"{name}s", str.upper, lambda name: f"{name[:2]}{name[3:]}"])
def test_one_that_is_misspelt_is_an_error_before_anything_is_written(name, misspell):
    wrong = misspell(name)
    if wrong in KNOWN_FIELDS:
        pytest.skip("it is a field of its own")

    with pytest.raises(SynthflowConfigError, match=f"drop_fields names '{wrong}'"):
        NamedFields({"drop_fields": [wrong]}).check()


def test_one_that_resembles_a_field_that_came_is_an_error_and_one_that_came_is_none():
    came = {"crm_reference": 1}.keys()
    right, wrong = NamedFields({"drop_fields": ["crm_reference"]}), NamedFields({"hash_fields": ["crm_refrence"]})
    right.receive(came)
    wrong.receive(came)

    assert right.check() == []
    with pytest.raises(SynthflowConfigError, match="crm_reference"):
        wrong.check()


@pytest.mark.parametrize(("name", "fails"), [("crm_reference", True), ("transcripts", False)])
def test_one_that_resembles_none_or_is_allowed_is_warned_of_and_told(caplog, name, fails):
    assert NamedFields({"drop_fields": [name]}, fails=fails).check() == [name]
    assert f"drop_fields names '{name}'" in caplog.text
