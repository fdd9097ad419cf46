# SPDX-License-Identifier: Apache-2.0
"""Tables made of records, and any JSON for the fields that they are made of."""

from __future__ import annotations

import io
import json
from typing import Any

import pyarrow.parquet as pq
from hypothesis import strategies as st

from airflow_provider_synthflow.output.formats import open_writer
from airflow_provider_synthflow.tables.parquet_tables import ParquetTables
from airflow_provider_synthflow.tables.table import TABLES

__all__ = ["JSON", "TEXTS", "files_beside_parquet", "files_of", "leaves", "rows_of", "rows_of_field"]

_NESTED = [
    '{"slot": "10:00"}', "{}", "[]", '["a", {"b": "{\\"c\\": 1}"}]', '"{\\"a\\": 1}"', '"text"', "42", "true", "null",
    "{'a': 1}", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "  {\n}", "[" * 2000 + "]" * 2000, "{", '"', "\\",
]  # fmt: skip
_TALK = [
    "bot: Hello\nhuman: Yes", "bot: ", "human: ", "bot:", "\nbot: x", "x\nbot: y\nz\n", "bot: a\n\nhuman: b\n", "\n",
    'bot: "quoted"\nhuman: \\n', "Bot: no\nhuman : no", "human: bot: x", "bot: \\nhuman: x", "\u2028bot: x\r\nbot: y",
]  # fmt: skip
TEXTS = st.text(st.characters(codec=None), max_size=12) | st.sampled_from([*_NESTED, *_TALK])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXTS, inner, max_size=3)
        | st.fixed_dictionaries({}, optional={"value": inner, "collected": inner, "other": inner})
        | st.fixed_dictionaries({}, optional={"name": inner, "parameters": inner, "return_value": inner, "x": inner})
    ),
    max_leaves=8,
)


def files_of(records: list[bytes], names: Any = tuple(TABLES)) -> tuple[dict[str, bytes], dict[str, dict[str, int]]]:
    """Return the tables of records as files, and what is said of them."""
    files = {name: io.BytesIO() for name in names}
    tables = ParquetTables(files)
    for record in records:
        tables.write([record])
    told = tables.close()
    return {name: file.getvalue() for name, file in files.items()}, told


def files_beside_parquet(
    records: list[bytes], names: Any = tuple(TABLES)
) -> tuple[dict[str, bytes], dict[str, dict[str, int]]]:
    """Return what :func:`files_of` does, of tables that are written beside a Parquet file of the calls."""
    files = {name: io.BytesIO() for name in names}
    tables, calls = ParquetTables(files), open_writer("parquet", io.BytesIO())
    assert calls.lead(tables.take)
    for record in records:
        calls.write([record])
    calls.close()
    told = tables.close()
    return {name: file.getvalue() for name, file in files.items()}, told


def rows_of(name: str, *records: dict[str, Any] | bytes) -> list[dict[str, Any]]:
    raws = [record if isinstance(record, bytes) else json.dumps(record).encode() for record in records]
    files, told = files_of(raws, [name])
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(files[name])).to_pylist()
    assert told[name] == {"rows": len(rows), "odd": sum(row["_raw"] is not None for row in rows)}
    return rows


def rows_of_field(name: str, value: Any) -> list[dict[str, Any]]:
    """Return the rows of a call whose field has a value, without the call's id."""
    rows = rows_of(name, {"call_id": "c", TABLES[name].field: value})
    assert all(row.pop("call_id") == "c" for row in rows)
    return rows


def _loaded(text: str) -> Any:
    try:
        return json.loads(text.strip(), parse_constant=lambda _: 1 / 0)
    except (ValueError, ArithmeticError, RecursionError):
        return None


def leaves(value: Any) -> list[Any]:
    """Return the scalars of a value, those in strings that hold JSON included, with half surrogate pairs mended."""
    found: list[Any] = []
    left = [value]  # a list, since Python 3.14 reads JSON that is nested deeper than functions may call each other
    while left:
        each = left.pop()
        if isinstance(each, str):
            inner = _loaded(each)
            while isinstance(inner, str):
                inner = _loaded(inner)
            if isinstance(inner, (dict, list)):
                left.append(inner)
            else:
                found.append(each.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        elif isinstance(each, dict):
            left += reversed(each.values())
        elif isinstance(each, list):
            left += reversed(each)
        elif each is not None:
            found.append(repr(each))
    return found
