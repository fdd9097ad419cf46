# SPDX-License-Identifier: Apache-2.0
"""Tasks over the calls that :mod:`tests.unit.making` makes; apart from it, since it needs no Airflow."""

from __future__ import annotations

from typing import Any

from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.unit.making import AGENT, FROM, TO

__all__ = ["operator"]


def operator(**arguments: Any) -> SynthflowListCallsOperator:
    """Make an operator of the test's agent and day."""
    return SynthflowListCallsOperator(
        **{"task_id": "calls", "model_id": AGENT, "from_date": FROM, "to_date": TO, **arguments}
    )
