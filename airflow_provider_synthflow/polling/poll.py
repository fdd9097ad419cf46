# SPDX-License-Identifier: Apache-2.0
"""The poll of a sensor: have enough calls started?"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowProtocolError, SynthflowTransientError
from airflow_provider_synthflow.extraction.plan import MARGIN_MS, STRAY_MS
from airflow_provider_synthflow.pagination.fetch import aread_pages, read_pages
from airflow_provider_synthflow.pagination.filter_check import FilterCheck
from airflow_provider_synthflow.pagination.page_ranges import PageAsk
from airflow_provider_synthflow.timestamps import format_instant, now_ms

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.async_client import AsyncSynthflowClient
    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.exceptions import SynthflowRequestError
    from airflow_provider_synthflow.polling.backoff import PollSchedule

__all__ = ["PASSING", "Counting", "Poll", "poll", "wait_for_calls"]

log = logging.getLogger(__name__)

PASSING = (SynthflowTransientError, SynthflowProtocolError)
"""The errors of a poll that the next poll may not have: they are waited out."""


@dataclass
class Poll:
    """One poll: has a number of calls started since an instant?"""

    # Mostly one small page is read: its declared total tells whether there are too few calls. If there are enough, the
    # page at the other end of the list follows, and a few more if some of the calls do not count.

    query: CallsQuery
    from_ms: int
    to_ms: int | None = None  # None: the present
    min_calls: int = 1
    at_ms: int = field(default_factory=now_ms)
    counting: Counting = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self.counting = Counting(self.query, self.from_ms, self._end_ms, self.min_calls)

    @property
    def _end_ms(self) -> int:
        return self.at_ms if self.to_ms is None else self.to_ms

    @property
    def lies_ahead(self) -> bool:
        """Tell whether the time to count from is yet to come, so that there is nothing to ask."""
        return self._end_ms <= self.from_ms

    @property
    def asked(self) -> CallsQuery:
        """Return the query with the bounds that are sent."""
        # The API's ``to_date`` may bound a call's end, so that it is sent with a day to spare, and not at all where
        # the end is now: the calls are counted by their own start.
        return self.query.between(
            max(0, self.from_ms - MARGIN_MS), None if self.to_ms is None else self.to_ms + STRAY_MS
        )

    @property
    def count(self) -> int:
        """Return how many calls count, as far as it is known: at least so many."""
        return self.counting.count

    @property
    def satisfied(self) -> bool:
        """Tell whether enough calls started in the bounds."""
        return self.count >= self.min_calls

    def result(self) -> dict[str, Any]:
        """Return what the sensor hands on: counts and instants, never data of a call."""
        newest = max(self.counting.starts.values(), default=None)
        return {
            "model_id": self.query.model_id,
            "from_date": format_instant(self.from_ms),
            "count": self.count,
            "newest_start_time": None if newest is None else format_instant(newest),
        }


def poll(client: SynthflowClient, state: Poll) -> Poll:
    """Carry out a poll."""
    for _ in read_pages(state.counting, partial(client.page, state.asked), concurrency=1, sleep=client.wait):
        pass  # none is handed on: the counting has taken in what there is to know
    return state


async def wait_for_calls(
    client: AsyncSynthflowClient,
    state: Poll,
    schedule: PollSchedule,
    *,
    deadline_ms: int | None = None,
) -> Poll | None:
    """Poll again and again until enough calls have started; trouble that may pass is waited out."""
    # There is a last poll at the deadline. Where the time is over, None is returned, and ``schedule.error`` tells
    # what the last poll ended with.
    pause, over = schedule.at_first(client.companions), False
    while not over:
        left = float("inf") if deadline_ms is None else max(0.0, (deadline_ms - now_ms()) / 1000)
        over = pause >= left
        await client.wait(min(pause, left))
        if over and schedule.failures:
            break  # what the server asked to wait is not cut short by a last poll
        current = replace(state, at_ms=now_ms())
        try:
            if not current.lies_ahead:
                async for _ in aread_pages(current.counting, partial(client.page, current.asked), sleep=client.wait):
                    pass  # as in :func:`poll`
        except PASSING as error:
            pause = schedule.after_error(error)
            log.warning(
                "This poll got no answer. Next poll in %.0f s. Agent %s: %s",
                pause,
                state.query.model_id,
                error,
            )
            continue
        if current.satisfied:
            return current
        since = format_instant(current.from_ms)
        log.info("%d of %d calls since %s of agent %s.", current.count, current.min_calls, since, state.query.model_id)
        pause = schedule.after_poll()
    return None


_LARGEST_PAGE = 100
_MOST_PAGES = 10
_MOST_PROBES = 20


class Counting:
    """The count of the calls of a list that started between two instants."""

    # In a list sorted by start, either way, the calls that count are one range. The first and the last page are read;
    # if one shows calls outside, a binary search finds the end of the range: at most twenty pages. A list that is not
    # sorted or declares no total is read from its beginning, at most ten pages, and only the calls seen count. So is
    # one with calls of another agent or status than asked for, which do not count.

    def __init__(self, query: CallsQuery, from_ms: int, to_ms: int, wanted: int) -> None:
        self.starts: dict[str, int] = {}
        """When each call started that was seen and counts."""
        self.total: int | None = None
        self.pages = 0
        self._from_ms = from_ms
        self._to_ms = to_ms
        self._wanted = max(wanted, 1)
        self._check = FilterCheck(query, include=True)
        self._others: set[str] = set()
        self._sides: dict[int, int | None] = {}
        """By the index in the list: before the instants (-1), between (0), behind (1), or not known."""
        self._reach = 0  # all rows before it were read
        self._length: int | None = None  # where no row came, or none is told, whatever is declared
        self._is_sorted = True
        self._ended = False

    def asks(self) -> list[PageAsk]:
        """Return the next page to ask for; none where the answer is known."""
        offset = self._next_offset()
        limit = _LARGEST_PAGE if self.pages else min(self._wanted, _LARGEST_PAGE)
        return [] if offset is None else [PageAsk(offset, limit, self.pages)]

    def _next_offset(self) -> int | None:
        if self._ended or self.pages >= (_MOST_PROBES if self._can_be_halved else _MOST_PAGES):
            return None
        if self.total is None or not self._is_sorted:
            return self._reach
        gaps = self._gaps()
        if not gaps or self.count + sum(end - begin for begin, end in gaps) < self._wanted:
            return None
        begin, end = gaps[-1]
        if end == self._end:
            return max(begin, end - _LARGEST_PAGE)
        return max(begin, (begin + end - _LARGEST_PAGE) // 2)

    def receive(self, ask: PageAsk, page: Page) -> bool:
        """Count the rows of a page, and return False, since nobody else uses them."""
        offset = ask.offset
        self.pages += 1
        if page.total is not None:
            self.total = page.total
        known = len(self.starts) + len(self._others)
        strangers = self._check.find_others(page.rows)
        if strangers:
            self._is_sorted = False  # what it declares counts them, too
            log.warning("%d calls of another agent or status than asked for came, and do not count.", len(strangers))
        for index, row in enumerate(page.rows, offset):
            start = None if row.call_id in strangers else row.started_ms
            side = None if start is None else (start >= self._to_ms) - (start < self._from_ms)
            self._sides[index] = side
            if start is not None and side == 0:
                self.starts[row.call_id] = start
            else:
                self._others.add(row.call_id)
        is_new = len(self.starts) + len(self._others) > known
        if offset == self._reach:
            self._reach += len(page.rows)
            self._ended = not is_new or (self.total is not None and self._reach >= self.total)
        elif not page.rows:
            self._shorten(offset)
        elif not is_new or page.offset not in {None, offset}:
            self._is_sorted = False  # it is not the page that was asked for
        sides = [side for _, side in sorted(self._sides.items()) if side is not None]
        if sides != sorted(sides) and sides != sorted(sides, reverse=True):
            self._is_sorted = False
        return False

    def refuse(self, ask: PageAsk, error: SynthflowRequestError) -> None:
        """Handle the API's refusal of a later page: its list ends before, or cannot be read that far."""
        offset = ask.offset
        if offset == 0:
            raise error
        self.pages += 1
        if self.total is None or not self._is_sorted:
            self._ended = True
        else:
            self._shorten((offset + max((index + 1 for index in self._sides if index < offset), default=0)) // 2)

    @property
    def count(self) -> int:
        """Return how many calls count, as far as it is known: at least so many."""
        if self._ended or self.total is None or not self._is_sorted:
            return len(self.starts)
        return len(self.starts) + sum(end - begin for begin, end, left, right in self._unseen() if left == right == 0)

    @property
    def _can_be_halved(self) -> bool:
        """Tell whether the rows that were seen show where others are."""
        return self.total is not None and self._is_sorted and any(side is not None for side in self._sides.values())

    def _shorten(self, length: int) -> None:
        self._length = length if self._length is None else min(self._length, length)

    @property
    def _end(self) -> int:
        return min(end for end in (self.total, self._length) if end is not None)

    def _unseen(self) -> list[tuple[int, int, int | None, int | None]]:
        """Return the stretches that were not seen, and on which side the nearest rows before and behind each are."""
        stretches: list[tuple[int, int, int | None]] = []
        after, side = 0, None
        for index, here in sorted(self._sides.items()):
            if index > after:
                stretches.append((after, index, side))
            after, side = index + 1, side if here is None else here
        if self._end > after:
            stretches.append((after, self._end, side))
        behind = {}
        side = None
        for index, here in sorted(self._sides.items(), reverse=True):
            side = side if here is None else here
            behind[index] = side
        return [(begin, end, left, behind.get(end)) for begin, end, left in stretches]

    def _gaps(self) -> list[tuple[int, int]]:
        """Return the stretches of which it is not known how many calls in them count; the last is to be looked at."""
        return [(begin, end) for begin, end, left, right in self._unseen() if left is None or left != right]
