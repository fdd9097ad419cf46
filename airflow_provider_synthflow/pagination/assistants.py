# SPDX-License-Identifier: Apache-2.0
"""All agents of a workspace, proven complete by the same walk as calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.client.call import CallRow, decode_record, encode_record
from airflow_provider_synthflow.client.response import Page
from airflow_provider_synthflow.pagination.fetch import read_client_pages
from airflow_provider_synthflow.pagination.walk import Walk

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["read_assistants", "read_model_id"]


def read_assistants(client: SynthflowClient) -> list[dict[str, Any]]:
    """Return all agents, each once, in the order in which they came."""

    def ask(limit: int, offset: int) -> Page:
        parameters = {"limit": str(limit), "offset": str(offset)}
        found, total = client.elements("/assistants/", "assistants", parameters)
        return Page([CallRow(_make_key(agent), encode_record(agent)) for agent in found], total)

    walk = Walk()
    agents: dict[str, bytes] = {}
    for page in read_client_pages(walk, client, ask, concurrency=1):
        agents.update({row.call_id: row.raw for row in page.rows})
    for key in walk.gone():
        agents.pop(key, None)
    return [decode_record(raw) for raw in agents.values()]


def read_model_id(agent: dict[str, Any]) -> str | None:
    """Return an agent's id as text, or None where it has none."""
    found = agent.get("model_id") or agent.get("id")
    return str(found) if isinstance(found, (str, int)) and not isinstance(found, bool) else None


def _make_key(agent: dict[str, Any]) -> str:
    """Return an agent's id, or all its fields where it has none."""
    return read_model_id(agent) or encode_record(dict(sorted(agent.items()))).decode()
