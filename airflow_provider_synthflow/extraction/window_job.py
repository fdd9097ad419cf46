# SPDX-License-Identifier: Apache-2.0
"""One window read, proven complete, and published in a file or returned for XCom."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.exceptions import SynthflowIncompleteError
from airflow_provider_synthflow.extraction.details import add_details
from airflow_provider_synthflow.extraction.extract import extract_window
from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.extraction.result import WindowResult, make_result, with_calls
from airflow_provider_synthflow.extraction.spill import Spill
from airflow_provider_synthflow.observability.quantities import to_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from airflow_provider_synthflow.client.client import SynthflowClient
    from airflow_provider_synthflow.extraction.checkpoint import Checkpoint
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from airflow_provider_synthflow.output.draft import Draft
    from airflow_provider_synthflow.output.publication import Publication

__all__ = ["WindowJob"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WindowJob:
    """One window to read, and where its calls go."""

    plan: WindowPlan
    publication: Publication | None = None  # None: into XCom
    privacy: Privacy = field(default_factory=Privacy)
    on_empty: str = "write"  # or "skip" or "fail"
    accept_unsettled: bool = True  # an earlier try's file counts also where calls in it were not final
    max_bytes: int = 1024 * 1024  # of a result for XCom
    resume: Checkpoint | None = None
    origin: Mapping[str, str] = field(default_factory=dict)  # the task and the run
    details: bool = False

    def find_published(self, since_ms: int | None) -> dict[str, Any] | None:
        """Return the result of an earlier try whose file is there, whole, and not older than an instant."""
        if self.publication is None or since_ms is None:
            return None
        # A file from before the window was settled is another task's, with a shorter settle.
        result = self.publication.find_published(max(since_ms, self.plan.settled_ms))
        if result is None or (not result.get("count") and self.on_empty == "fail"):
            return None
        if result.get("unsettled") and not self.accept_unsettled:
            return None  # another task of the run, which takes what this one does not, wrote it
        log.info("An earlier try of this run has written %s: it is kept.", result["path"])
        if self.resume is not None:
            self.resume.remove()  # it was killed before it could
        return result

    def carry_out(
        self, client: SynthflowClient, *, check: Callable[[WindowResult], None] | None = None, used: int = 0
    ) -> WindowResult:
        """Read the window and publish its calls, unless ``check``, which gets the numbers first, raises."""
        begun = time.monotonic()
        if self.publication is not None:
            self.publication.check()
        with self.resume or nullcontext(), Spill() as spill, self._draft(spill) as draft, Spill() as detailed:
            if self.details:
                self.privacy.remember_ids()
            found = extract_window(client, self.plan, spill, privacy=self.privacy, resume=self.resume)
            if check is not None:
                check(found)
            details: dict[str, Any] = {}
            if self.details:
                found, details = self._add_details(client, found, spill, detailed)
                spill = detailed  # noqa: PLW2901 - both are closed in the end
            result = {**make_result(self.plan, found), **details, **self.privacy.described(), **self.origin}
            if unknown := self.privacy.named.check():
                result["unknown_fields"] = unknown
            if not found.count and self.on_empty == "fail":
                msg = f"There are no calls in {self.plan.window}, and on_empty is 'fail'."
                raise SynthflowIncompleteError(msg, expected=1, received=0, walks=found.walks)
            if self.publication is None:
                result = with_calls(result, spill.records(), spill.size(), self.max_bytes, used=used)
            # Nothing is written for an empty window that is skipped, unless calls of it are there from before.
            elif found.count or self.on_empty != "skip" or self.publication.manifest() is not None:
                # Where the calls came in another order, they are read back, in part from the draft.
                whole = draft if spill.in_step() else None
                result = self.publication.publish(spill.records(), result, draft=whole)
        found = replace(found, seconds=time.monotonic() - begun, value=result)
        log.info("%s", self._closing(found))
        return found

    def _add_details(
        self, client: SynthflowClient, found: WindowResult, spill: Spill, into: Spill
    ) -> tuple[WindowResult, dict[str, Any]]:
        """Add the details, and return the numbers with theirs, and what the result says of them."""
        names = ("requests", "retries", "waits")
        before = {name: getattr(client, name) for name in names}
        missing, mended = add_details(client, spill, into, self.privacy, concurrency=self.plan.concurrency)
        sent = {name: getattr(found, name) + getattr(client, name) - before[name] for name in names}
        told = {"query": {**self.plan.query.filters(), "details": True}}
        found = replace(found, **sent, mended=found.mended + mended)
        return found, {**told, "details_missing": missing} if missing else told

    @contextmanager
    def _draft(self, spill: Spill) -> Iterator[Draft | None]:
        """Open a draft of the file, which is written while the calls come."""
        if self.publication is None or self.details:
            yield None
            return
        with self.publication.draft() as draft:
            if draft is not None:
                spill.lead(draft)
            yield draft

    def _closing(self, found: WindowResult) -> str:
        """Return the last line of a window's log."""
        result = found.value
        calls = [to_count(found.count, "call")]
        for number, what in (
            (found.unsettled, "not final"),
            (found.unplaced, "without a start"),
            (found.not_started, "not started and left out"),
        ):
            if number:
                calls.append(f"{number:,} {what}")
        declared = "no total declared" if found.total_records is None else f"{found.total_records:,} declared"
        where = "in XCom" if "calls" in result else "nothing written"
        if "path" in result:
            where = f"{to_count(result['bytes'], 'byte')} {'written' if result['changed'] else 'there already'}"
        return (
            f"{', '.join(calls)}; {declared}, {to_count(found.pages, 'page')}, {to_count(found.requests, 'request')} "
            f"({found.retries:,} sent again), {to_count(found.walks, 'walk')}, {found.seconds:.1f} s; {where}: "
            f"{self.plan.window} of agent {self.plan.query.model_id}{', ' if 'path' in result else ''}"
            f"{result.get('path', '')}."
        )
