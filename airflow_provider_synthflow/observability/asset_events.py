# SPDX-License-Identifier: Apache-2.0
"""Tell the assets among a task's outlets what was written: their events carry the result without the calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["make_extra", "tell_outlets"]


def tell_outlets(
    context: Mapping[str, Any], outlets: Iterable[Any], result: dict[str, Any] | list[dict[str, Any]]
) -> None:
    """
    Put the result, without the calls, into the event of each asset among the outlets.

    :param context: the task's context; without outlets nothing of it is needed
    :param outlets: the task's outlets; what is no asset, such as an alias, is passed over
    :param result: what the task returns
    """
    assets = [outlet for outlet in outlets if hasattr(outlet, "uri") or type(outlet).__name__ == "AssetNameRef"]
    events = context.get("outlet_events") if assets else None
    if events is None:
        return
    for asset in assets:
        events[asset].extra.update(make_extra(result))


def make_extra(result: dict[str, Any] | list[dict[str, Any]]) -> dict[str, Any]:
    """
    Return what an asset's event says of a result: the result without the calls, or a list of these as ``results``.

    :param result: what the task returns
    """
    if isinstance(result, list):
        return {"results": [make_extra(each) for each in result]}
    return {name: value for name, value in result.items() if name != "calls" or isinstance(value, int)}
