# SPDX-License-Identifier: Apache-2.0
"""What an extraction asks of that which keeps its finished pages for a further try."""

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
    """
    The finished pages of one window, kept from try to try.

    As a context manager it ends with the window: the pages are removed, unless an error or a kill ended the try and
    another try may take them up.
    """

    def __enter__(self) -> Self:
        """Return the object itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove the pages, or leave them for the next try."""

    def take_up(self, recalled: RecalledPages) -> Iterator[Page]:
        """
        Yield the pages that an earlier try has kept, in the order of reading.

        :param recalled: what holds them for the walk, which decides on them when its first page has come
        """

    def keep(self, page: Page, walk: Walk) -> None:
        """
        Keep a page whose rows are used.

        :param page: the page; its offset is known
        :param walk: the walk that it belongs to
        """

    def remove(self) -> None:
        """Remove what an earlier try has kept."""
