# SPDX-License-Identifier: Apache-2.0
"""The extraction of one window: ask for more than the window, walk to the end, keep what belongs. Plain Python."""

from __future__ import annotations

import logging
from collections import Counter
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING

from airflow_provider_synthflow.client.raw_json import mend_surrogates
from airflow_provider_synthflow.exceptions import SynthflowError, SynthflowProtocolError
from airflow_provider_synthflow.extraction.plan import STRAY_MS
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.progress import Progress
from airflow_provider_synthflow.extraction.result import WindowResult
from airflow_provider_synthflow.extraction.start_order import PageOrder, newest_first, with_starts
from airflow_provider_synthflow.pagination.fetch import look_ahead, read_client_pages
from airflow_provider_synthflow.pagination.filter_check import FilterCheck
from airflow_provider_synthflow.pagination.recalled_pages import RecalledPages
from airflow_provider_synthflow.pagination.walk import Walk
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from airflow_provider_synthflow.client.call import CallRow
    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.extraction.checkpoint import Checkpoint
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from airflow_provider_synthflow.extraction.spill import Spill
    from airflow_provider_synthflow.extraction.start_order import Started

__all__ = ["extract_window"]

log = logging.getLogger(__name__)

_NAMED = 10


def extract_window(
    client: SynthflowClient,
    plan: WindowPlan,
    spill: Spill,
    *,
    privacy: Privacy | None = None,
    sleep: Callable[[float], None] | None = None,
    resume: Checkpoint | None = None,
) -> WindowResult:
    """
    Bring the calls of one window into a spill, each exactly once, proven complete.

    :param client: where to ask
    :param plan: what to ask for
    :param spill: where to keep the calls; empty at first
    :param privacy: what to take out of them before they are kept
    :param sleep: how to wait between two walks, in seconds; default: as the client waits, which its closing ends
    :param resume: what keeps pages for a further try, and has those of an earlier one; default: none is kept
    :raises SynthflowError: typed; then the spill holds nothing of use
    """
    before = (client.requests, client.retries, client.waits)
    asked = plan.asked
    earlier = RecalledPages()
    # Read from the oldest call on, the calls come in the order of the file, which can be written meanwhile.
    walk = Walk(
        look_ahead=look_ahead(plan.concurrency), max_walks=plan.max_walks, from_the_end=newest_first, earlier=earlier
    )
    keeper = _Keeper(plan, spill, privacy or Privacy())
    order = PageOrder()
    progress = Progress()
    log.info("Reading %s: asking %s for %s; agent %s.", plan.window, client.settings.host, asked, asked.model_id)
    if resume is not None:
        for page in resume.take_up(earlier):  # before the first answer, since of two readings the later counts
            with client.settings.named_in_errors():
                placed = keeper.place(page)
            keeper.take(order.take(page, placed, backward=newest_first(page)))
    fetch = partial(client.answer, asked)
    for page in read_client_pages(walk, client, fetch, concurrency=plan.concurrency, sleep=sleep):
        with client.settings.named_in_errors():
            placed = keeper.place(page)
        keeper.take(order.take(page, placed, backward=walk.tail_first))
        if resume is not None:
            resume.keep(page, walk)
        line = progress.line(walk.walks, len(page.rows), walk.total, there=walk.recalled_rows)
        if line is not None:
            log.info("%s", line)
    keeper.take(order.rest())
    keeper.forget(walk.gone())
    with client.settings.named_in_errors():
        keeper.check_placed()
    requests, retries, waits = before
    return keeper.finish(walk, client.requests - requests, client.retries - retries, client.waits - waits)


class _Mark(Enum):
    """What is to be counted of a call."""

    UNSETTLED = "in the window and not final"
    NOT_STARTED = "without a start and not final"
    UNPLACED = "without a start and final"


