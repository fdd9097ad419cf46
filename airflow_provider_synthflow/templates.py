# SPDX-License-Identifier: Apache-2.0
"""What templates render into parameters."""

from __future__ import annotations

import ast
import os
from typing import Any

__all__ = ["given", "listed", "looks_like_list", "renderable"]


def given(value: Any) -> Any:
    """
    Return a parameter, or None where a template rendered nothing into it.

    :param value: as the task has it after rendering; an empty text and ``None`` as text are nothing
    """
    return None if isinstance(value, str) and value.strip() in {"", "None"} else value


def listed(value: Any) -> Any:
    """
    Return a parameter, and the list itself where a template rendered a list into a text.

    :param value: as the task has it after rendering, such as ``"['a', 'b']"``
    """
    if not looks_like_list(value):
        return value
    try:
        found = ast.literal_eval(value.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return value
    return list(found) if isinstance(found, (list, tuple, set)) else value


def looks_like_list(value: Any) -> bool:
    """
    Tell whether a parameter is the text of a list, tuple or set, whole or not.

    :param value: as the task has it after rendering
    """
    return isinstance(value, str) and value.strip().startswith(("[", "(", "{"))


def renderable(path: Any) -> Any:
    """
    Return a path so that Airflow renders templates in it: a ``pathlib.Path`` as text.

    Airflow takes a path for text that needs no rendering, and 3.1 also looks whether it is there.

    :param path: as the DAG's author gave it
    """
    return os.fspath(path) if isinstance(path, os.PathLike) and not hasattr(path, "protocol") else path
