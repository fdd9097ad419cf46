# SPDX-License-Identifier: Apache-2.0
"""The audit of one agent: gaps, overlaps and duplicates among its windows, and what is wrong with each."""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_synthflow.auditing.coverage import TimeMap, choose_windows, find_gaps, find_overlaps
from airflow_provider_synthflow.auditing.cure import NO_ORIGIN, Cures, Origin
from airflow_provider_synthflow.auditing.finding import Finding, plain
from airflow_provider_synthflow.auditing.window_check import DAY_MS
from airflow_provider_synthflow.exceptions import SynthflowError
from airflow_provider_synthflow.observability.quantities import to_count
from airflow_provider_synthflow.timestamps import format_instant

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from airflow_provider_synthflow.auditing.call_ids import CallIds, Whereabouts
    from airflow_provider_synthflow.auditing.window_check import CheckedWindow

__all__ = ["AgentAudit"]

_MOST_PAIRS = 100
_MOST_NAMED = 1000
_MOST_WHOLE = 20
"""Up to so many windows with one call are compared in pairs; of more, each with the next only."""


@dataclass
class AgentAudit:
    """The findings and totals of one agent."""

    model_id: str
    cures: Cures
    windows: list[CheckedWindow]  # in the order of the listing
    from_ms: int | None = None  # None: the start of its first window
    to_ms: int | None = None  # None: the end of its last window
    recorded: bool = False  # whether any recording of it is stored
    findings: list[Finding] = field(default_factory=list)
    time: TimeMap = field(init=False)
    count: int = field(default=0, init=False)
    calls: int = field(default=0, init=False)
    files: int = field(default=0, init=False)
    bytes: int = field(default=0, init=False)
    unread: int = field(default=0, init=False)
    days: dict[int, int] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self._ordered = sorted(self.windows, key=lambda window: (window.from_ms, window.to_ms))
        self._begins = [window.from_ms for window in self._ordered]
        self._numbered: dict[int, CheckedWindow] = {}
        self._overlapping: set[int] = set()
        if self.from_ms is None:
            self.from_ms = self._begins[0] if self._begins else self.to_ms or 0
        if self.to_ms is None:
            self.to_ms = max((window.to_ms for window in self._ordered), default=self.from_ms)
        self.time = TimeMap(self.from_ms, self.to_ms)
        self.count = len(self.windows)
        for window in self.windows:
            self.calls += window.calls
            self.files += window.files
            self.bytes += window.bytes
            self.unread += window.unread

    def check(self, ids: CallIds | None) -> None:
        """Find what is wrong with its windows, alone and together."""
        for window in self._ordered:
            self._check_window(window)
        for from_ms, to_ms in find_gaps(self._ordered, self.from_ms or 0, self.to_ms or 0):
            origin, ends = self._neighbour(from_ms)
            length = _length(to_ms - from_ms)
            cure = self.cures.backfill(origin, from_ms, to_ms, ends=ends)
            self._add("gap", (from_ms, to_ms), f"No window covers this time: {length}.", cure, "gap")
        self._find_overlaps()
        if ids is not None:
            self._find_duplicates(ids)

    def origin(self, window: CheckedWindow) -> Origin:
        """Return the run that made a window, guessed by the windows beside it where its manifest names none."""
        if window.origin is not None and window.origin.dag_id:
            return window.origin
        beside, ends = self._neighbour(window.from_ms)
        logical_ms = None if ends is None else window.to_ms if ends else window.from_ms
        return Origin(beside.dag_id, beside.task_id, None, logical_ms)

    def release(self, *, by_day: bool = False) -> None:
        """Free the memory of its windows, after counting their calls by day where that is asked for."""
        if by_day:
            self.days = self._count_days()
        self.windows, self._ordered, self._begins, self._numbered = [], [], [], {}

    def add_changed(self, window: CheckedWindow, now: int, *, guessed: bool) -> None:
        """Add a finding: the API's total for a window has changed."""
        then = window.calls if guessed else window.total or 0
        what = to_count(abs(now - then), "more call" if now > then else "fewer call")
        asked = " in this window" if guessed else ""
        detail = f"The API has {to_count(now, 'call')}{asked} today, and had {then:,} when they were read: {what}."
        self._add("changed", (window.from_ms, window.to_ms), detail, self._list_again(window), "changed")

    def add_differing(self, day: int, ours: int, theirs: int) -> None:
        """Add a finding: the API's analytics have another count for a day than the lake."""
        detail = (
            f"The lake has {to_count(ours, 'call')} of this day (UTC), and the API's analytics count {theirs:,}. "
            "A hint: they count other statuses, and their day may be of another time zone."
        )
        from_ms = day * DAY_MS
        cure = self.cures.audit(self.model_id, from_ms, from_ms + DAY_MS)
        self.findings.append(Finding("differs", self.model_id, from_ms, from_ms + DAY_MS, detail, cure))

    def _count_days(self) -> dict[int, int]:
        """Count the calls of each day that is covered completely and whose calls are all known."""
        counts: Counter[int] = Counter()
        unknown = set(self._overlapping)
        for window in self._ordered:
            first, last = window.from_ms // DAY_MS, (window.to_ms - 1) // DAY_MS
            if window.damages or window.filters:
                unknown.update(range(first, last + 1))
            elif window.days is not None:
                counts.update({day: count for day, count in window.days.items() if first <= day <= last})
            elif first == last:
                counts[first] += window.calls
            else:
                unknown.update(range(first, last + 1))
        for from_ms, to_ms in find_gaps(self._ordered, self.from_ms or 0, self.to_ms or 0):
            unknown.update(range(from_ms // DAY_MS, (to_ms - 1) // DAY_MS + 1))
        begin, end = -(-(self.from_ms or 0) // DAY_MS), (self.to_ms or 0) // DAY_MS
        return {day: counts[day] for day in range(begin, end) if day not in unknown}

    def _add(self, kind: str, span: tuple[int, int], detail: str, cure: str, state: str | None = None) -> None:
        self.findings.append(Finding(kind, self.model_id, *span, detail, cure))
        if state is not None:
            self.time.mark(*span, state)

    def _check_window(self, window: CheckedWindow) -> None:
        """Add the findings of one window."""
        span = window.from_ms, window.to_ms
        self.time.mark(*span, "whole")
        for damage in window.damages:
            if damage.cure == "remove":
                cure = self.cures.remove([f"{window.directory}/{path}" for path in damage.paths])
            elif damage.cure == "recordings":
                cure = self._record_again(window)
            else:
                cure = self.cures.clear(self.origin(window), *span)
            self._add("damaged", span, plain(damage.detail), cure, "damaged")
        if window.unsettled:
            detail = f"Not final when the window was read: {window.unsettled:,} of {to_count(window.calls, 'call')}."
            self._add("unsettled", span, detail, self._list_again(window), "unsettled")
        if window.unrecorded and (self.recorded or window.recordings is not None):
            detail = f"Promised and not stored: {to_count(window.unrecorded, 'recording')}."
            self._add("unrecorded", span, detail, self._record_again(window))

    def _list_again(self, window: CheckedWindow) -> str:
        """Return the command that lists a window's calls again, and stores their recordings again."""
        downstream = window.recordings is not None
        return self.cures.clear(self.origin(window), window.from_ms, window.to_ms, downstream=downstream)

    def _record_again(self, window: CheckedWindow) -> str:
        """Return the command that stores a window's recordings again."""
        recorder = window.recordings
        if recorder is not None and recorder.dag_id:
            return self.cures.clear(recorder, window.from_ms, window.to_ms)
        return self.cures.clear(self.origin(window), window.from_ms, window.to_ms, downstream=True)

    def _neighbour(self, moment_ms: int) -> tuple[Origin, bool | None]:
        """Return the origin of the nearest window that names one, and whether its run's date is the window's end."""
        index = bisect.bisect_left(self._begins, moment_ms)
        for window in self._around(index):
            if window.origin is not None and window.origin.dag_id:
                date = window.origin.logical_ms
                ends = {window.from_ms: False, window.to_ms: True}.get(date) if date is not None else None
                return window.origin, ends
        return NO_ORIGIN, None

    def _around(self, index: int) -> Iterator[CheckedWindow]:
        """Yield the windows around an index, the nearest first, up to a limit."""
        for distance in range(1, min(len(self._ordered), _MOST_NAMED) + 1):
            if index - distance >= 0:
                yield self._ordered[index - distance]
            if index + distance - 1 < len(self._ordered):
                yield self._ordered[index + distance - 1]

    def _find_overlaps(self) -> None:
        by_format: dict[str, list[CheckedWindow]] = {}
        for window in self._ordered:
            by_format.setdefault(window.format_name, []).append(window)
        for format_name, windows in by_format.items():
            pairs = list(find_overlaps(windows, _MOST_PAIRS))
            if not pairs:
                continue
            chosen = {id(windows[number]) for number in choose_windows(windows)}
            for first, second in pairs:
                surplus = [window for window in (first, second) if id(window) not in chosen]
                for window in (first, second):
                    self._overlapping.update(range(window.from_ms // DAY_MS, (window.to_ms - 1) // DAY_MS + 1))
                shared = max(first.from_ms, second.from_ms), min(first.to_ms, second.to_ms)
                named = _join_spans((first, second))
                detail = f"Two windows of {plain(format_name) or 'no known format'} share this time: {named}."
                cure = self.cures.remove([window.directory for window in surplus], directories=True)
                self._add("overlap", shared, detail, cure, "doubled")

    def _find_duplicates(self, ids: CallIds) -> None:
        self._numbered = {window.number: window for window in self.windows}
        beyond: Counter[tuple[int, ...]] = Counter()
        named: Counter[tuple[int, ...]] = Counter()
        for call_id, holders in ids.repeated():
            numbers = self._apart(holders)
            if not numbers:
                continue
            named[numbers] += 1
            if named[numbers] > _MOST_NAMED:
                beyond[numbers] += 1
                continue
            wrong = tuple(number for number, inside in holders if not inside and number in numbers)
            self._add_duplicate(f"The call {SynthflowError.show_id(call_id)} is", numbers, wrong or numbers)
        for numbers, count in beyond.items():
            self._add_duplicate(f"{to_count(count, 'more call')} {'is' if count == 1 else 'are'}", numbers, numbers)

    def _apart(self, holders: Whereabouts) -> tuple[int, ...]:
        """Return the windows that hold a call and do not overlap, or the one that has it twice."""
        numbers = sorted({number for number, _ in holders}, key=lambda number: self._numbered[number].from_ms)
        if len(numbers) == 1:
            return tuple(numbers)
        pairs = itertools.combinations(numbers, 2) if len(numbers) <= _MOST_WHOLE else itertools.pairwise(numbers)
        apart = [pair for pair in pairs if self._numbered[pair[0]].to_ms <= self._numbered[pair[1]].from_ms]
        return tuple(sorted({number for pair in apart for number in pair}))

    def _add_duplicate(self, what: str, numbers: Sequence[int], wrong: Sequence[int]) -> None:
        named = _join_spans(self._numbered[number] for number in numbers)
        where = f"in the windows {named}" if len(numbers) > 1 else f"twice in the window {named}"
        windows = [self._numbered[number] for number in dict.fromkeys(wrong)]
        cure = " && ".join(
            dict.fromkeys(self.cures.clear(self.origin(each), each.from_ms, each.to_ms) for each in windows)
        )
        first = windows[0]
        self._add("duplicate", (first.from_ms, first.to_ms), f"{what} {where}.", cure)
        for window in windows:
            self.time.mark(window.from_ms, window.to_ms, "doubled")


def _join_spans(windows: Iterable[CheckedWindow]) -> str:
    return " and ".join(f"{format_instant(window.from_ms)} to {format_instant(window.to_ms)}" for window in windows)


def _length(milliseconds: int) -> str:
    """Format a duration in days, hours and minutes."""
    days, rest = divmod(milliseconds, DAY_MS)
    hours, rest = divmod(rest, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    parts = [to_count(number, name) for number, name in ((days, "day"), (hours, "hour"), (minutes, "minute")) if number]
    return " ".join(parts) or f"{milliseconds:,} milliseconds"
