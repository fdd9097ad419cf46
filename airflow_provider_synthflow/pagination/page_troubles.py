# SPDX-License-Identifier: Apache-2.0
"""The defects of a walk's pages, and the errors about them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_synthflow.exceptions import (
    SynthflowError,
    SynthflowIncompleteError,
    SynthflowProtocolError,
    SynthflowRequestError,
)
from airflow_provider_synthflow.pagination.proof import PageDefect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_synthflow.pagination.proof import Verdict

__all__ = ["PageTroubles", "refused_twice"]

_SAME_TROUBLE = 3


class PageTroubles:
    """The unmended defects of the present round's pages, and how long they last."""

    def __init__(self) -> None:
        self.asked_again: set[int] = set()  # the offsets of pages that could not be used at first
        self.horizon: int | None = None  # from here on nothing came in this round, though it was declared
        self.far: tuple[int, SynthflowRequestError] | None = None  # a page that was refused twice
        self.has_doubles = False  # rows come twice on a page, time after time
        self._doubled_id = ""
        self._defects: dict[int, PageDefect] = {}
        self._times: dict[tuple[int, PageDefect], int] = {}

    def __len__(self) -> int:
        """Return how many pages have a defect."""
        return len(self._defects)

    def add(self, offset: int, defect: PageDefect) -> bool:
        """Record a defect, and return whether its page was asked for again before."""
        self._defects[offset] = defect
        if offset not in self.asked_again:
            self.asked_again.add(offset)
            return False
        if defect.barren:
            self.horizon = offset if self.horizon is None else min(self.horizon, offset)
        return True

    def set(self, offset: int, defect: PageDefect) -> None:
        """Record a defect, whether its page was asked for again or not."""
        self._defects[offset] = defect

    def mend(self, offset: int) -> None:
        """Clear the defect of a page."""
        self._defects.pop(offset, None)

    def has(self, defect: PageDefect) -> bool:
        """Tell whether a page has a defect."""
        return defect in self._defects.values()

    def see_doubles(self, offset: int, ids: Sequence[str]) -> None:
        """Record that rows are repeated on a page."""
        self._doubled_id = next(each for at, each in enumerate(ids) if each in ids[:at])
        self.has_doubles = self.has_doubles or offset in self.asked_again

    def begin_round(self) -> None:
        """Clear the defects of the round before."""
        self._defects = {}
        self.horizon = None
        self.asked_again.clear()

    def check(self, verdict: Verdict, total: int | None, walks: int, max_walks: int, *, distrusted: bool) -> None:
        """Raise where no further round can help."""
        self._check_lasting()
        if self.far is not None and (total is None or walks >= max_walks):
            raise refused_twice(*self.far)
        if walks >= max_walks:
            raise self._incomplete(verdict.distinct, total, walks, distrusted=distrusted)

    def check_far(self, total: int | None) -> None:
        """Raise where a page that was refused twice is still needed."""
        far, self.far = self.far, None
        if far is not None and (total is None or far[0] < total):
            raise refused_twice(*far)

    def _check_lasting(self) -> None:
        """Raise where a page had the same defect in several rounds."""
        before, self._times = self._times, {}
        for key in self._defects.items():
            times = self._times[key] = before.get(key, 0) + 1
            if times >= _SAME_TROUBLE and key[1].systematic:
                msg = (
                    f"The API does not page as asked: {times} times offset {key[0]} brought {key[1].value}. "
                    "Its offset or limit may be ignored. Nothing was written, since calls would be missing."
                )
                raise SynthflowProtocolError(msg)

    def _incomplete(
        self, received: int, total: int | None, walks: int, *, distrusted: bool
    ) -> SynthflowIncompleteError:
        """Make the error of a list that was never proven complete."""
        declared = "no total was declared" if total is None else f"{total} were declared"
        if distrusted:
            declared = "more rows lie behind the total that was declared"
        named = [f"offset {offset} brought {why.value}" for offset, why in sorted(self._defects.items())[:3]]
        if self._doubled_id and (self.has_doubles or self.has(PageDefect.TWICE)):
            named.append(f"{PageDefect.TWICE.value}: {SynthflowError.show_id(self._doubled_id)}")
        because = f" ({', '.join(named)})" if named else ""
        msg = (
            f"No complete walk over the calls: after {walks} walks, {received} different calls came and "
            f"{declared}{because}. Nothing was written. Run the task again when fewer calls change; "
            "if it stays so, the API's list contradicts itself for this query."
        )
        return SynthflowIncompleteError(msg, expected=total, received=received, walks=walks)


def refused_twice(offset: int, error: SynthflowRequestError) -> SynthflowRequestError:
    """Make the error of a page that the API refused twice, though the list goes on there."""
    msg = (
        f"The API refused the page at offset {offset} twice (HTTP {error.status}): it does not list that far. "
        "Nothing was written. Take shorter windows, so that each of them holds fewer calls."
    )
    made = SynthflowRequestError(msg, status=error.status, request_id=error.request_id)
    made.__cause__ = error
    return made
