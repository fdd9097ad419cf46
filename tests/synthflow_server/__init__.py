# SPDX-License-Identifier: Apache-2.0
"""A test server that plays Synthflow's API, with every doubt about it as a switch."""

from __future__ import annotations

from tests.synthflow_server.answer import Answer
from tests.synthflow_server.api import SynthflowApi
from tests.synthflow_server.behaviour import TEST_KEY, Behaviour
from tests.synthflow_server.clock import SimulatedClock, WallClock
from tests.synthflow_server.dataset import Call, agent_ids, make_calls
from tests.synthflow_server.faults import Change, Fault
from tests.synthflow_server.recordings import audio, serve_recordings
from tests.synthflow_server.server import Handle, serve

__all__ = [
    "TEST_KEY",
    "Answer",
    "Behaviour",
    "Call",
    "Change",
    "Fault",
    "Handle",
    "SimulatedClock",
    "SynthflowApi",
    "WallClock",
    "agent_ids",
    "audio",
    "make_calls",
    "serve",
    "serve_recordings",
]
