# SPDX-License-Identifier: Apache-2.0
"""The extraction of one window: ask for more than the window, walk to the end, keep what belongs. Plain Python."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from airflow_provider_synthflow.earlier import EarlierPages
from airflow_provider_synthflow.exceptions import SynthflowProtocolError
from airflow_provider_synthflow.instants import format_instant
from airflow_provider_synthflow.page_order import NOWHERE, PageOrder, newest_first, placed
from airflow_provider_synthflow.privacy import Privacy
from airflow_provider_synthflow.progress import Progress
from airflow_provider_synthflow.reading import look_ahead, read_pages
from airflow_provider_synthflow.statuses import is_terminal
from airflow_provider_synthflow.walk import Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_synthflow.client.query import CallsQuery
    from airflow_provider_synthflow.client.rows import CallRow
    from airflow_provider_synthflow.client.sender import Sender
    from airflow_provider_synthflow.page_order import Placed
    from airflow_provider_synthflow.resume.resume import Resume
    from airflow_provider_synthflow.spill import Spill
    from airflow_provider_synthflow.window import Window

__all__ = ["Extraction", "WindowPlan", "extract_window"]

log = logging.getLogger(__name__)

MARGIN_MS = 1_000
"""Before the window: calls on its first millisecond come whichever way the server counts its bounds."""

LEAST_SETTLE_MS = 60_000
"""After the window, at least: the API's to_date may bound a call's end."""

STRAY_MS = 24 * 3_600_000
"""How far outside of what was asked for a call may lie before the window counts as ignored."""

_NAMED = 10


@dataclass(frozen=True)
class WindowPlan:
    """
    Say how to extract a window.

    :param window: the window
    :param query: the agent and the filters; its bounds are set by the plan
    :param settle_ms: milliseconds after the window's end during which a call of the window may change or end
    :param include_unplaced: whether a final call without any readable start is included, or an error
    :param concurrency: pages in flight
    :param max_walks: how often the pages are walked before giving up
    """

    window: Window
    query: CallsQuery
    settle_ms: int
    include_unplaced: bool = False
    concurrency: int = 4
    max_walks: int = 5

    @property
    def settled_ms(self) -> int:
        """Return the instant from which on the window's calls are settled, in UTC milliseconds since 1970."""
        return self.window.to_ms + self.settle_ms

    @property
    def asked(self) -> CallsQuery:
        """Return the query with the bounds that are sent: more than the window, on both sides."""
        return self.query.between(
            max(0, self.window.from_ms - MARGIN_MS), self.window.to_ms + max(self.settle_ms, LEAST_SETTLE_MS)
        )


@dataclass(frozen=True)
class Extraction:
    """
    Tell what an extraction found; the calls themselves are in the spill.

    :param count: calls in the window
    :param unsettled: of them, those not in a final status
    :param not_started: calls without a start that are not final: they come with the window in which they start
    :param unplaced: final calls without a start that were included
    :param total_records: what the server declared for what was asked; None where it declares nothing
    :param pages: pages of the complete walk
    :param requests: requests sent, retries included
    :param walks: walks needed
    :param retries: of the requests, those sent again
    :param waits: how often a request waited, for the pace or before a further try
    :param recalled: of the pages, those that an earlier try of the task had read at first
    """

    count: int
    unsettled: int
    not_started: int
    unplaced: int
    total_records: int | None
    pages: int
    requests: int
    walks: int
    retries: int = 0
    waits: int = 0
    recalled: int = 0


def extract_window(
    sender: Sender,
    plan: WindowPlan,
    spill: Spill,
    *,
    privacy: Privacy | None = None,
    sleep: Callable[[float], None] | None = None,
    resume: Resume | None = None,
) -> Extraction:
    """
    Bring the calls of one window into a spill, each exactly once, proven complete.

    :param sender: where to ask
    :param plan: what to ask for
    :param spill: where to keep the calls; empty at first
    :param privacy: what to take out of them before they are kept
    :param sleep: how to wait between two walks, in seconds; default: as the sender waits, which its closing ends
    :param resume: what keeps pages for a further try, and has those of an earlier one; default: none is kept
    :raises SynthflowError: typed; then the spill holds nothing of use
    """
    before = (sender.requests, sender.retries, sender.waits)
    asked = plan.asked
    earlier = EarlierPages()
    # Read from the oldest call on, the calls come in the order of the file, which can be written meanwhile.
    walk = Walk(
        look_ahead=look_ahead(plan.concurrency), max_walks=plan.max_walks, from_the_end=newest_first, earlier=earlier
    )
    keeper = _Keeper(plan, spill, privacy or Privacy())
    order = PageOrder()
    progress = Progress()
    log.info("Reading %s of agent %s: asking %s for %s.", plan.window, asked.model_id, sender.settings.host, asked)
    if resume is not None:
        for page in resume.take_up(earlier):  # before the first answer, since of two readings the later counts
            keeper.take(order.take(page, keeper.place(page.rows), backward=newest_first(page)))
    for page in read_pages(
        walk,
        lambda limit, offset: sender.page(asked, limit, offset),
        concurrency=plan.concurrency,
        sleep=sleep or sender.wait,
    ):
        keeper.take(order.take(page, keeper.place(page.rows), backward=walk.tail_first))
        if resume is not None:
            resume.keep(page, walk)
        line = progress.line(walk.walks, len(page.rows), walk.total, there=walk.recalled_rows)
        if line is not None:
            log.info("%s", line)
    keeper.take(order.rest())
    requests, retries, waits = before
    return keeper.finish(walk, sender.requests - requests, sender.retries - retries, sender.waits - waits)


