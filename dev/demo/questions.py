# SPDX-License-Identifier: Apache-2.0
"""Questions of docs/howto/questions.md, answered over the files of the demonstration."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["answer_questions"]

_ROOT = Path(__file__).resolve().parents[2]
_ASKED = ("What share of calls is answered?", "How long do calls take?", "Why do calls end?")


def answer_questions(lake: Path) -> str:
    """Return three questions with their answers as tables."""
    text = (_ROOT / "docs" / "howto" / "questions.md").read_text(encoding="utf-8")
    questions = dict(re.findall(r"^## (.*?)\n.*?^```sql\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    with duckdb.connect() as database:
        _load_example().create_views(database, str(lake))
        answers = [f"  {asked}\n{database.sql(questions[asked])}" for asked in _ASKED]
    return "\n".join(answers)


def _load_example() -> Any:
    spec = importlib.util.spec_from_file_location("synthflow_lake", _ROOT / "example_dags" / "synthflow_lake.py")
    if spec is None or spec.loader is None:
        raise ImportError
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
