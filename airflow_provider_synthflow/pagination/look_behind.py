# SPDX-License-Identifier: Apache-2.0
"""
Whether rows lie behind the total that a list declares. Pure.

Where nothing comes from behind the total, it is true. Some servers send rows that are known there all the same: their
last page again, or the first one. So does a list in an order that changes from request to request, whose total is too
low. The row before tells the two apart: asked for from there, a list that ends has that one row, a longer one more.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.pagination.page_ranges import PageAsk
    from airflow_provider_synthflow.pagination.page_readings import PageReadings

__all__ = ["Behind", "LookBehind"]


class Behind(Enum):
    """The finding behind a declared total."""

    NOTHING = auto()
    MORE = auto()  # rows, so that the total is none
    GROWN = auto()  # rows that came to the list meanwhile: an ordinary page
    DISPLACED = auto()  # a row whose place another one had that came twice
    UNSURE = auto()  # rows that are known: another look tells
    EARLY = auto()  # pages that begin with the last row of the page before


class LookBehind:
    """The requests of one round behind the declared total, two at most."""

    def __init__(self) -> None:
        self.looks = 0
        self.ask: PageAsk | None = None  # the next one, as soon as nothing is in flight
        self._first: list[str] = []

    def begin(self, total: int, readings: PageReadings, *, before: int, is_refused: bool = False) -> int:
        """Return the index to start from, with so many known rows in front."""
        self.looks += 1
        if readings.longest <= 1 and not is_refused:
            # A page of one row shows no second one, but only a last page that is sent again is there further behind.
            before = 1 - self.looks
        elif self.looks > 1:
            before += 1
        return max(0, total - before)

    def pop_ask(self) -> PageAsk | None:
        """Return the next request, once."""
        ask, self.ask = self.ask, None
        return ask

    def judge(
        self, ask: PageAsk, ids: Sequence[str], declared: int | None, *, total: int, readings: PageReadings
    ) -> Behind:
        """Return what a response shows about the total."""
        is_new = readings.lacks_any(ids)
        if declared is not None and declared != total:
            if declared == len(ids) < total:
                return Behind.MORE  # it is each page's own count
            return Behind.GROWN if is_new and declared > total else Behind.NOTHING
        different = list(dict.fromkeys(ids))
        is_tail = different == readings.tail(len(different))
        due = max(0, total - ask.start)
        if ask.start > total:
            return Behind.NOTHING if ids and is_tail else Behind.MORE
        if len(different) <= due:
            if is_new or len(ids) > due:
                return Behind.DISPLACED if readings.has_repeats else Behind.MORE
            return Behind.NOTHING if is_tail or not ask.shift else Behind.MORE
        if is_new:
            return Behind.MORE
        if self.looks == 1 and ask.offset >= total:
            self._first = different
            return Behind.UNSURE if is_tail or readings.longest > 1 + ask.shift else Behind.MORE
        is_last = self._first in ([], readings.tail(1))  # what the first look brought, unless it was refused
        is_early = is_tail and len(different) == due + 1 < readings.longest and is_last
        return Behind.EARLY if is_early and not ask.shift and len(readings) == 1 else Behind.MORE
