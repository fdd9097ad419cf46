# SPDX-License-Identifier: Apache-2.0
"""A real browser without a screen, that asks nobody but the tested Airflow."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

__all__ = ["open_browser"]

_CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",  # it refuses to run as root with one
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def open_browser(profile: Path) -> Iterator[Page]:
    """
    Start Chromium with an empty profile and give its page.

    :param profile: an empty folder for what the browser keeps
    """
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            str(profile), executable_path=_CHROMIUM, headless=True, args=_FLAGS,
            viewport={"width": 1100, "height": 1300}, locale="en-US",
        )  # fmt: skip
        context.set_default_timeout(20_000)
        try:
            yield context.pages[0]
        finally:
            context.close()
