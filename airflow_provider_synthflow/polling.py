# SPDX-License-Identifier: Apache-2.0
"""Look whether calls have started: what a sensor asks, and what the answer means."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowProtocolError, SynthflowTransientError
from airflow_provider_synthflow.extraction import MARGIN_MS, STRAY_MS
from airflow_provider_synthflow.instants import format_instant
from airflow_provider_synthflow.placement import started_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_synthflow.client.answer import Page
    from airflow_provider_synthflow.client.async_sender import AsyncSender
    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.sender import Sender
    from airflow_provider_synthflow.patience import Patience

__all__ = ["PASSING", "Poll", "poll", "wait_for_calls"]

log = logging.getLogger(__name__)

PASSING = (SynthflowTransientError, SynthflowProtocolError)
"""The errors of a look that the next look may not have: they are waited out."""

_LARGEST_PAGE = 100
_MOST_PAGES = 10


@dataclass
class Poll:
    """
    Drive one poll: has a number of calls started since an instant?

    Send what :meth:`next_page` returns and give the page to :meth:`receive`, until there is none to send. Mostly that
    is one small page. Where calls that do not count fill it, larger ones follow, ten at the most; the next poll
    looks again. Once there are enough, the page at the other end of the list is read for the newest call, and the
    count rests on the declared total; with an end given, and without a total, the calls themselves are counted.

    :param query: the agent and the filters, without bounds
    :param from_ms: UTC milliseconds since 1970, inclusive
    :param to_ms: UTC milliseconds since 1970, exclusive
    :param to_given: whether the end was given, or is now
    :param min_calls: how many calls are waited for
    """

    query: CallsQuery
    from_ms: int
    to_ms: int
    to_given: bool
    min_calls: int = 1
    total: int | None = field(default=None, init=False)
    pages: int = field(default=0, init=False)
    _starts: dict[str, int] = field(default_factory=dict, init=False)
    _others: set[str] = field(default_factory=set, init=False)
    _reach: int = field(default=0, init=False)
    _ended: bool = field(default=False, init=False)
    _looked_behind: bool = field(default=False, init=False)

    def again(self, now_ms: int) -> Poll:
        """
        Return the same poll anew, up to now where no end was given.

        :param now_ms: UTC milliseconds since 1970
        """
        return replace(self, to_ms=self.to_ms if self.to_given else now_ms)

    @property
    def lies_ahead(self) -> bool:
        """Tell whether the time to count from is yet to come, so that there is nothing to ask."""
        return self.to_ms <= self.from_ms

    @property
    def asked(self) -> CallsQuery:
        """
        Return the query with the bounds that are sent.

        The API's ``to_date`` may bound a call's end, so that it is sent with a day to spare, and not at all where
        the end is now: the calls are counted by their own start.
        """
        return self.query.between(self.from_ms - MARGIN_MS, self.to_ms + STRAY_MS if self.to_given else None)

    def next_page(self) -> tuple[int, int] | None:
        """Return the limit and the offset of the next page to ask for, or None where the answer is known."""
        if self._ended:
            return None
        if self.pages == 0:
            return min(max(self.min_calls, 1), _LARGEST_PAGE), 0
        counts = not self.satisfied or self.to_given or self.total is None
        if counts and self.pages < _MOST_PAGES:
            return _LARGEST_PAGE, self._reach
        if self.satisfied and self.total is not None and not self._looked_behind:
            self._looked_behind = True
            return _LARGEST_PAGE, max(self._reach, self.total - _LARGEST_PAGE)
        return None

    def receive(self, offset: int, page: Page) -> None:
        """
        Take in a page.

        :param offset: what it was asked for by
        :param page: what came
        """
        self.pages += 1
        if page.total is not None:
            self.total = page.total
        known = len(self._starts) + len(self._others)
        for row in page.rows:
            start = started_at(row)
            if start is not None and self.from_ms <= start < self.to_ms:
                self._starts[row.call_id] = start
            else:
                self._others.add(row.call_id)
        if offset == self._reach:
            self._reach += len(page.rows)
            grown = len(self._starts) + len(self._others) > known
            self._ended = not grown or (self.total is not None and self._reach >= self.total)

    @property
    def count(self) -> int:
        """Return how many calls count: those seen, and those declared that were not seen to be others."""
        if self._ended or self.total is None:
            return len(self._starts)
        return max(len(self._starts), self.total - len(self._others))

    @property
    def satisfied(self) -> bool:
        """Tell whether enough calls were seen, with their own start in the bounds."""
        enough = min(self.min_calls, _LARGEST_PAGE)
        return len(self._starts) >= enough and self.count >= self.min_calls

    def result(self) -> dict[str, Any]:
        """Return what the sensor hands on: counts and instants, never data of a call."""
        newest = max(self._starts.values(), default=None)
        return {
            "model_id": self.query.model_id,
            "from_date": format_instant(self.from_ms),
            "count": self.count,
            "newest_start_time": None if newest is None else format_instant(newest),
        }


def poll(sender: Sender, state: Poll) -> Poll:
    """
    Carry out a poll.

    :param sender: where to ask
    :param state: what to ask for
    :raises SynthflowError: typed
    """
    while (ask := state.next_page()) is not None:
        limit, offset = ask
        state.receive(offset, sender.page(state.asked, limit, offset))
    return state


async def wait_for_calls(
    sender: AsyncSender,
    state: Poll,
    patience: Patience,
    *,
    deadline_ms: int | None = None,
    clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Poll | None:
    """
    Poll again and again until enough calls have started; trouble that may pass is waited out.

    :param sender: where to ask
    :param state: what to ask for
    :param patience: how long to wait between two polls
    :param deadline_ms: when to give up, UTC milliseconds since 1970; there is a last look then; default: never
    :param clock: gives the time, UTC milliseconds since 1970
    :return: the poll that found enough, or None where the time was over
    :raises SynthflowError: typed, for what does not pass
    """
    pause, over = patience.at_first(sender.companions), False
    while not over:
        left = float("inf") if deadline_ms is None else max(0.0, (deadline_ms - clock()) / 1000)
        over = pause >= left
        await sender.wait(min(pause, left))
        if over and patience.failures:
            break  # what the server asked to wait is not cut short by a last look
        look = state.again(clock())
        try:
            if not look.lies_ahead:
                while (ask := look.next_page()) is not None:
                    limit, offset = ask
                    look.receive(offset, await sender.page(look.asked, limit, offset))
        except PASSING as error:
            pause = patience.after_error(error)
            log.warning("This look brought no answer, the next one may, in %.0f s: %s", pause, error)
            continue
        if look.satisfied:
            return look
        log.info("%d of %d calls since %s.", look.count, look.min_calls, format_instant(look.from_ms))
        pause = patience.after_look()
    return None
