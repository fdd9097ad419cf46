# SPDX-License-Identifier: Apache-2.0
"""A snapshot of all agents, into a file or XCom."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow import __version__
from airflow_provider_synthflow.client.call import encode_record
from airflow_provider_synthflow.client.raw_json import mend_surrogates
from airflow_provider_synthflow.extraction.result import with_calls
from airflow_provider_synthflow.observability.quantities import to_count
from airflow_provider_synthflow.output.publication import ASSISTANT_COLUMNS
from airflow_provider_synthflow.pagination.assistants import read_assistants, read_model_id
from airflow_provider_synthflow.timestamps import format_instant, now_ms

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.output.publication import SnapshotPublication

__all__ = ["make_snapshot"]

log = logging.getLogger(__name__)

_LONG = 1000
_DOCUMENTED = frozenset(column.name for column in ASSISTANT_COLUMNS)


def make_snapshot(
    client: SynthflowClient,
    publication: SnapshotPublication | None,
    *,
    full: bool,
    max_bytes: int,
    origin: Mapping[str, str],
) -> dict[str, Any]:
    """Read all agents, complete or an error, and return the result."""
    if publication is not None:
        publication.check()
    agents = sorted(read_assistants(client), key=lambda agent: (read_model_id(agent) or "", encode_record(agent)))
    records = [mend_surrogates(encode_record(_identify(agent if full else _shorten(agent)))) for agent in agents]
    ids = (read_model_id(agent) for agent in agents)
    result: dict[str, Any] = {
        "count": len(records),
        "model_ids": list(dict.fromkeys(each for each in ids if each is not None)),
        "changed": True,
        "query": {"full": True} if full else {},
        "provider_version": __version__,
        "extracted_at": format_instant(now_ms()),
        **origin,
    }
    if publication is None:
        result = with_calls(result, records, sum(map(len, records)), max_bytes, name="assistants")
    else:
        result = publication.publish(records, result)
    log.info("%s: %s.", to_count(len(records), "agent"), result.get("path", "in XCom"))
    return result


def _identify(agent: dict[str, Any]) -> dict[str, Any]:
    """Give an agent that has only ``id`` the ``model_id`` by which its calls are found."""
    model_id = read_model_id(agent)
    return agent if agent.get("model_id") or model_id is None else {**agent, "model_id": model_id}


def _shorten(agent: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out prompts, what is nested, and long texts that are not documented."""
    return {name: value for name, value in agent.items() if name in _DOCUMENTED or _is_short(name, value)}


def _is_short(name: str, value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= _LONG and "prompt" not in name.lower()
    return not isinstance(value, (dict, list))