class _Keeper:
    """The calls that come, sorted: in this window, not started, without a place, and elsewhere."""

    def __init__(self, plan: WindowPlan, spill: Spill, privacy: Privacy) -> None:
        self._window = plan.window
        self._include_unplaced = plan.include_unplaced
        reach = plan.settle_ms + STRAY_MS
        self._earliest = plan.window.from_ms - reach
        self._latest = plan.window.to_ms + reach
        self._spill = spill
        self._privacy = privacy
        self._check = FilterCheck(plan.query, include=plan.include_mismatched)
        self._marks: dict[str, _Mark] = {}  # most calls have none
        self._others: set[str] = set()  # of another agent or status
        self._mended: set[str] = set()
        self._has_addresses = False

    def place(self, page: Page) -> list[Started]:
        """
        Find out when the calls of a page started; those that came with a page sent later are left out.

        :raises SynthflowProtocolError: where one did far from what was asked for, or is not what was asked for
        """
        self._has_addresses = self._has_addresses or any(row.has_address for row in page.rows)
        others = self._check.find_others(page.rows)
        calls = with_starts(page.rows)
        if page.stale:
            calls = [call for call in calls if call[1] not in page.stale]
        if others or self._others:
            self._others.difference_update(call_id for _, call_id, _ in calls)
            self._others.update(others - page.stale)
        if calls and not self._earliest <= min(calls)[0] <= max(calls)[0] <= self._latest:
            for start, call_id, row in calls:
                # One that never became final may be stuck since long ago, and match a filter on the end of calls.
                near = row.started_ms is None or self._earliest <= start <= self._latest
                if not near and row.final:
                    msg = (
                        f"The API ignored the window: asked for {self._window}, it sent a call that started at "
                        f"{format_instant(start)}. Nothing was written."
                    )
                    raise SynthflowProtocolError(msg, call_ids=[call_id])
        return calls

    def take(self, calls: Sequence[Started]) -> None:
        """Take in calls; of two readings of the same call the later one counts."""
        low, high = self._window.from_ms, self._window.to_ms
        keys = [call_id for _, call_id, _ in calls]
        orders = [start for start, _, _ in calls]
        records: list[bytes | None] = [row.raw for _, _, row in calls]
        as_they_came = not (self._privacy or self._privacy.named.unseen)
        for at, (start, call_id, row) in enumerate(calls):
            is_plain = row.final and low <= start < high and not row.has_halves
            if is_plain and as_they_came and call_id not in self._marks and call_id not in self._mended:
                continue  # nearly all calls
            keys[at] = self._privacy.to_key(call_id)
            orders[at], records[at] = self._keep(start, row)
        self._spill.put(keys, orders, records)

    def _keep(self, start: int, row: CallRow) -> tuple[int, bytes | None]:
        """Return what a call is sorted by and what is kept of it, None for nothing; and mark what is to be counted."""
        call_id, final = row.call_id, row.final
        inside = self._window.from_ms <= start < self._window.to_ms
        mark = None if final or not inside else _Mark.UNSETTLED
        if row.started_ms is None:
            mark = _Mark.UNPLACED if final else _Mark.NOT_STARTED
            inside = final and self._include_unplaced
            start = self._window.to_ms  # where it is included, it comes last
        self._marks.pop(call_id, None)
        self._mended.discard(call_id)
        if mark is not None:
            self._marks[call_id] = mark
        if not inside:
            self._others.discard(call_id)
            return 0, None
        raw = mend_surrogates(row.raw) if row.has_halves else row.raw
        if raw is not row.raw:
            self._mended.add(call_id)
        return start, raw if row.stored else self._privacy.apply(raw)

    def forget(self, gone: Iterable[str]) -> None:
        """Forget the calls that the complete walk holds no more."""
        for key in gone:
            self._marks.pop(key, None)
            self._others.discard(key)
            self._mended.discard(key)
            self._spill.put([self._privacy.to_key(key)], [0], [None])

    def check_placed(self) -> None:
        """Raise where a final call has no place in any window, unless it is to be included here."""
        unplaced = sorted(key for key, mark in self._marks.items() if mark is _Mark.UNPLACED)
        if not unplaced or self._include_unplaced:
            return
        named = ", ".join(map(SynthflowError.show_id, unplaced[:_NAMED])) + (", …" if len(unplaced) > _NAMED else "")
        msg = (
            f"{len(unplaced)} final calls have no readable start, so that no window is known to be theirs: "
            f"{named}. Nothing was written. Set on_unplaced='include' to have them in this window, marked."
        )
        raise SynthflowProtocolError(msg, call_ids=unplaced)

    def finish(self, walk: Walk, requests: int, retries: int, waits: int) -> WindowResult:
        """Return the numbers of the calls that are in the spill."""
        self._spill.expect(walk.distinct)
        marked = Counter(self._marks.values())
        return WindowResult(
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
            repeated=walk.repeated,
            mended=len(self._mended),
            mismatched=len(self._others),
            has_addresses=self._has_addresses,
        )
