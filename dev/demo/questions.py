# SPDX-License-Identifier: Apache-2.0
"""Questions of docs/howto/questions.md, answered over the files of the demonstration."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["answer_questions", "open_lake", "read_questions"]

_ROOT = Path(__file__).resolve().parents[2]
_ASKED = ("What share of calls is answered?", "How long do calls take?", "Why do calls end?")


def read_questions() -> dict[str, str]:
    """Return the questions of the document, each with its statement."""
    text = (_ROOT / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^## (.*?)\n.*?^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL))


@contextlib.contextmanager
def open_lake(lake: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Give a database with the views of a lake."""
    with duckdb.connect() as database:
        _load_example().create_views(database, str(lake))
        yield database


def answer_questions(lake: Path) -> str:
    """Return three questions with their answers as tables."""
    questions = read_questions()
    with open_lake(lake) as database:
        return "\n".join([f"  {asked}\n{database.sql(questions[asked])}" for asked in _ASKED])


def _load_example() -> Any:
    spec = importlib.util.spec_from_file_location("synthflow_lake", _ROOT / "example_dags" / "synthflow_lake.py")
    if spec is None or spec.loader is None:
        raise ImportError
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
