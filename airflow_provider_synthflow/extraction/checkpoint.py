# SPDX-License-Identifier: Apache-2.0
"""The interface by which an extraction saves its pages for a further try."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from airflow_provider_synthflow.client.response import Page
    from airflow_provider_synthflow.pagination.recalled_pages import RecalledPages
    from airflow_provider_synthflow.pagination.walk import Walk

__all__ = ["Checkpoint"]


class Checkpoint(Protocol):
    """The pages of one window, saved from try to try."""

    def __enter__(self) -> Self:
        """Return the checkpoint itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the pages, unless an error or a kill ended the try and another one may follow."""

    def take_up(self, recalled: RecalledPages) -> Iterator[Page]:
        """Yield the saved pages in the order of reading, after adding each to the recalled pages of a walk."""

    def keep(self, page: Page, walk: Walk) -> None:
        """Save a page whose rows are used."""

    def remove(self) -> None:
        """Remove what an earlier try has saved."""
