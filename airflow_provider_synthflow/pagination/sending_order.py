# SPDX-License-Identifier: Apache-2.0
"""Of two readings of a call, the one that was sent later counts. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.response import Page

__all__ = ["SendingOrder"]


class SendingOrder:
    """The pages that have overtaken earlier requests which are still in flight."""

    def __init__(self) -> None:
        self._ahead: list[tuple[int, frozenset[str], set[int]]] = []

    def find_stale(self, page: Page, serial: int, flying: set[int]) -> set[str]:
        """Return the ids of a page's rows that have already come with a page sent after it."""
        sent = page.sent or serial
        stale: set[str] = set()
        if self._ahead:
            ids = {row.call_id for row in page.rows}
            for other, theirs, _ in self._ahead:
                if other > sent:
                    stale |= theirs & ids
        if flying:
            self._ahead.append((sent, frozenset(row.call_id for row in page.rows), set(flying)))
        return stale

    def land(self, serial: int) -> None:
        """Remove a request, and the pages that have overtaken none that is still in flight."""
        for _, _, overtaken in self._ahead:
            overtaken.discard(serial)
        self._ahead = [each for each in self._ahead if each[2]]
