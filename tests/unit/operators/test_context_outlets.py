# SPDX-License-Identifier: Apache-2.0
"""An asset among the outlets is told the result without the calls, and nothing else is touched."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import Asset, AssetAlias

from airflow_provider_synthflow.operators.context import make_extra, tell_outlets
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.synthflow_server import SynthflowApi, serve
from tests.unit.making import AGENT, FROM, TO, many_calls
from tests.versions import needs_airflow

CALLS = Asset("synthflow-calls")
OTHER = Asset("other-table")
RESULT = {"model_id": AGENT, "count": 1, "path": "s3://lake/x", "calls": [{"call_id": "a"}]}


class Event:
    def __init__(self):
        self.extra = {}


class Events(dict):
    """Behave as Airflow's accessors: each asset has an event, made when asked for."""

    def __getitem__(self, asset):
        key = getattr(asset, "uri", None) or asset.name
        return self.setdefault(key, Event())


def test_a_result_goes_without_its_calls():
    assert make_extra(RESULT) == {"model_id": AGENT, "count": 1, "path": "s3://lake/x"}


def test_a_list_of_results_goes_as_results():
    assert make_extra([RESULT, RESULT | {"count": 2}]) == {
        "results": [make_extra(RESULT), make_extra(RESULT) | {"count": 2}]
    }


def test_each_asset_among_the_outlets_is_told_and_no_other():
    events = Events()

    tell_outlets({"outlet_events": events}, [CALLS, AssetAlias("alias")], RESULT)

    assert {key: event.extra for key, event in events.items()} == {CALLS.uri: make_extra(RESULT)}
    assert RESULT["calls"]


@needs_airflow("3.0", "references to assets by name or URI")
def test_an_asset_that_is_named_only_is_told_too():
    events = Events()

    tell_outlets({"outlet_events": events}, [Asset.ref(name="named"), Asset.ref(uri="s3://named")], RESULT)

    assert {key: event.extra for key, event in events.items()} == dict.fromkeys(
        ("named", "s3://named"), make_extra(RESULT)
    )


@pytest.mark.parametrize("outlets", [[], [AssetAlias("alias")]])
def test_without_assets_nothing_of_the_context_is_needed(outlets):
    tell_outlets({}, outlets, RESULT)


def test_an_empty_context_does_no_harm():
    tell_outlets({}, [CALLS], RESULT)


@pytest.mark.parametrize("many", [True, False])
@pytest.mark.parametrize("to_file", [True, False])
def test_the_operator_tells_its_outlets_what_it_returns(connect, tmp_path, many, to_file):
    events = Events()
    with serve(SynthflowApi(many_calls(3))) as server:
        connect(server.url)
        operator = SynthflowListCallsOperator(
            task_id="calls",
            model_id=[AGENT] if many else AGENT,
            from_date=FROM,
            to_date=TO,
            output_path=str(tmp_path) if to_file else None,
            outlets=[CALLS],
        )
        result = operator.execute({"outlet_events": events})

    extra = events[CALLS].extra
    assert extra == make_extra(result)
    told = extra["results"][0] if many else extra
    assert told["count"] == 3
    assert "calls" not in told
    assert ("path" in told) is to_file
    assert OTHER.uri not in events
