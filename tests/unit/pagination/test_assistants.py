# SPDX-License-Identifier: Apache-2.0
"""The list of agents is complete or refused, whatever the server does meanwhile."""

from __future__ import annotations

import pytest

from airflow_provider_synthflow.client.settings import Settings
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
)
from airflow_provider_synthflow.pagination.assistants import read_assistants
from tests.synthflow_server import Behaviour, Fault, agent_ids
from tests.unit.client.making import make_client

IDS = agent_ids(250)


class ScriptedClient:
    """Answers each request for agents by what a function makes of its limit and offset."""

    settings = Settings(base_url="http://127.0.0.1/v2", api_key="none", conn_id="of_team_a")

    def __init__(self, answer):
        self.answer = answer
        self.asked = []

    def elements(self, path, name, parameters):
        assert (path, name) == ("/assistants/", "assistants")
        self.asked.append((int(parameters["limit"]), int(parameters["offset"])))
        return self.answer(*self.asked[-1])

    def wait(self, seconds):
        """Wait not at all."""


def agents(*names):
    return [{"model_id": name} for name in names]


def names(found):
    return [each["model_id"] for each in found]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 250])
@pytest.mark.parametrize("pagination", ["present", "absent"])
def test_every_agent_comes_once_however_many_there_are(synthflow, count, pagination):
    handle = synthflow(assistants=IDS[:count], behaviour=Behaviour(pagination=pagination))

    found = read_assistants(make_client(handle.url))

    assert names(found) == IDS[:count]
    assert all({"name", "agent"} <= each.keys() for each in found)


@pytest.mark.parametrize("envelope", ["standard", "calls", "list", "nested"])
def test_agents_come_in_every_envelope(synthflow, envelope):
    handle = synthflow(assistants=IDS[:120], behaviour=Behaviour(envelope=envelope))

    assert names(read_assistants(make_client(handle.url))) == IDS[:120]


@pytest.mark.parametrize("most", [1, 2, 7])
def test_a_page_that_is_shorter_than_asked_is_not_the_end(most):
    client = ScriptedClient(lambda limit, offset: (agents(*IDS[:20])[offset : offset + min(limit, most)], 20))

    assert names(read_assistants(client)) == IDS[:20]


def test_an_agent_that_is_made_meanwhile_is_read_again_until_all_agrees():
    def answer(limit, offset):
        there = [IDS[200], *IDS[:150]] if len(client.asked) > 1 else IDS[:150]
        return agents(*there[offset : offset + limit]), len(there)

    client = ScriptedClient(answer)

    assert sorted(names(read_assistants(client))) == sorted([IDS[200], *IDS[:150]])


def test_an_agent_that_is_deleted_meanwhile_is_not_among_them_and_hides_no_other():
    def answer(limit, offset):
        there = IDS[1:150] if len(client.asked) > 1 else IDS[:150]
        return agents(*there[offset : offset + limit]), len(there)

    client = ScriptedClient(answer)

    assert sorted(names(read_assistants(client))) == sorted(IDS[1:150])


def test_a_total_that_they_exceed_time_after_time_is_none_and_all_are_read():
    client = ScriptedClient(lambda limit, offset: (agents("a", "b", "c")[offset : offset + limit], 2))

    assert sorted(names(read_assistants(client))) == ["a", "b", "c"]


def test_where_the_count_never_fits_it_is_an_error_with_the_numbers():
    client = ScriptedClient(lambda limit, offset: (agents("a", "b", "c")[offset : offset + limit], 5))

    with pytest.raises((SynthflowIncompleteError, SynthflowProtocolError)):
        names(read_assistants(client))


def test_an_offset_that_is_ignored_is_an_error_and_not_the_end():
    client = ScriptedClient(lambda limit, _: (agents(*IDS[:limit]), 250))

    with pytest.raises(SynthflowProtocolError, match="offset"):
        read_assistants(client)


def test_an_agent_is_known_by_model_id_then_by_id_then_by_all_of_it():
    there = [{"model_id": "a", "id": 1}, {"id": 1}, {"id": "b"}, {"name": "c"}, {"name": "d", "x": [1]}]
    client = ScriptedClient(lambda limit, offset: (there[offset : offset + limit], 5))

    assert read_assistants(client) == there


def test_a_page_is_tried_again_like_any_other(synthflow):
    handle = synthflow(assistants=IDS, faults=[Fault(status=503, route="assistants", at=2)])

    assert names(read_assistants(make_client(handle.url))) == IDS


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=401, route="assistants"), SynthflowAuthError),
        (Fault(status=400, route="assistants"), SynthflowRequestError),
        (Fault(kind="html", route="assistants"), SynthflowProtocolError),
    ],
    ids=["401", "400", "html"],
)
def test_an_error_ends_the_walk(synthflow, fault, kind):
    handle = synthflow(assistants=IDS, faults=[fault])

    with pytest.raises(kind):
        read_assistants(make_client(handle.url))