class _Mark(Enum):
    """Say what is to be counted of a call."""

    UNSETTLED = "in the window and not final"
    NOT_STARTED = "without a start and not final"
    UNPLACED = "without a start and final"


class _Keeper:
    """Sort what comes into: in this window, not started, without a place, and elsewhere."""

    def __init__(self, plan: WindowPlan, spill: Spill, privacy: Privacy) -> None:
        self._window = plan.window
        self._include_unplaced = plan.include_unplaced
        reach = plan.settle_ms + STRAY_MS
        self._earliest = plan.window.from_ms - reach
        self._latest = plan.window.to_ms + reach
        self._spill = spill
        self._privacy = privacy
        self._marks: dict[str, _Mark] = {}  # most calls have none

    def place(self, rows: Sequence[CallRow]) -> list[Placed]:
        """Find out when calls started; raise where one did far from what was asked for."""
        calls = [placed(row) for row in rows]
        if calls and not self._earliest <= min(calls)[0] <= max(calls)[0] <= self._latest:
            for start, call_id, row in calls:
                # One that never became final may be stuck since long ago, and match a filter on the end of calls.
                near = start == NOWHERE or self._earliest <= start <= self._latest
                if not near and is_terminal(row.status):
                    msg = (
                        f"The API ignored the window: asked for {self._window}, it sent a call that started at "
                        f"{format_instant(start)}. Nothing was written."
                    )
                    raise SynthflowProtocolError(msg, call_ids=[call_id])
        return calls

    def take(self, calls: Sequence[Placed]) -> None:
        """Take in calls; of two readings of the same call the later one counts."""
        low, high = self._window.from_ms, self._window.to_ms
        for start, call_id, row in calls:
            final = is_terminal(row.status)
            inside = low <= start < high
            mark = None if final or not inside else _Mark.UNSETTLED
            if start == NOWHERE:
                mark = _Mark.UNPLACED if final else _Mark.NOT_STARTED
                inside = final and self._include_unplaced
                start = high  # noqa: PLW2901 - where it is included, it comes last
            if mark is not None:
                self._marks[call_id] = mark
            elif self._marks:
                self._marks.pop(call_id, None)
            key = self._privacy.key_of(call_id)
            if inside:
                self._spill.put(key, start, row.raw if row.stored else self._privacy.apply(row.raw))
            else:
                self._spill.discard(key)

    def finish(self, walk: Walk, requests: int, retries: int, waits: int) -> Extraction:
        """Leave in the spill what the complete walk holds."""
        for key in walk.gone():
            self._marks.pop(key, None)
            self._spill.discard(self._privacy.key_of(key))
        marked = Counter(self._marks.values())
        if marked[_Mark.UNPLACED] and not self._include_unplaced:
            unplaced = sorted(key for key, mark in self._marks.items() if mark is _Mark.UNPLACED)
            named = ", ".join(unplaced[:_NAMED]) + (", …" if len(unplaced) > _NAMED else "")
            msg = (
                f"{len(unplaced)} final calls have no readable start, so that no window is known to be theirs: "
                f"{named}. Nothing was written. Set on_unplaced='include' to have them in this window, marked."
            )
            raise SynthflowProtocolError(msg, call_ids=unplaced)
        return Extraction(
            count=len(self._spill),
            unsettled=marked[_Mark.UNSETTLED],
            not_started=marked[_Mark.NOT_STARTED],
            unplaced=marked[_Mark.UNPLACED],
            total_records=walk.total,
            pages=walk.pages,
            requests=requests,
            walks=walk.walks,
            retries=retries,
            waits=waits,
            recalled=walk.recalled,
        )
