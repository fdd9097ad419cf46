# SPDX-License-Identifier: Apache-2.0
"""Look whether calls have started: what a sensor asks, and what the answer means."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.counting import Counting
from airflow_provider_synthflow.exceptions import (
    SynthflowProtocolError,
    SynthflowRequestError,
    SynthflowTransientError,
)
from airflow_provider_synthflow.extraction import MARGIN_MS, STRAY_MS
from airflow_provider_synthflow.instants import format_instant

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


@dataclass
class Poll:
    """
    Drive one poll: has a number of calls started since an instant?

    Send what :meth:`next_page` returns and give the answer to :meth:`receive` or :meth:`refuse`, until there is none
    to send. Mostly that is one small page: where there are fewer calls than are waited for, the declared total tells.
    Once there are enough, the page at the other end of the list follows, and where calls that do not count are among
    them, a few more (:class:`~airflow_provider_synthflow.counting.Counting`).

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
    _counting: Counting = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count."""
        self._counting = Counting(self.from_ms, self.to_ms, self.min_calls)

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
        return self.query.between(max(0, self.from_ms - MARGIN_MS), self.to_ms + STRAY_MS if self.to_given else None)

    def next_page(self) -> tuple[int, int] | None:
        """Return the limit and the offset of the next page to ask for, or None where the answer is known."""
        return self._counting.next_page()

    def receive(self, offset: int, page: Page) -> None:
        """
        Take in a page.

        :param offset: what it was asked for by
        :param page: what came
        """
        self._counting.receive(offset, page)

    def refuse(self, offset: int, error: SynthflowRequestError) -> None:
        """
        Take in that the API refused a page; what it does behind a list's end, or far in it, is not documented.

        :param offset: what it was asked for by
        :param error: how it was refused
        :raises SynthflowRequestError: that, where it was the first page
        """
        if offset == 0:
            raise error
        self._counting.refuse(offset)

    @property
    def count(self) -> int:
        """Return how many calls count, as far as it is known: at least so many."""
        return self._counting.count

    @property
    def satisfied(self) -> bool:
        """Tell whether enough calls started in the bounds."""
        return self.count >= self.min_calls

    def result(self) -> dict[str, Any]:
        """Return what the sensor hands on: counts and instants, never data of a call."""
        newest = max(self._counting.starts.values(), default=None)
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
        try:
            page = sender.page(state.asked, limit, offset)
        except SynthflowRequestError as error:
            state.refuse(offset, error)
        else:
            state.receive(offset, page)
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
                    try:
                        page = await sender.page(look.asked, limit, offset)
                    except SynthflowRequestError as error:
                        look.refuse(offset, error)
                    else:
                        look.receive(offset, page)
        except PASSING as error:
            pause = patience.after_error(error)
            log.warning("This look brought no answer, the next one may, in %.0f s: %s", pause, error)
            continue
        if look.satisfied:
            return look
        log.info("%d of %d calls since %s.", look.count, look.min_calls, format_instant(look.from_ms))
        pause = patience.after_look()
    return None
