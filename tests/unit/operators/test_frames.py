# SPDX-License-Identifier: Apache-2.0
"""The way from a task to its request is short enough to be read in one traceback."""

from __future__ import annotations

import traceback
from pathlib import Path

import requests

import airflow_provider_synthflow
from airflow_provider_synthflow.operators.synthflow import SynthflowListCallsOperator
from tests.unit.making import AGENT, FROM, TO, make_call

PACKAGE = str(Path(airflow_provider_synthflow.__file__).parent)


def test_from_execute_to_the_request(synthflow, connect, monkeypatch):
    connect(host=synthflow([make_call("a")]).url)
    send = requests.Session.send
    stacks = []

    def noting(session, request, **how):
        stacks.append([each.name for each in traceback.extract_stack() if each.filename.startswith(PACKAGE)])
        return send(session, request, **how)

    monkeypatch.setattr(requests.Session, "send", noting)
    SynthflowListCallsOperator(task_id="calls", model_id=AGENT, from_date=FROM, to_date=TO, concurrency=1).execute({})

    assert stacks[0][0] == "execute"
    assert len(stacks[0]) <= 10, stacks[0]
