# SPDX-License-Identifier: Apache-2.0
"""
The walk over the pages of a moving list: what to ask next, and when all of it has come. Pure: no network, no clock.

A round reads all pages, several at a time. What it proves, :mod:`~airflow_provider_synthflow.pagination.proof` says.
Where the proof fails, the pages to blame are read again (a repair), or all are; where the API declares no total or its
order is not stable, two rounds must bring the same ids. Each round counts as a walk, and their number is bounded.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import (
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
)
from airflow_provider_synthflow.pagination.packed_ids import fingerprint, ids_gone
from airflow_provider_synthflow.pagination.page_ranges import PageAsk, PageLayout, RowRange
from airflow_provider_synthflow.pagination.proof import PageDefect, PageIds, find_defect, verify_pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.pagination.recalled_pages import RecalledPages

__all__ = ["Walk"]

_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 10.0
_SAME_TROUBLE = 3


class Walk:
    """
    Drive the reading of all pages of one query until the result is proven complete.

    Send what :meth:`asks` returns, give each page to :meth:`receive`, until :attr:`done`; before the requests of a
    further round wait :attr:`pause` seconds. Then :attr:`ids` are the complete list, and :meth:`gone` what left it.

    :param limit: the page size to ask for
    :param offset: the index of the first row of interest
    :param look_ahead: how many pages may be in flight
    :param max_walks: how often the list is walked before it is given up
    :param from_the_end: says of the first page whether the first round goes on with the last one, and back from there,
        while a total is declared and all pages can be used; default: never
    :param earlier: pages that were read before, to be taken up if the first page bears them out; default: none
    """

    def __init__(
        self, *, limit: int = 100, offset: int = 0, look_ahead: int = 1, max_walks: int = 5,
        from_the_end: Callable[[Page], bool] | None = None, earlier: RecalledPages | None = None,
    ) -> None:  # fmt: skip
        self.done = False
        self.walks = 1
        self.pause = 0.0
        self.total: int | None = None
        self.recalled = self.recalled_rows = 0
        self.tail_first = False
        self._limit = limit
        self._offset = offset
        self._look_ahead = max(1, look_ahead)
        self._max_walks = max(1, max_walks)
        self._earlier = earlier
        self._from_the_end = from_the_end
        self._serial = 0
        self._total_serial = -1
        self._most_rows = 0  # on any page so far: what a page can be expected to hold
        self._readings: list[PageIds] = []
        self._forgotten: list[bytes] = []  # the ids, packed, of readings that were given up
        self._twins: dict[int, PageIds] = {}  # by the hash of its set of ids
        self._known: set[str] = set()  # the ids of this round, where no total is declared
        self._flying: set[int] = set()
        self._to_read: deque[RowRange] = deque([RowRange(offset)])
        self._horizon: int | None = None  # from here on nothing came in this round, though it was declared
        self._asked = 0
        self._asked_again: set[int] = set()  # the offsets of pages that could not be used at first
        self._aborted = False
        self._blamed: int | None = None  # how many pages the present repair reads again; None: this is no repair
        self._trouble: dict[int, PageDefect] = {}
        self._trouble_times: dict[tuple[int, PageDefect], int] = {}
        self._refusal: SynthflowRequestError | None = None
        self._agreed: bytes | None = None  # tells what the round before brought, where two must agree

    @property
    def pages(self) -> int:
        """Return how many pages the present round has read or kept; an empty list is one page, too."""
        return max(1, len(self._readings))

    @property
    def ids(self) -> frozenset[str]:
        """Return the ids of the complete list, none before it is done; all of them take some memory."""
        return frozenset().union(*(reading.ids for reading in self._readings)) if self.done else frozenset()

    def gone(self) -> Iterator[str]:
        """Yield the ids that came with pages to be used and are not in the complete list, each once."""
        return ids_gone(self._forgotten, *self._packs())

    def asks(self) -> list[PageAsk]:
        """Return the pages to ask for now; none while an answer must come first."""
        asks: list[PageAsk] = []
        while not self.done and len(self._flying) < self._look_ahead:
            stretch = self._next_stretch()
            if stretch is None:
                break
            grid = PageLayout(self._offset, self._page_size, self._overlap, self._end)
            page, rest = grid.last(stretch) if self.tail_first else grid.first(stretch)
            self._to_read.extendleft(rest)
            ask = PageAsk(page.reach, self._limit, self._serial, page.stop, behind=page.behind)
            self._serial += 1
            self._asked += 1
            self._flying.add(ask.serial)
            asks.append(ask)
        if not asks and not self._flying and not self.done:
            msg = "The walk stands still, which it never should: please report this."
            raise AssertionError(msg)  # better than to be asked again for ever
        return asks

    def receive(self, ask: PageAsk, page: Page) -> bool:
        """
        Take in a page.

        :param ask: what was asked for
        :param page: what came
        :return: whether its rows are to be used
        :raises SynthflowProtocolError: where the server does not page as asked, time after time
        :raises SynthflowIncompleteError: where no walk was complete
        """
        usable = self._take(ask, page)
        if self._earlier is not None:
            self._recall(self._earlier)
        self._land(ask)
        return usable

    def refuse(self, ask: PageAsk, error: SynthflowRequestError) -> None:
        """
        Take in that the API refused the request for a page.

        A page at another offset of the same query was answered, so that it is the offset that the API refuses: the
        list ends before it, or has become shorter, or is not to be read that far.

        :param ask: what was asked for
        :param error: what it ended with
        :raises SynthflowRequestError: where nothing was ever answered
        :raises SynthflowIncompleteError: where no walk was complete
        """
        if ask.offset == self._offset:
            raise error
        self._refusal = error
        self._trouble.pop(ask.offset, None)
        self._take_nothing(ask, self.total, PageDefect.REFUSED)
        self._land(ask)

    def _land(self, ask: PageAsk) -> None:
        self._flying.remove(ask.serial)
        if not self._flying and self._next_stretch(look=True) is None:
            self._end_round()

    # what to ask

    @property
    def _page_size(self) -> int:
        return min(self._limit, self._most_rows) or self._limit

    @property
    def _overlap(self) -> int:
        return 1 if self._page_size > 1 else 0

    @property
    def _end(self) -> int | None:
        """Return the index at which the list ends, None where nobody knows."""
        return min((end for end in (self.total, self._horizon) if end is not None), default=None)

    def _next_stretch(self, *, look: bool = False) -> RowRange | None:
        """Take the next stretch to read, or only look whether there is one."""
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
    def _budget(self) -> int:
        """Return how many pages a round may ask for: twice what the total calls for, and some."""
        if self.total is None:
            return self._asked + 1  # each page has to bring something new, and the first that does not ends it
        return 2 * (max(0, self.total - self._offset) // max(1, self._page_size - self._overlap) + 1) + 8

    # what came

    def _take(self, ask: PageAsk, page: Page) -> bool:
        ids = tuple(row.call_id for row in page.rows)
        flaw = find_defect(ask, page, ids)
        if flaw is not None:
            return self._reject(ask, flaw)
        self._trouble.pop(ask.offset, None)
        if page.total is not None and ask.serial > self._total_serial:
            self.total, self._total_serial = page.total, ask.serial
        if not ids:
            return self._take_nothing(ask, page.total, PageDefect.EMPTY)
        if page.total is None:
            taken = self._take_undeclared(ask, ids)
            if taken is not None:
                return taken
        elif ask.offset >= page.total and ask.offset > 0:
            return False  # past the end, whatever the server shows there
        elif ask.offset > self._offset and len(ids) <= self._overlap and ask.offset + len(ids) < page.total:
            return self._take_nothing(ask, page.total, PageDefect.NO_PROGRESS)
        if page.total is not None and self._from_the_end is not None:
            self.tail_first, self._from_the_end = self._from_the_end(page), None
        return self._keep(ask, PageIds(ask.offset, ask.serial, ids, page.total), hash(frozenset(ids)))

    def _keep(self, ask: PageAsk, reading: PageIds, key: int) -> bool:
        twin = self._twins.get(key)
        if twin is not None and twin.start != reading.start and twin.total == reading.total:
            # One of the two is not what was asked for, and nobody knows which.
            self._forget([twin])
            self._aborted = True
            self._trouble[max(twin.start, reading.start)] = PageDefect.OTHER_ROWS
            return False
        self._most_rows = max(self._most_rows, reading.count)
        insort(self._readings, reading)
        self._twins[key] = reading
        if ask.stop is None or reading.end < ask.stop:
            self._to_read.appendleft(self._after(reading, ask.stop))
        return True

    def _after(self, reading: PageIds, stop: int | None) -> RowRange:
        """Return what follows a page; a page of one row is no seam, since its row was asked for already."""
        return RowRange(reading.end, stop, behind=self._overlap > 0 and reading.count == 1)

    def _recall(self, earlier: RecalledPages) -> None:
        """Go on as if the pages that were read before had been read in this walk, if its first page bears them out."""
        self._earlier = None
        recalled = earlier.borne_out(self._readings, total=self.total, overlap=self._overlap)
        self._forgotten += earlier.forgotten
        if recalled:
            self.recalled, self.recalled_rows = len(recalled), sum(reading.count for reading in recalled)
            self._readings = sorted([*self._readings, *recalled])
            self._twins |= {hash(frozenset(reading.ids)): reading for reading in recalled}
            self._most_rows = max(reading.count for reading in self._readings)
            missing = self._missing()
            self._to_read = deque(reversed(missing)) if self.tail_first else missing

    def _take_undeclared(self, ask: PageAsk, ids: tuple[str, ...]) -> bool | None:
        """Take in a page without a declared total, if it brings nothing new; None where it does."""
        if not self._known.issuperset(ids):
            self._known.update(ids)
            return None
        if ask.behind:
            return True  # some servers show the last page again behind the end
        if len(ids) == 1 and self._readings[-1].ids[-1] == ids[0] and (self._overlap or len(self._known) == 1):
            self._to_read = deque([RowRange(ask.offset + 1, behind=True)])  # the seam alone: look behind it
            return True
        return self._reject(ask, PageDefect.NO_PROGRESS)

    def _take_nothing(self, ask: PageAsk, total: int | None, trouble: PageDefect) -> bool:
        """Take in that a page brings nothing: the end, unless something should be there."""
        if total is None and (ask.behind or not self._overlap or ask.offset == self._offset):
            if not ask.behind:
                self._to_read = deque([RowRange(ask.offset, behind=True)])
            return False
        # The declared total says that there is more, or a page does not even begin with the row that was there before.
        if total is None or ask.offset < total:
            return self._reject(ask, trouble)
        return False

    def _reject(self, ask: PageAsk, trouble: PageDefect) -> bool:
        """Ask for a page that cannot be used once more, since most such are accidents; then this round has failed."""
        self._trouble[ask.offset] = trouble  # until the page is there
        self.tail_first = False  # what can be read is read from where the list begins
        if ask.offset not in self._asked_again:
            self._asked_again.add(ask.offset)
            begins = ask.behind or ask.offset == self._offset
            self._to_read.appendleft(RowRange(ask.offset + (0 if begins else self._overlap), ask.stop, ask.behind))
            return False
        if trouble.barren:
            self._horizon = ask.offset if self._horizon is None else min(self._horizon, ask.offset)
        if self.total is None:
            self._aborted = True  # without a total, nothing says how far it would be sensible to go on
        return False

    def _forget(self, readings: list[PageIds]) -> None:
        for reading in readings:
            self._readings.remove(reading)
            self._twins.pop(hash(frozenset(reading.ids)), None)
            self._forgotten.append(reading.packed)

    # what is proven

    def _end_round(self) -> None:
        """End a round: done, or another one, or an error."""
        verdict = verify_pages(self._readings, offset=self._offset, total=self.total, overlap=self._overlap)
        if verdict.steady and verdict.counted and not self._trouble:
            # A page of one row has no seam, unless it is the only one.
            seamless = verdict.seamless and (self._overlap > 0 or len(self._readings) <= 1)
            proven = seamless and self.total is not None
            found = None if proven else fingerprint(*self._packs())
            if proven or found == self._agreed:
                self.done = True
                return
            self._agreed = found
            bad = frozenset(reading.serial for reading in self._readings)
        else:
            self._agreed = None
            bad = verdict.bad
            if not bad and not self._trouble:
                bad = frozenset(reading.serial for reading in self._readings)
        self._check_lasting_trouble()
        if self.walks >= self._max_walks:
            raise self._incomplete(verdict.distinct) from self._refusal
        self._begin_round(bad)

    def _packs(self) -> tuple[list[bytes], int]:
        """Return the ids of the readings, packed, and how many they are."""
        return [reading.packed for reading in self._readings], sum(reading.count for reading in self._readings)

    def _begin_round(self, bad: frozenset[int]) -> None:
        self.walks += 1
        self.recalled_rows = 0  # some are read again
        self.tail_first = False
        self.pause = min(_FIRST_PAUSE * 2 ** (self.walks - 2), _LONGEST_PAUSE)
        forget = [reading for reading in self._readings if reading.serial in bad]
        # All anew after a repair that did not help, where too little would stay, and where no total is declared.
        little = len(forget) * 2 > len(self._readings)
        helps = self._blamed is None or len(forget) + len(self._trouble) < self._blamed
        if little or not helps or self.total is None:
            forget = list(self._readings)
            self._blamed = None
        else:
            self._blamed = len(forget) + len(self._trouble)
        self._forget(forget)
        self._trouble = {}
        self._horizon = None
        self._aborted = False
        self._asked = 0
        self._asked_again.clear()
        self._known = set()  # without a total nothing is kept
        self._to_read = self._missing()
        if self._next_stretch(look=True) is None:  # all is covered, and does not agree all the same
            self._forget(list(self._readings))
            self._to_read = self._missing()

    def _missing(self) -> deque[RowRange]:
        """Return what the readings leave out."""
        missing: deque[RowRange] = deque()
        rest = RowRange(self._offset)
        for reading in self._readings:
            least = reading.start + (self._overlap if rest.reach > self._offset else 0)
            if rest.reach < least:
                missing.append(RowRange(rest.reach, reading.start + self._overlap, rest.behind))
            if reading.end > rest.reach:
                rest = self._after(reading, None)
        missing.append(rest)
        return missing

    def _check_lasting_trouble(self) -> None:
        """Raise where the same page was wrong in the same way in several rounds on end."""
        before, self._trouble_times = self._trouble_times, {}
        for key in self._trouble.items():
            times = self._trouble_times[key] = before.get(key, 0) + 1
            if times >= _SAME_TROUBLE and key[1].systematic:
                msg = (
                    f"The API does not page as asked: {times} times offset {key[0]} brought {key[1].value}. "
                    "Its offset or limit may be ignored. Nothing was written, since calls would be missing."
                )
                raise SynthflowProtocolError(msg)

    def _incomplete(self, received: int) -> SynthflowIncompleteError:
        declared = "no total was declared" if self.total is None else f"{self.total} were declared"
        troubles = [f"offset {offset} brought {why.value}" for offset, why in sorted(self._trouble.items())[:3]]
        because = f" ({', '.join(troubles)})" if troubles else ""
        msg = (
            f"No complete walk over the calls: after {self.walks} walks, {received} different calls came and "
            f"{declared}{because}. Nothing was written. Run the task again when fewer calls change; "
            "if it stays so, the API's list contradicts itself for this query."
        )
        return SynthflowIncompleteError(msg, expected=self.total, received=received, walks=self.walks)
