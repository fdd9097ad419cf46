# SPDX-License-Identifier: Apache-2.0
"""
Pages of a list that an earlier walk has read, of which a later walk need not ask again what they bear out. Pure.

The proof asks of no reading when it was made, only that the totals are equal, that the seams hold and that the
different ids are as many as the total: what it says of one slow walk, it says of a walk whose first part was read by a
process that is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.pagination.proof import PageIds, verify_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["RecalledPages"]

_LONG_AGO = -(10**9)  # the serials of all of them are below those of a walk that takes them up


class RecalledPages:
    """The pages of an earlier walk, until the first page of a new walk decides on them."""

    def __init__(self, offset: int = 0) -> None:
        self.forgotten: list[bytes] = []
        self._offset = offset
        self._readings: dict[int, PageIds] = {}
        self._serial = _LONG_AGO

    def __len__(self) -> int:
        """Return how many pages there are."""
        return len(self._readings)

    def add(self, offset: int, ids: Sequence[str], total: int) -> None:
        """Add a page, in place of one at its offset; the first page is left out, since it is read anew."""
        reading = PageIds(offset, self._serial, ids, total)
        self._serial += 1
        if offset <= self._offset:
            self.forgotten.append(reading.packed)
            return
        if offset in self._readings:
            self.forgotten.append(self._readings[offset].packed)
        self._readings[offset] = reading

    def drop(self) -> None:
        """Remove all pages; their packed ids go to :attr:`forgotten`."""
        self.forgotten += [reading.packed for reading in self._readings.values()]
        self._readings.clear()

    def borne_out(self, first: Sequence[PageIds], *, total: int | None, overlap: int) -> list[PageIds]:
        """Return the pages if they and the new walk's first page verify, else none."""
        readings = list(self._readings.values())
        if (
            not first
            or verify_pages(sorted([*first, *readings]), offset=self._offset, total=total, overlap=overlap).bad
        ):
            self.drop()
            return []
        return readings
