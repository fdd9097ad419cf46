# SPDX-License-Identifier: Apache-2.0
"""A file is what a plain writer makes of the window's calls, whichever way they came."""

from __future__ import annotations

import gzip
import io
import json
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_synthflow.client.query import CallsQuery
from airflow_provider_synthflow.extraction.plan import WindowPlan
from airflow_provider_synthflow.extraction.window_job import WindowJob
from airflow_provider_synthflow.output.call_schema import rebuild
from airflow_provider_synthflow.output.parquet import SCHEMA
from airflow_provider_synthflow.output.publication import Publication
from airflow_provider_synthflow.storage.local import LocalStore
from airflow_provider_synthflow.window import Window
from tests.effort import count_examples
from tests.loopback import LoopbackSender
from tests.synthflow_server import Behaviour, SynthflowApi
from tests.unit.making import AGENT, DAY, FROM_MS, make_call

if TYPE_CHECKING:
    from tests.synthflow_server import Call

ODD: tuple[dict[str, Any], ...] = (
    {},
    {"call_status": "in-progress"},
    {"transcript": None, "judge_results": {"a": "b"}},
    {"new_field": [1, {"a": None}]},
    {"duration": "25", "telephony_start": {}},
)


def drawn_calls(seed: int, count: int, apart_ms: int) -> list[Call]:
    """Make calls within and around half a day, many of which start in the same moment where it has few of them."""
    lot = random.Random(seed)  # noqa: S311 - guards nothing
    return [
        make_call(f"{lot.getrandbits(32):08x}-{number}", lot.randrange(0, DAY, apart_ms), **lot.choice(ODD))
        for number in range(count)
    ]


def written(calls: list[Call], window: Window, format_name: str, concurrency: int, order: Any) -> bytes:
    """Return the file that a window's job writes."""
    query = CallsQuery(AGENT)
    client = LoopbackSender(SynthflowApi(calls, behaviour=Behaviour(order=order)))
    with tempfile.TemporaryDirectory() as folder:
        publication = Publication(LocalStore(folder), AGENT, window, format_name, query.filters())
        plan = WindowPlan(window, query, DAY, concurrency=concurrency)
        result = WindowJob(plan, publication).carry_out(client).value
        return Path(result["path"].removeprefix("file://")).read_bytes()


def lines_of(data: bytes, format_name: str) -> bytes:
    """Return the lines that a file of JSON Lines holds."""
    if format_name == "jsonl.gz":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().stream_reader(data).read() if format_name == "jsonl.zst" else data


class Setting(NamedTuple):
    """What a file is made of, and how its calls come."""

    seed: int
    count: int
    apart_ms: int
    concurrency: int
    order: str
    bounds: tuple[int, int]


SETTINGS = st.builds(
    Setting,
    seed=st.integers(0, 2**32),
    count=st.integers(0, 450),
    apart_ms=st.sampled_from([1, 1_000, 3_600_000]),
    concurrency=st.sampled_from([1, 4]),
    order=st.sampled_from(["newest", "oldest", "by_id"]),
    bounds=st.tuples(st.integers(0, DAY), st.integers(0, DAY)).filter(lambda bounds: bounds[0] != bounds[1]),
)


@pytest.mark.parametrize("format_name", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
@settings(max_examples=count_examples(300), deadline=None)
@given(setting=SETTINGS)
def test_a_file_is_what_a_plain_writer_makes_of_the_sorted_calls(format_name, setting):
    calls = drawn_calls(setting.seed, setting.count, setting.apart_ms)
    window = Window(*(FROM_MS + bound for bound in sorted(setting.bounds)))

    data = written(calls, window, format_name, setting.concurrency, setting.order)

    inside = sorted((call.start_ms, call.call_id, call.record) for call in calls if call.start_ms in window)
    records = [record for _, _, record in inside]
    if format_name == "parquet":
        table = pq.read_table(io.BytesIO(data))
        assert table.schema.equals(SCHEMA)
        assert [rebuild(row) for row in table.to_pylist()] == [
            {name: value for name, value in record.items() if value is not None and name != "model_id"}
            | {"model_id": AGENT}
            for record in records
        ]
    else:
        assert lines_of(data, format_name) == b"".join(msgspec.json.encode(record) + b"\n" for record in records)
        assert [json.loads(line) for line in lines_of(data, format_name).splitlines()] == records
