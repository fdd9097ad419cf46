# SPDX-License-Identifier: Apache-2.0
"""The provider adds its page to each Airflow whose UI has a place for it."""

from __future__ import annotations

from airflow_provider_synthflow.plugins.coverage import SynthflowPlugin
from tests.versions import AIRFLOW


def test_it_is_there_from_airflow_3_1_on():
    there = AIRFLOW >= (3, 1)

    assert [bool(SynthflowPlugin.fastapi_apps), bool(SynthflowPlugin.external_views)] == [there, there]
