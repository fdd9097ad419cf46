# SPDX-License-Identifier: Apache-2.0
"""Walk the list of a workspace's agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowIncompleteError, SynthflowProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_synthflow.client.client import SynthflowClient

__all__ = ["walk_assistants"]

_LIMIT = 100
_WALKS = 5


def walk_assistants(client: SynthflowClient) -> Iterator[dict[str, Any]]:
    """
    Yield all agents, each once, complete or an error.

    The list is short and changes by hand, so that a walk is simply done again where its count does not fit.

    :param client: where to ask
    :raises SynthflowIncompleteError: where the declared total and what came never agree
    :raises SynthflowProtocolError: where the API ignores the offset
    """
    seen: dict[str, dict[str, Any]] = {}
    total: int | None = None
    for _ in range(_WALKS):
        seen, total = _walk_once(client)
        if total is None or len(seen) == total:
            yield from seen.values()
            return
    msg = f"The list of agents is not complete: {total} are declared, and {len(seen)} came."
    raise SynthflowIncompleteError(msg, expected=total, received=len(seen), walks=_WALKS)


def _walk_once(client: SynthflowClient) -> tuple[dict[str, dict[str, Any]], int | None]:
    seen: dict[str, dict[str, Any]] = {}
    while True:
        found, total = _page(client, len(seen))
        before = len(seen)
        seen.update(found)
        if len(seen) == before and total is None and found:
            _check_offset(client, next(iter(seen)))
        if len(seen) == before or len(seen) == total:
            return seen, total


def _page(client: SynthflowClient, offset: int) -> tuple[dict[str, dict[str, Any]], int | None]:
    parameters = {"limit": str(_LIMIT), "offset": str(offset)}
    found, total = client.elements("/assistants/", "assistants", parameters)
    return {_key(assistant): assistant for assistant in found}, total


def _key(assistant: dict[str, Any]) -> str:
    return str(assistant.get("model_id") or assistant.get("id") or repr(sorted(assistant.items(), key=str)))


def _check_offset(client: SynthflowClient, first: str) -> None:
    """Raise where the API ignores the offset: without a total the first page would pass for all there is."""
    found, _ = _page(client, 1)
    if len(found) > 1 and next(iter(found)) == first:
        msg = "The API ignores the offset: it sent the first agents again where later ones were asked for."
        raise SynthflowProtocolError(msg)
