# SPDX-License-Identifier: Apache-2.0
"""Where the file of a window lies: a path that depends on the agent, the window and the format alone."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_provider_synthflow.instants import format_instant

if TYPE_CHECKING:
    from airflow_provider_synthflow.window import Window

__all__ = ["MANIFEST_NAME", "directory_of", "file_name"]

MANIFEST_NAME = "_manifest.json"
"""The name of the manifest: readers of partitioned data pass over names with an underscore before them."""


def directory_of(model_id: str, window: Window) -> str:
    """
    Return the directory of a window below the output path, in the way that partition columns are read from.

    :param model_id: the agent; what is no plain character of a file name is percent-encoded
    :param window: the window
    """
    agent = quote(model_id, safe="")
    return f"model_id={agent}/from_date={_compact(window.from_ms)}/to_date={_compact(window.to_ms)}"


def file_name(format_name: str) -> str:
    """
    Return the name of the file of calls.

    :param format_name: the format, which is also the ending
    """
    return f"calls.{format_name}"


def _compact(milliseconds: int) -> str:
    """Write an instant as ``20261123T000000Z``, with milliseconds only where there are some."""
    text = format_instant(milliseconds).replace("-", "").replace(":", "")
    return text.replace(".000Z", "Z")
