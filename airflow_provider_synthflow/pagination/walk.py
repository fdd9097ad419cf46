# SPDX-License-Identifier: Apache-2.0
"""
The walk over the pages of a moving list: what to ask next, and when all of it has come. Pure: no network, no clock.

A round reads all pages, several at a time. What it proves, :mod:`~airflow_provider_synthflow.pagination.proof` says.
Where the proof fails, the pages to blame are read again (a repair), or all are; where the API declares no total, its
order is not stable or rows come twice, two rounds must agree. Each round counts as a walk, and their number is bounded.

A total is believed after a look behind it. Where rows lie there, the list is read as one without a total.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_synthflow.pagination.agreement import Agreement
from airflow_provider_synthflow.pagination.look_behind import Behind, LookBehind
from airflow_provider_synthflow.pagination.page_ranges import PageAsk, PageLayout, RowRange
from airflow_provider_synthflow.pagination.page_readings import PageReadings
from airflow_provider_synthflow.pagination.page_troubles import PageTroubles, refused_twice
from airflow_provider_synthflow.pagination.proof import PageDefect, PageIds, find_defect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.exceptions import SynthflowRequestError
    from airflow_provider_synthflow.pagination.proof import Verdict
    from airflow_provider_synthflow.pagination.recalled_pages import RecalledPages

__all__ = ["Walk"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


class Walk:
    """The reading of all pages of one query until they are proven complete."""

    # Send what `asks` returns, the first of a further round after its pause, and give each page to `receive`, until
    # `done`. Where `from_the_end` says so of the first page, the first round goes on backward from the last one.

    def __init__(
        self, *, limit: int = 100, offset: int = 0, look_ahead: int = 1, max_walks: int = 5,
        from_the_end: Callable[[Page], bool] | None = None, earlier: RecalledPages | None = None,
    ) -> None:  # fmt: skip
        self.done, self.walks = False, 1
        self.total: int | None = None
        self.recalled = self.recalled_rows = 0
        # Known once it is done: the different ids, and the rows that came twice in a list that sends rows twice.
        self.distinct = self.repeated = 0
        self.tail_first = False
        self._limit = self._full_limit = limit
        self._offset = offset
        self._look_ahead, self._max_walks = max(1, look_ahead), max(1, max_walks)
        self._earlier = earlier
        self._from_the_end = from_the_end
        self._serial = 0
        self._total_serial = -1
        self._told_limit = limit  # the least that a page echoed
        self._readings = PageReadings(offset)
        self._known: set[str] = set()  # the ids of this round, where no total is declared
        self._flying: set[int] = set()
        self._to_read: deque[RowRange] = deque([RowRange(offset)])
        self._behind = LookBehind()
        self._asked = 0
        self._aborted = False
        self._distrusted = False  # the declared total is not the number of rows
        self._least = 0  # so many there are, since more lie behind the total
        self._is_early = False  # a page begins with the row before the one that it was asked for from
        self._trouble = PageTroubles()
        self._exceeded = False  # an earlier round brought more rows than were declared
        self._agreement = Agreement()

    @property
    def pages(self) -> int:
        """Return how many pages the present round has read, at least one."""
        return max(1, len(self._readings))

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of the complete list, none before it is done."""
        return self._readings.ids() if self.done else frozenset()

    def gone(self) -> Iterator[str]:
        """Yield the ids that came with used pages and are not in the complete list, each once."""
        return self._readings.gone()

    def asks(self) -> list[PageAsk]:
        """Return the pages to ask for now; none while an answer must come first."""
        asks: list[PageAsk] = []
        while not self.done and len(self._flying) < self._look_ahead and (ask := self._next_ask()):
            self._serial += 1
            self._asked += 1
            self._flying.add(ask.serial)
            asks.append(ask)
        if not asks and not self._flying and not self.done:
            msg = "The walk stands still, which it never should: please report this."
            raise AssertionError(msg)  # better than to be asked again for ever
        return asks

    def receive(self, ask: PageAsk, page: Page) -> bool:
        """Add a page, and return whether its rows are to be used."""
        usable = self._take(ask, page)
        if self._earlier is not None:
            self._recall(self._earlier)
        self._land(ask)
        return usable

    def refuse(self, ask: PageAsk, error: SynthflowRequestError) -> None:
        """Handle the API's refusal of a page: the list ends before it, or cannot be read that far."""
        if ask.start == self._offset and not ask.closing:
            raise error
        self._trouble.mend(ask.offset)
        if ask.closing:
            self._refuse_closing(ask, error)
        else:
            is_due = ask.start < self.total if self.total is not None else not self._ends_at(ask)
            if is_due and ask.offset in self._trouble.asked_again:
                self._trouble.far = ask.offset, error
                self._aborted = True
            self._take_nothing(ask, self.total, PageDefect.REFUSED)
        self._land(ask)

    def _refuse_closing(self, ask: PageAsk, error: SynthflowRequestError) -> None:
        """Ask again with the last row in front, behind which the refusal may hide rows."""
        if self.total is None or ask.offset < self.total or self._behind.looks > 1:
            raise refused_twice(ask.offset, error)
        self._look_behind(is_refused=True)

    def _land(self, ask: PageAsk) -> None:
        self._flying.remove(ask.serial)
        if not self._flying and self._behind.ask is None and self._next_part(look=True) is None:
            self._end_round()

    # what to ask

    @property
    def _page_size(self) -> int:
        return min(self._limit, self._readings.most_rows) or self._limit

    @property
    def _overlap(self) -> int:
        return 1 if self._page_size > 1 else 0

    @property
    def _end(self) -> int | None:
        """Return the index of the list's end, None where it is unknown."""
        return min((end for end in (self.total, self._trouble.horizon) if end is not None), default=None)

    def _next_ask(self) -> PageAsk | None:
        if self._behind.ask is not None:
            return self._behind.pop_ask()
        part = self._next_part()
        if part is None:
            return None
        layout = PageLayout(self._offset, self._page_size, self._overlap, self._end)
        page, rest = layout.last(part) if self.tail_first else layout.first(part)
        self._to_read.extendleft(rest)
        is_further = self.walks > 1 and not self._asked
        pause = min(_FIRST_PAUSE * 2 ** (self.walks - 2), _LONGEST_PAUSE) if is_further else 0.0
        shift = self._agreement.shift
        return PageAsk(page.reach, self._limit, self._serial, page.stop, behind=page.behind, shift=shift, pause=pause)

    def _next_part(self, *, look: bool = False) -> RowRange | None:
        """Return the next part of the list to read, and remove it unless ``look`` is set."""
        end = self._end
        if end is None and self._flying:
            return None  # nobody says where the end is: one page after the other
        while self._to_read and not self._aborted and self._asked < self._budget:
            # The first page of a round is asked for whatever the round before said of the end.
            if end is None or self._to_read[0].reach < end or (not self._asked and not self._readings):
                return self._to_read[0] if look else self._to_read.popleft()
            self._to_read.popleft()
        return None

    @property
    def _is_full(self) -> bool:
        """Tell whether the last page is full, so that rows may lie behind the total."""
        return self._readings.may_go_on(self.total, self._limit, self._told_limit)

    def _look_behind(self, *, is_refused: bool = False) -> None:
        """Ask for a page behind the total."""
        shift, total = self._agreement.shift, self.total or 0
        # The last row is another one where the first had its place.
        before = int(shift or self._agreement.is_doubled(self._readings))
        start = self._behind.begin(total, self._readings, before=before, is_refused=is_refused)
        self._behind.ask = PageAsk(start, self._limit, self._serial, behind=True, closing=True, shift=shift)

    @property
    def _budget(self) -> int:
        """Return how many pages a round may ask for: twice what the total calls for, and some."""
        if self.total is None:
            return self._asked + 1  # each page has to bring something new, and the first that does not ends it
        return 2 * (max(0, self.total - self._offset) // max(1, self._page_size - self._overlap) + 1) + 8

    # what came

    def _take(self, ask: PageAsk, page: Page) -> bool:
        ids: Sequence[str] = [row.call_id for row in page.rows]
        total = None if self._distrusted else page.total
        different = tuple(dict.fromkeys(ids)) if self._agreement.drops_repeats else ids
        if ask.closing and self._closes(ask, total, different):
            return False
        self._is_early = self._is_early or self._readings.is_early(ask.start, ids)
        defect = find_defect(ask, page, ids)
        if defect is PageDefect.TWICE:
            self._trouble.see_doubles(ask.offset, ids)
        if defect is not None and not self._is_tolerable(ask, defect, ids, total):
            return self._reject(ask, defect)
        self._trouble.mend(ask.offset)
        self._hear(ask, page.limit, total)
        used = self._take_undeclared(ask, ids) if total is None else self._take_declared(ask, ids, total)
        if used is not None:
            return used
        if total is not None and self._from_the_end is not None:
            self.tail_first, self._from_the_end = self._from_the_end(page), None
        return self._keep(ask, PageIds(ask.start, ask.serial, different, total, len(ids) - len(different)))

    def _is_tolerable(self, ask: PageAsk, defect: PageDefect, ids: Sequence[str], total: int | None) -> bool:
        """Tell whether a defect is the list's own way: repeated rows, or the last page again behind its end."""
        if total is None:
            is_end = defect is PageDefect.OTHER_OFFSET and ask.behind and self._known.issuperset(ids)
            return is_end and ask.offset in self._trouble.asked_again  # an accident does not come again
        if defect is PageDefect.ONE_MORE and ask.offset > 0:
            return ask.shift > 0  # the last row of the page before stands in front, beyond the limit
        return defect is PageDefect.TWICE and self._trouble.has_doubles

    def _hear(self, ask: PageAsk, limit: int | None, total: int | None) -> None:
        """Record what a page says about the list."""
        self._told_limit = min(self._told_limit, limit or self._told_limit)
        if total is not None and ask.serial > self._total_serial:
            self.total, self._total_serial = total, ask.serial
        self._trouble.check_far(total)

    def _take_declared(self, ask: PageAsk, ids: Sequence[str], total: int) -> bool | None:
        """Handle a page of no use where a total is declared; None where it is of use."""
        if total == 0 and ids and ask.offset == 0:
            return self._distrust()
        if not ids:
            return self._take_nothing(ask, total, PageDefect.EMPTY)
        if ask.start >= total and ask.start > 0:
            return False  # past the end, whatever the server shows there
        if ask.start > self._offset and len(ids) <= self._overlap and ask.start + len(ids) < total:
            return self._take_nothing(ask, total, PageDefect.NO_PROGRESS)
        return None

    def _closes(self, ask: PageAsk, total: int | None, ids: Sequence[str]) -> bool:
        """Tell whether a page behind the total is no ordinary page, and act on it."""
        found = self._behind.judge(ask, ids, total, total=self.total or 0, readings=self._readings)
        if found is Behind.NOTHING:
            self._hear(ask, None, total)
        elif found is Behind.UNSURE:
            self._look_behind()
        elif found is Behind.MORE:
            self._distrust()
        elif found in {Behind.DISPLACED, Behind.EARLY}:
            self._trouble.set(ask.offset, PageDefect.TWICE)  # repeats take the place of rows: they are no rows
            self._is_early = found is Behind.EARLY
        return found is not Behind.GROWN

    def _distrust(self) -> bool:
        """Ignore the total from the next round on."""
        self._distrusted = self._aborted = True
        return False

    def _keep(self, ask: PageAsk, reading: PageIds) -> bool:
        twin = self._readings.add(reading)
        if twin is not None:
            self._readings.forget([twin])  # one of the two is not what was asked for, and nobody knows which
            self._aborted = True
            self._trouble.set(max(twin.start, reading.start), PageDefect.OTHER_ROWS)
            return False
        if ask.stop is None or reading.end < ask.stop:
            self._to_read.appendleft(self._readings.after(reading, self._overlap, ask.stop))
        return True

    def _recall(self, earlier: RecalledPages) -> None:
        """Add the pages of an earlier walk if the first page bears them out."""
        self._earlier = None
        recalled = earlier.borne_out(list(self._readings), total=self.total, overlap=self._overlap)
        self._readings.recall(recalled, earlier.forgotten)
        if recalled:
            self.recalled, self.recalled_rows = len(recalled), sum(reading.count for reading in recalled)
            missing = self._readings.missing(self._overlap)
            self._to_read = deque(reversed(missing)) if self.tail_first else missing

    def _take_undeclared(self, ask: PageAsk, ids: Sequence[str]) -> bool | None:
        """Handle a page that brings nothing new where no total is declared; None where it does."""
        if not ids:
            return self._take_nothing(ask, None, PageDefect.EMPTY)
        if self._distrusted and self._readings and self._known.isdisjoint(ids) and not ask.behind:
            self._trouble.set(ask.offset, PageDefect.OTHER_ROWS)
            self._aborted = True  # rows without any connection may come for ever
            return False
        if not self._known.issuperset(ids):
            self._known.update(ids)
            return None
        if ask.behind:
            return True  # some servers show the last page again behind the end
        if len(ids) == 1 and self._readings.tail(1) == list(ids) and (self._overlap or len(self._known) == 1):
            self._to_read = deque([RowRange(ask.start + 1, behind=True)])  # the seam alone: look behind it
            return True
        return self._reject(ask, PageDefect.NO_PROGRESS)

    def _ends_at(self, ask: PageAsk) -> bool:
        """Tell whether a list without a total may end at a page."""
        return self.total is None and (ask.behind or not self._overlap or ask.start == self._offset)

    def _take_nothing(self, ask: PageAsk, total: int | None, defect: PageDefect) -> bool:
        """Handle a page that brings nothing: the end, or a defect."""
        if total is None and self._ends_at(ask):
            if not ask.behind:
                self._to_read = deque([RowRange(ask.start, behind=True)])
            return False
        # The declared total says that there is more, or a page does not even begin with the row that was there before.
        return (total is None or ask.start < total) and self._reject(ask, defect)

    def _reject(self, ask: PageAsk, defect: PageDefect) -> bool:
        """Ask again for a page that cannot be used; where that was done before, the round has failed."""
        self.tail_first = False  # what can be read is read from where the list begins
        if not self._trouble.add(ask.offset, defect) and not ask.closing:
            begins = ask.behind or ask.start == self._offset
            self._to_read.appendleft(RowRange(ask.start + (0 if begins else self._overlap), ask.stop, ask.behind))
        elif self.total is None:
            self._aborted = True  # without a total, nothing says how far it would be sensible to go on
        return False

    # what is proven

    def _end_round(self) -> None:
        """End a round: the walk is done, goes on with another round, or fails."""
        readings, agreement, total = self._readings, self._agreement, self.total
        verdict = readings.verify(total, self._overlap)
        bad = None
        self._limit = self._full_limit
        if self._distrusted and total is not None:
            pass
        elif not self._trouble and verdict.distinct >= self._least and agreement.adds_up(verdict, readings):
            is_due = self._is_full or agreement.shift > 0 or agreement.is_doubled(readings)
            if total is not None and is_due and not self._behind.looks:
                self._look_behind()
                return
            if self._prove(verdict):
                return
        else:
            bad = self._find_bad(verdict)
        if self._distrusted and total is not None:
            self._agreement = Agreement()
            self.total, self._least = None, max(0, total - self._offset)
        self._trouble.check(verdict, self.total, self.walks, self._max_walks, distrusted=self._distrusted)
        self._begin_round(bad)

    def _prove(self, verdict: Verdict) -> bool:
        """Finish where what adds up is complete."""
        readings, agreement = self._readings, self._agreement
        if agreement.is_proven(verdict, readings, declared=self.total is not None, overlap=self._overlap):
            self.done, self.distinct = True, verdict.distinct
            self.repeated = readings.repeated() + (len(readings) - 1 if agreement.shift else 0)
        elif not verdict.counted:
            # Cut in another way, a list that has rows twice is the same; pages that lose rows are not.
            self._limit = max(2, readings.most_rows // 2 + 1)
        return self.done

    def _find_bad(self, verdict: Verdict) -> frozenset[int] | None:
        """Return the pages to blame for a round that does not add up, None for all, and adapt the next round."""
        self._agreement.found = None
        declared = self.total is not None and verdict.steady
        doubles = declared and (self._trouble.has_doubles or self._trouble.has(PageDefect.TWICE))
        if self._agreement.changes(doubles=doubles, early=declared and self._is_early):
            self._readings.forget_all()
            return None
        if verdict.exceeded and verdict.steady:
            # More than was declared, on a full page or twice on end: a list that changes seldom looks so.
            self._distrusted, self._exceeded = self._exceeded or self._is_full, True
            return None
        return verdict.bad if verdict.bad or self._trouble else None

    def _begin_round(self, bad: frozenset[int] | None) -> None:
        self.walks += 1
        self.recalled_rows, self.tail_first = 0, False  # some are read again
        self._readings.give_up(None if self.total is None else bad, len(self._trouble))
        if self._trouble.has_doubles or self._agreement.expects_repeats or self._distrusted or self._trouble.far:
            self._readings.forget_all()
        self._trouble.begin_round()
        self._behind = LookBehind()
        self._is_early = self._aborted = False
        self._asked = 0
        self._known = set()
        self._to_read = self._readings.missing(self._overlap)
        if self._next_part(look=True) is None:  # all is covered, and does not agree all the same
            self._readings.give_up(None, 0)
            self._to_read = self._readings.missing(self._overlap)
