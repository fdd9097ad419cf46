# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from airflow_provider_synthflow.client import assistants
from airflow_provider_synthflow.client.assistants import walk_assistants
from airflow_provider_synthflow.exceptions import (
    SynthflowAuthError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
)
from tests.synthflow_server import Behaviour, Fault, agent_ids
from tests.unit.client.making import make_client

IDS = agent_ids(250)


class ScriptedSender:
    """Answer each request for agents with the next of some pages."""

    def __init__(self, *pages):
        self.pages = list(pages)
        self.asked = []

    def elements(self, path, name, parameters):
        """Return the next page."""
        self.asked.append((path, name, dict(parameters)))
        return self.pages.pop(0)


def agents(*names):
    return [{"model_id": name} for name in names]


def names(walk):
    return [each["model_id"] for each in walk]


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 200, 250])
@pytest.mark.parametrize("pagination", ["present", "absent"])
def test_every_agent_comes_once_however_many_there_are(synthflow, count, pagination):
    handle = synthflow(assistants=IDS[:count], behaviour=Behaviour(pagination=pagination))
    found = list(walk_assistants(make_client(handle.url)))
    assert [each["model_id"] for each in found] == IDS[:count]
    assert all({"name", "agent"} <= each.keys() for each in found)


def test_pages_of_a_hundred_are_asked_for_and_no_more_than_needed(synthflow):
    handle = synthflow(assistants=IDS)
    list(walk_assistants(make_client(handle.url)))
    assert [received.query for received in handle.api.requests] == [
        {"limit": "100", "offset": str(offset)} for offset in (0, 100, 200)
    ]


@pytest.mark.parametrize("envelope", ["standard", "calls", "list", "nested"])
def test_agents_come_in_every_envelope(synthflow, envelope):
    handle = synthflow(assistants=IDS[:120], behaviour=Behaviour(envelope=envelope))
    assert names(walk_assistants(make_client(handle.url))) == IDS[:120]


def test_a_page_that_is_shorter_than_asked_is_not_the_end():
    client = ScriptedSender((agents("a", "b"), 3), (agents("c"), 3))
    assert names(walk_assistants(client)) == ["a", "b", "c"]
    assert [parameters["offset"] for _, _, parameters in client.asked] == ["0", "2"]


def test_an_agent_that_comes_twice_counts_once_and_the_walk_goes_on_after_it():
    client = ScriptedSender((agents("a", "b"), 3), (agents("b", "c"), 3))
    assert names(walk_assistants(client)) == ["a", "b", "c"]


def test_where_the_count_does_not_fit_the_walk_is_done_again():
    client = ScriptedSender((agents("a"), 3), ([], 3), (agents("a", "b"), 2))
    assert names(walk_assistants(client)) == ["a", "b"]


def test_where_the_count_never_fits_it_is_an_error_with_the_numbers():
    client = ScriptedSender(*[(agents("a", "b"), 5), (agents("a", "b"), 5)] * 5)
    with pytest.raises(SynthflowIncompleteError, match="5 are declared, and 2 came") as caught:
        list(walk_assistants(client))
    assert (caught.value.expected, caught.value.received, caught.value.walks) == (5, 2, 5)
    assert len(client.asked) == 10


def test_more_agents_than_declared_are_an_error_too():
    client = ScriptedSender(*[(agents("a", "b", "c"), 2), ([], 2)] * 5)
    with pytest.raises(SynthflowIncompleteError, match="2 are declared, and 3 came"):
        list(walk_assistants(client))


def test_nothing_is_yielded_before_the_list_is_complete():
    client = ScriptedSender(*[(agents("a"), 2), ([], 2)] * 5)
    walk = walk_assistants(client)
    with pytest.raises(SynthflowIncompleteError):
        next(walk)


def test_an_agent_is_known_by_model_id_then_by_id_then_by_all_of_it():
    page = [{"model_id": "a", "id": 1}, {"id": 1}, {"id": "b"}, {"name": "c"}, {"name": "c"}, {"name": "d", "x": [1]}]
    client = ScriptedSender((page, 5))
    assert list(walk_assistants(client)) == [page[0], page[1], page[2], page[4], page[5]]


def test_without_a_total_an_offset_that_is_ignored_is_an_error_and_not_the_end():
    page = agents(*IDS[:100])
    client = ScriptedSender((page, None), (page, None), (page, None))
    with pytest.raises(SynthflowProtocolError, match="ignores the offset"):
        list(walk_assistants(client))


def test_without_a_total_a_last_page_that_is_shown_again_is_the_end():
    page = agents(*IDS[:100])
    client = ScriptedSender((page, None), (page, None), (agents(*IDS[1:100]), None))
    assert names(walk_assistants(client)) == IDS[:100]


def test_a_page_is_tried_again_like_any_other(synthflow):
    handle = synthflow(assistants=IDS, faults=[Fault(status=503, route="assistants", at=2)])
    assert names(walk_assistants(make_client(handle.url))) == IDS


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault(status=401, route="assistants"), SynthflowAuthError),
        (Fault(kind="html", route="assistants"), SynthflowProtocolError),
    ],
    ids=["401", "html"],
)
def test_an_error_ends_the_walk(synthflow, fault, kind):
    handle = synthflow(assistants=IDS, faults=[fault])
    with pytest.raises(kind):
        list(walk_assistants(make_client(handle.url)))


def test_the_walk_is_lazy():
    client = ScriptedSender((agents("a"), 1))
    walk = assistants.walk_assistants(client)
    assert client.asked == []
    assert names(walk) == ["a"]
