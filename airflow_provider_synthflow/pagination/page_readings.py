# SPDX-License-Identifier: Apache-2.0
"""The pages that a walk has read, sorted by their starts. Pure."""

from __future__ import annotations

from bisect import insort
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_synthflow.pagination.packed_ids import distinct_count, fingerprint, ids_gone, sequence_digest
from airflow_provider_synthflow.pagination.page_ranges import RowRange
from airflow_provider_synthflow.pagination.proof import PageIds, Verdict, rows_in_order, verify_pages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["PageReadings"]


class PageReadings:
    """The pages of one walk."""

    def __init__(self, offset: int) -> None:
        self.most_rows = 0  # on any page so far: what a page can be expected to hold
        self._offset = offset
        self._pages: list[PageIds] = []
        self._forgotten: list[bytes] = []  # the ids, packed, of readings that were given up
        self._blamed: int | None = None  # how many pages the present repair reads again; None: this is no repair
        self._twins: dict[int, PageIds] = {}  # by the hash of its set of ids

    def __len__(self) -> int:
        """Return how many pages are kept."""
        return len(self._pages)

    def __iter__(self) -> Iterator[PageIds]:
        """Yield the pages in the order of their starts."""
        return iter(self._pages)

    @property
    def count(self) -> int:
        """Return how many rows the pages have, shared ones counted twice."""
        return sum(page.count for page in self._pages)

    @property
    def furthest(self) -> PageIds | None:
        """Return the page that reaches the furthest, if any."""
        return max(self._pages, key=lambda page: page.end, default=None)

    @property
    def longest(self) -> int:
        """Return the row count of the longest page, dropped rows included."""
        return max((page.count + page.dropped for page in self._pages), default=0)

    def tail(self, count: int) -> list[str]:
        """Return the ids of the last rows, at most as many as a page has."""
        furthest = self.furthest
        return [] if furthest is None or not count else list(furthest.ids[-count:])

    def is_early(self, start: int, ids: Sequence[str]) -> bool:
        """Tell whether a page begins one row too early, as far as the first page shows that."""
        row = start - self._offset - 1
        if not ids or not self._pages or not 0 <= row < self._pages[0].count:
            return False
        return self._pages[0].ids[row] == ids[0]

    @property
    def has_repeats(self) -> bool:
        """Tell whether a page has, or had, a row twice."""
        return any(page.has_repeats for page in self._pages)

    def may_go_on(self, total: int | None, limit: int, told_limit: int) -> bool:
        """Tell whether rows may lie behind the declared total: it is 0, or the last page is full."""
        if total is None or any(page.total != total for page in self._pages):
            return False
        # One page alone may be as short as the list; among several, the longest shows how many a page can hold.
        full = min(limit, told_limit) if len(self._pages) == 1 else min(limit, self.most_rows)
        last = self.furthest
        return total == 0 or (last is not None and last.count + last.dropped >= full and last.end >= total)

    def add(self, page: PageIds) -> PageIds | None:
        """Add a page, or return the page that has the same rows."""
        key = hash(frozenset(page.ids))
        twin = self._twins.get(key)
        if twin is not None and twin.start != page.start and twin.total == page.total:
            return twin
        self.most_rows = max(self.most_rows, page.count)
        insort(self._pages, page)
        self._twins[key] = page
        return None

    def recall(self, pages: Sequence[PageIds], forgotten: Iterable[bytes]) -> None:
        """Add the pages of an earlier walk, and the ids of those that are not used again."""
        self._forgotten += forgotten
        self._pages = sorted([*self._pages, *pages])
        self._twins |= {hash(frozenset(page.ids)): page for page in pages}
        self.most_rows = max((page.count for page in self._pages), default=0)

    def forget(self, pages: Iterable[PageIds]) -> None:
        """Remove pages."""
        for page in list(pages):
            self._pages.remove(page)
            self._twins.pop(hash(frozenset(page.ids)), None)
            self._forgotten.append(page.packed)

    def give_up(self, bad: frozenset[int] | None, troubled: int) -> None:
        """Remove the pages to blame (None: all) before a further round."""
        forget = [page for page in self._pages if bad is None or page.serial in bad]
        blamed = len(forget) + troubled
        # All anew after a repair that did not help, where too little would stay, and where no total is declared.
        helps = self._blamed is None or blamed < self._blamed
        repairs = bad is not None and helps and len(forget) * 2 <= len(self._pages)
        self._blamed = blamed if repairs else None
        self.forget(forget if repairs else self._pages)

    def forget_all(self) -> None:
        """Remove all pages, and the expected page size."""
        self.forget(self._pages)
        self.most_rows = 0

    def lacks_any(self, ids: Iterable[str]) -> bool:
        """Tell whether any of some ids is on none of the pages."""
        lacking = set(ids)
        for page in reversed(self._pages):
            if not lacking:
                break
            lacking.difference_update(page.ids)
        return bool(lacking)

    def verify(self, total: int | None, overlap: int) -> Verdict:
        """Verify the pages together."""
        return verify_pages(self._pages, offset=self._offset, total=total, overlap=overlap)

    def ids(self) -> frozenset[str]:
        """Return all ids, which take some memory."""
        return frozenset().union(*(page.ids for page in self._pages))

    def gone(self) -> Iterator[str]:
        """Yield the ids that are on removed pages only, each once."""
        return ids_gone(self._forgotten, [page.packed for page in self._pages], self.count)

    def set_digest(self) -> bytes:
        """Return a digest that is equal only for walks with the same ids."""
        return fingerprint([page.packed for page in self._pages], self.count)

    def row_digest(self) -> bytes:
        """Return a digest that is equal only for walks with the same ids in the same rows."""
        return sequence_digest(rows_in_order(self._pages))

    def repeated(self) -> int:
        """Return how many rows of a complete list are repeats."""
        if not self.has_repeats:
            return 0
        furthest = self.furthest
        rows = furthest.end - self._offset if furthest else 0
        distinct = distinct_count([page.packed for page in self._pages], self.count)
        return max(0, rows - distinct) + sum(page.dropped for page in self._pages)

    def after(self, page: PageIds, overlap: int, stop: int | None = None) -> RowRange:
        """Return the part that follows a page; a page of one row is no seam, since its row was asked for already."""
        return RowRange(page.end, stop, behind=overlap > 0 and page.count == 1)

    def missing(self, overlap: int) -> deque[RowRange]:
        """Return the parts that the pages leave out."""
        missing: deque[RowRange] = deque()
        rest = RowRange(self._offset)
        for page in self._pages:
            least = page.start + (overlap if rest.reach > self._offset else 0)
            if rest.reach < least:
                missing.append(RowRange(rest.reach, page.start + overlap, rest.behind))
            if page.end > rest.reach:
                rest = self.after(page, overlap)
        missing.append(rest)
        return missing
