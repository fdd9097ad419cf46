# SPDX-License-Identifier: Apache-2.0
"""What keeps pages in tests: a task's state and a store, both in memory, and a writer that lets nothing wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_synthflow.extraction.privacy import Privacy
from airflow_provider_synthflow.resume.checkpoint import Checkpoint
from airflow_provider_synthflow.resume.segment import SegmentWriter
from airflow_provider_synthflow.resume.state import make_digest, make_key

if TYPE_CHECKING:
    from airflow_provider_synthflow.client.settings import Settings
    from airflow_provider_synthflow.extraction.plan import WindowPlan
    from airflow_provider_synthflow.resume.segment import KeptPage

__all__ = ["KilledError", "MemoryState", "MemoryStore", "PatientWriter", "checkpoint_for"]


class KilledError(BaseException):
    """Stand for the end of a process: nothing of the package catches it."""


class MemoryState(dict[str, Any]):
    """Be a task's state, as Airflow gives it."""

    def set(self, key: str, value: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


class MemoryStore(dict[str, bytes]):
    """Be a store of which only pieces are asked."""

    def read(self, relative: str) -> bytes | None:
        return self.get(relative)

    def put_private(self, relative: str, data: bytes) -> None:
        self[relative] = data

    def remove_all(self, directory: str) -> None:
        for name in [name for name in self if name.startswith(f"{directory}/")]:
            del self[name]


class PatientWriter(SegmentWriter):
    """Write each piece before the next page comes, so that a test runs the same each time."""

    def offer(self, pages: list[KeptPage]) -> None:
        self._write(pages)


def checkpoint_for(
    plan: WindowPlan,
    settings: Settings,
    *,
    store: Any,
    state: Any,
    retry: bool = True,
    last: bool = False,
    privacy: Privacy | None = None,
) -> Checkpoint:
    """
    Return what keeps the pages of a plan.

    :param plan: what is asked
    :param settings: where
    :param store: where the pieces go
    :param state: what remembers them
    :param retry: whether pages of an earlier try are taken up
    :param last: whether no try follows
    :param privacy: what is taken out of records
    """
    privacy = privacy or Privacy()
    digest = make_digest(plan, settings, privacy)
    return Checkpoint(store, state, make_key(plan), digest, privacy=privacy, retry=retry, last=last)
