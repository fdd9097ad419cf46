# SPDX-License-Identifier: Apache-2.0
"""The links of a task, by their names and to where they lead without looking."""

from __future__ import annotations

from types import SimpleNamespace

from airflow_provider_synthflow.links.synthflow import SynthflowCallsLink
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.unit.making import FROM, TO


def operator() -> SynthflowListCallsOperator:
    return SynthflowListCallsOperator(task_id="calls", model_id="agent-1", from_date=FROM, to_date=TO)


def test_the_calls_link_leads_to_synthflow():
    assert SynthflowCallsLink().get_link(operator(), ti_key=SimpleNamespace()) == "https://app.synthflow.ai"


def test_links_are_those_of_the_operator_by_their_names():
    assert [link.name for link in operator().operator_extra_links] == ["Synthflow calls", "Output"]
